//! A file's footer, looked at before the decoder believes it: the decoder makes room for as many
//! columns as a group states, builds nested ones by recursion, and gives each its whole path.
//!
//! The encoding: Apache Thrift, *Thrift Compact protocol encoding*,
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>;
//! the fields: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.

use super::pages::varint;

/// What a footer may have beyond a part of the file: the decoder holds up to some hundred times
/// its bytes. Hundreds of row groups fit.
const ALWAYS: u64 = 256 << 10;
const MOST_PART: u64 = 16;

/// Columns in columns in columns.
const DEEPEST: usize = 64;

/// Bytes of all columns' paths. A path costs this beside its names.
const MOST_PATHS: u64 = 16 << 20;
const PATH: u64 = 32;

// Kinds of values.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I8: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Whether a footer of this many bytes is in proportion to its file.
pub(super) fn is_in_proportion(footer: u64, file: u64) -> bool {
    footer <= ALWAYS + file / MOST_PART
}

/// Whether the footer is Thrift, and its schema a tree of as many columns as there are.
pub(super) fn is_sound(footer: &[u8]) -> bool {
    let mut thrift = Thrift(footer);
    let walked = thrift.fields(&mut |thrift, id, kind| match (id, kind) {
        (2, LIST) => schema(thrift),
        _ => thrift.skip(kind, DEEPEST),
    });
    walked.is_some()
}

/// A group that is not complete.
struct Group {
    /// Columns that are still to come.
    children: u64,
    /// Bytes of its path.
    path: u64,
}

fn schema(thrift: &mut Thrift<'_>) -> Option<()> {
    let (count, kind) = thrift.list()?;
    if kind != STRUCT {
        return None;
    }
    // The root's parent. Columns come depth first.
    let mut open = vec![Group { children: 1, path: 0 }];
    let (mut stated, mut paths) = (1, 0_u64);
    for _ in 0..count {
        let (mut name, mut children) = (0, 0);
        thrift.fields(&mut |thrift, id, kind| match (id, kind) {
            (4, BINARY) => {
                name = thrift.number()?;
                thrift.take(name)
            }
            (5, I32) => {
                children = u64::try_from(zigzag(thrift.number()?)).ok()?;
                stated += children;
                (stated <= count).then_some(())
            }
            _ => thrift.skip(kind, DEEPEST),
        })?;
        while open.last()?.children == 0 {
            open.pop();
        }
        let parent = open.last_mut()?;
        parent.children -= 1;
        let path = parent.path + name + PATH;
        if children == 0 {
            paths += path;
        } else {
            open.push(Group { children, path });
        }
        if open.len() > DEEPEST || paths > MOST_PATHS {
            return None;
        }
    }
    open.iter().all(|group| group.children == 0).then_some(())
}

/// What is left of the bytes. `None` where they end early, or are none of Thrift.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        varint(&mut self.0)
    }

    fn take(&mut self, count: u64) -> Option<()> {
        (_, self.0) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        Some(())
    }

    /// Hands out the fields of a struct, by number and kind; `each` has to pass over the value.
    fn fields(&mut self, each: &mut dyn FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => zigzag(self.number()?),
                more => id.checked_add(i64::from(more))?,
            };
            each(self, id, kind)?;
        }
    }

    /// How many elements a list has, and their kind.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
        (count <= self.0.len() as u64).then_some((count, head & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TRUE | FALSE => Some(()),
            I8 => self.take(1),
            I16 | I32 | I64 => self.number().map(|_| ()),
            DOUBLE => self.take(8),
            UUID => self.take(16),
            BINARY => {
                let length = self.number()?;
                self.take(length)
            }
            STRUCT => self.fields(&mut |thrift, _, kind| thrift.skip(kind, depth)),
            LIST | SET => {
                let (count, kind) = self.list()?;
                // No list of truths stands in a footer, and the decoder counts them without bytes.
                let allowed = !matches!(kind, TRUE | FALSE);
                allowed.then(|| (0..count).try_for_each(|_| self.skip(kind, depth)))?
            }
            MAP => None, // nor any map
            _ => None,
        }
    }
}

