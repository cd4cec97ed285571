//! The shaders of the fused kernels are templates: what depends on the rank
//! stands there once and is repeated, so that a row is held in registers, and
//! what depends on the device is one of a few texts beside it in `shaders/lib`.
//!
//! A line that ends in `// each block` is repeated for every block of four
//! columns that a lane holds, one in `// each pair` for two of them at a time,
//! one in `// each cell` for every cell whose loads are in flight at a time.
//! In the i-th copy `b0` reads `bi`, and `0u` reads `iu`.

use super::{Access, Kernel};

/// The most lanes of a group: no subgroup that is used has fewer, and shuffles stay within.
pub const GROUP: u32 = 8;

/// The widest row that one invocation holds: compilers take long for more.
const MAX_ONE: u32 = 128;

/// Loads of 16 bytes that a lane has in flight.
const IN_FLIGHT: u32 = 4;

/// How a workgroup's lanes share the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// An invocation a row, for devices that are none too parallel.
    Rows,
    /// A group of lanes a row, which exchange sums by shuffles.
    Lanes,
    /// A group of lanes a row, which exchange sums through workgroup memory.
    SharedLanes,
}

impl Mapping {
    /// Every mapping.
    pub const ALL: [Mapping; 3] = [Mapping::Rows, Mapping::Lanes, Mapping::SharedLanes];

    /// The least cells of a row that a workgroup of its own is worth: enough to join its sums.
    pub fn long_row(self) -> usize {
        match self {
            Mapping::Rows => 4096,
            Mapping::Lanes | Mapping::SharedLanes => 512,
        }
    }

    /// Invocations of a workgroup, on a device that takes `most`.
    fn workgroup(self, most: u32) -> u32 {
        match self {
            Mapping::Rows | Mapping::SharedLanes => super::WORKGROUP,
            // A long row has more cells in flight.
            Mapping::Lanes => most.clamp(super::WORKGROUP, 256),
        }
    }
}

/// The rows of a call to a fused kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Rows.
    pub count: u32,
    /// Those that have a workgroup each, the first by length.
    pub long: u32,
    /// Elements of a packed row of factors.
    pub lanes: u32,
    /// Whether variances stand beside the factors.
    pub spread: bool,
    /// Whether packed rows are f16.
    pub half: bool,
}

/// What a template is filled in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    mapping: Mapping,
    workgroup: u32,
    lanes: u32,
    spread: bool,
    half: bool,
}

impl Variant {
    /// For the rows of a call, on a device that takes workgroups of `most` invocations.
    ///
    /// `wide`: the mapping of rows that are too wide for one invocation.
    pub fn new(mapping: Mapping, wide: Mapping, most: u32, rows: &Rows) -> Self {
        let mapping = if mapping == Mapping::Rows && rows.lanes > MAX_ONE { wide } else { mapping };
        let workgroup = mapping.workgroup(most);
        Self { mapping, workgroup, lanes: rows.lanes, spread: rows.spread, half: rows.half }
    }

    /// Blocks of a load: four f32 or eight f16.
    fn pace(self) -> u32 {
        if self.half { 2 } else { 1 }
    }

    /// Loads of a row.
    fn loads(self) -> u32 {
        self.lanes.div_ceil(4 * self.pace())
    }

    /// Lanes of a group.
    fn group(self) -> u32 {
        match self.mapping {
            Mapping::Rows => 1,
            Mapping::Lanes | Mapping::SharedLanes => self.loads().next_power_of_two().min(GROUP),
        }
    }

    /// Loads of a lane for a row.
    fn share(self) -> u32 {
        self.loads().div_ceil(self.group())
    }

    fn unroll(self) -> u32 {
        let planes = if self.spread { 2 } else { 1 };
        match self.mapping {
            Mapping::Rows => 1,
            Mapping::Lanes | Mapping::SharedLanes => (IN_FLIGHT / (self.share() * planes)).max(1),
        }
    }

    /// Invocations of a workgroup.
    pub fn workgroup(self) -> u32 {
        self.workgroup
    }

    /// Whether it needs subgroups.
    pub fn subgroups(self) -> bool {
        self.mapping == Mapping::Lanes
    }

    /// Groups of a workgroup: rows that it takes, or parts that a long row is cut into.
    pub fn groups(self) -> u32 {
        self.workgroup / self.group()
    }

    /// Workgroups of a call.
    pub fn workgroups(self, rows: &Rows) -> u32 {
        rows.long + (rows.count - rows.long).div_ceil(self.groups())
    }