/// Signed numbers, those of small size first: 0, −1, 1, −2, …
fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schema's element: a name, and children if it is a group.
    fn element(name: &str, children: Option<u64>) -> Vec<u8> {
        let mut bytes = vec![0x48, name.len() as u8]; // field 4, binary
        bytes.extend(name.bytes());
        if let Some(children) = children {
            bytes.push(0x15); // field 5, i32
            let mut zigzag = children << 1;
            while zigzag > 0x7f {
                bytes.push(zigzag as u8 | 0x80);
                zigzag >>= 7;
            }
            bytes.push(zigzag as u8);
        }
        bytes.push(0);
        bytes
    }

    fn sound(elements: &[Vec<u8>]) -> bool {
        let mut footer = vec![0x15, 0x02, 0x19]; // version 1, then field 2, a list
        footer.extend([0xfc, elements.len() as u8 | 0x80, (elements.len() >> 7) as u8]);
        footer.extend(elements.concat());
        footer.extend([0x16, 0x06, 0x00]); // 3 rows
        is_sound(&footer)
    }

    #[test]
    fn a_schema_is_a_tree_of_what_is_there() {
        let leaf = || element("user", None);
        assert!(sound(&[element("root", Some(2)), leaf(), leaf()]));
        assert!(sound(&[element("root", Some(2)), element("a", Some(1)), leaf(), leaf()]));
        assert!(sound(&[element("root", Some(1)), element("user", Some(0))]), "as some writers have it");
        assert!(!sound(&[element("root", Some(3)), leaf(), leaf()]));
        assert!(!sound(&[element("root", Some(1)), leaf(), leaf()]));
        assert!(!sound(&[element("root", Some(1 << 30)), leaf(), leaf()]));
        assert!(!sound(&[]));
        // Each states no more than there are, but all of them do.
        let greedy: Vec<_> = (0..50).map(|_| element("a", Some(49))).collect();
        assert!(!sound(&greedy));
    }

    #[test]
    fn nesting_and_paths_are_bounded() {
        let chain = |groups: usize, name: &str, leaves: u64| {
            let mut elements = vec![element(name, Some(1)); groups];
            elements.push(element("b", Some(leaves)));
            elements.extend((0..leaves).map(|_| element("c", None)));
            sound(&elements)
        };
        assert!(chain(DEEPEST - 2, "a", 9));
        assert!(!chain(DEEPEST - 1, "a", 9));
        assert!(!chain(10_000, "a", 9));
        let long = "x".repeat(120);
        assert!(chain(60, &long, 1_500) && !chain(60, &long, 2_000), "each leaf has {} bytes", 60 * 152);
    }

    #[test]
    fn what_is_no_thrift_is_refused() {
        assert!(is_sound(&[0]));
        for footer in [&b""[..], &[0x15], &[0x1d, 0x00], &[0x1e, 0x00, 0x00], &[0x18, 0xff, 0x01, 0x00]] {
            assert!(!is_sound(footer), "{footer:?}");
        }
        // Lists in lists, without end; and more elements than bytes.
        assert!(!is_sound(&[0x19; 500]));
        assert!(!is_sound(&[0x39, 0xf8, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00]));
        assert!(!is_sound(&[0x39, 0x11, 0x00, 0x00]), "truths");
        assert_eq!([0, 1, 2, 3, u64::MAX].map(zigzag), [0, -1, 1, -2, i64::MIN]);
    }

    #[test]
    fn a_large_footer_needs_a_large_file() {
        assert!(is_in_proportion(200 << 10, 300 << 10));
        assert!(!is_in_proportion(300 << 10, 310 << 10));
        assert!(is_in_proportion(300 << 10, 1 << 20));
        assert!(is_in_proportion(u64::MAX / 16, u64::MAX));
    }
}