    /// The WGSL of a kernel.
    pub fn source(self, kernel: &Kernel) -> String {
        let mapping = match self.mapping {
            Mapping::Rows => include_str!("../../shaders/lib/one.wgsl"),
            Mapping::Lanes => include_str!("../../shaders/lib/subgroups.wgsl"),
            Mapping::SharedLanes => include_str!("../../shaders/lib/shared.wgsl"),
        };
        let packed = match self.half {
            false => include_str!("../../shaders/lib/packed_f32.wgsl"),
            true => include_str!("../../shaders/lib/packed_f16.wgsl"),
        };
        let unroll = self.unroll();
        let mut text = format!(
            "const WORKGROUP = {}u;\nconst GROUP = {}u;\nconst BLOCKS = {}u;\nconst PLANES = {}u;\n\
             const UNROLL = {unroll}u;\nconst WHOLE = {};\nconst EXACT = {};\n",
            self.workgroup,
            self.group(),
            self.lanes / 4,
            if self.spread { 2 } else { 1 },
            self.loads().is_multiple_of(self.group()),
            self.mapping == Mapping::Rows && unroll == 1,
        );
        let own = include_str!("../../shaders/lib/own.wgsl");
        let shared =
            [include_str!("../../shaders/lib/row.wgsl"), packed, include_str!("../../shaders/lib/rows.wgsl")];
        // A kernel without own factors has no use for them.
        let own = kernel.bindings.iter().any(|binding| binding.name == "factors").then_some(own);
        // What it writes of a row goes to the first buffer that it writes.
        let result = kernel.bindings.iter().find(|binding| binding.access == Access::ReadWrite);
        let store = result.filter(|_| kernel.wgsl.contains("store_block("));
        let store =
            store.map(|result| include_str!("../../shaders/lib/store.wgsl").replace("RESULT", result.name));
        for part in shared.into_iter().chain(own).chain(store.as_deref()).chain([kernel.wgsl, mapping]) {
            self.fill_in(part, &mut text);
        }
        text
    }

    fn fill_in(self, template: &str, text: &mut String) {
        for line in template.lines() {
            let (copies, step) = match line.rsplit_once("// each ") {
                Some((_, "block")) => (self.share() * self.pace(), 1),
                Some((_, "pair")) => (self.share(), 2),
                Some((_, "cell")) => (self.unroll(), 1),
                _ => (0, 0),
            };
            for copy in 0..copies {
                numbered(line, copy * step, text);
                text.push('\n');
            }
            if step == 0 {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
}

/// Whether a kernel's WGSL is a template.
pub fn is_template(kernel: &Kernel) -> bool {
    kernel.wgsl.contains("// each block") || kernel.wgsl.contains("// each cell")
}

/// Adds `by` to the digit of every `x0` and `x1`, x one letter, and of `0u`.
fn numbered(line: &str, by: u32, text: &mut String) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = line;
    while let Some(start) = rest.find(is_word) {
        let end = rest[start..].find(|c| !is_word(c)).map_or(rest.len(), |length| start + length);
        let (before, word) = (&rest[..start], &rest[start..end]);
        text.push_str(before);
        match word.as_bytes() {
            b"0u" => text.push_str(&format!("{by}u")),
            [letter, digit @ (b'0' | b'1')] if letter.is_ascii_lowercase() => {
                text.push(char::from(*letter));
                text.push_str(&(u32::from(digit - b'0') + by).to_string());
            }
            _ => text.push_str(word),
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lanes: u32, spread: bool, half: bool) -> Rows {
        Rows { count: 1000, long: 3, lanes, spread, half }
    }

    #[test]
    fn every_copy_of_a_line_has_its_number() {
        let mut text = String::new();
        numbered("    x.b0 = packed[at + block_of(0u, part) + 10u] * 0.0 + b1; // each", 4, &mut text);
        assert_eq!(text, "    x.b4 = packed[at + block_of(4u, part) + 10u] * 0.0 + b5; // each");
    }

    #[test]
    fn lanes_of_a_group_hold_the_whole_row() {
        for mapping in Mapping::ALL {
            for lanes in (4..=512).step_by(4) {
                for half in [false, true] {
                    if half && lanes % 8 != 0 {
                        continue;
                    }
                    let variant = Variant::new(mapping, Mapping::SharedLanes, 256, &rows(lanes, false, half));
                    let held = variant.group() * variant.share() * variant.pace() * 4;
                    assert!(held >= lanes && variant.group() <= GROUP, "{variant:?}");
                    assert!(held < 2 * lanes, "{variant:?}: at most half of it is idle");
                    assert!(variant.workgroup().is_multiple_of(variant.group()));
                }
            }
        }
    }

    #[test]
    fn every_row_has_a_group() {
        for mapping in Mapping::ALL {
            let variant = Variant::new(mapping, Mapping::SharedLanes, 256, &rows(32, false, false));
            let groups = variant.groups();
            assert_eq!(groups * variant.group(), variant.workgroup());
            assert_eq!(variant.workgroups(&rows(32, false, false)), 3 + 997u32.div_ceil(groups));
            let all = Rows { long: 1000, ..rows(32, false, false) };
            assert_eq!(variant.workgroups(&all), 1000);
        }
    }
}
