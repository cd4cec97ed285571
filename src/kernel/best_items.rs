//! The best items of each user, as sorted lists that grow from call to call.

mod tile;

use rayon::prelude::*;

use self::tile::{GROUPS, Tile};
use super::{
    Binding, Dispatch, Element, Kernel, MULTIPLY_ADDS, Slot, WORKGROUP, dimension, params, require, simd,
};
use crate::backend::Buffer;
use crate::error::Result;

/// Users that share a workgroup, and whose factors lie side by side.
pub const GROUP: usize = 4;

/// Items of a panel, whose factors lie side by side.
pub const PANEL: usize = WORKGROUP as usize;

/// The score of a free place in a list: no candidate has one this low.
pub const LOWEST: f32 = f32::MIN;

/// The item of a free place in a list.
pub const NONE: u32 = u32::MAX;

/// Items that the twin scores at once: with four users, eight vectors of SSE.
const LANES: usize = 8;

/// Bytes of item factors that the twin keeps in a core's cache while all users pass.
const CACHE_BYTES: usize = 256 << 10;

/// `shaders/best_items.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "best_items",
    wgsl: include_str!("../../shaders/best_items.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("user_factors", Element::F32),
        Binding::read("item_factors", Element::F32),
        Binding::read("seen_offsets", Element::U32),
        Binding::read("seen", Element::U32),
        Binding::read_write("scores", Element::F32),
        Binding::read_write("items", Element::U32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `best_items`.
    pub struct Params {
        /// Users of the block.
        pub users: u32,
        /// Columns of a row.
        pub width: u32,
        /// First panel of the range.
        pub first: u32,
        /// Panels of the range.
        pub panels: u32,
        /// Position of the first item of panel 0.
        pub base: u32,
        /// Positions from here on are padding.
        pub end: u32,
        /// Places of a list.
        pub keep: u32,
        /// 1: the lists start empty.
        pub fresh: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct BestItems {
    /// Rows of users in groups of [`GROUP`], `[≥ ⌈users / 4⌉, width, 4]`.
    pub user_factors: Buffer,
    /// Rows of items in panels of [`PANEL`], `[all panels, width, 64]`.
    pub item_factors: Buffer,
    /// Where each user's part of `seen` begins, `[≥ users + 1]`.
    pub seen_offsets: Buffer,
    /// Positions that are left out, ascending for each user.
    pub seen: Buffer,
    /// Receives the scores, `[≥ users, keep]`, greatest first; [`LOWEST`] where a list is short.
    pub scores: Buffer,
    /// Receives the positions, `[≥ users, keep]`; [`NONE`] where a list is short.
    pub items: Buffer,
    /// Users of the block.
    pub users: usize,
    /// Columns of a row.
    pub width: usize,
    /// First panel of the range. Ranges must come in ascending order.
    pub first: usize,
    /// Panels of the range.
    pub panels: usize,
    /// Position of the first item of the buffer.
    pub base: usize,
    /// Items of the buffer; those behind them are padding.
    pub count: usize,
    /// Places of a list.
    pub keep: usize,
    /// Whether the lists start empty, rather than with what they hold.
    pub fresh: bool,
}

impl BestItems {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let groups = self.users.div_ceil(GROUP);
        let users = self.user_factors.len() >= groups * GROUP * self.width;
        require(&KERNEL, users && self.seen_offsets.len() > self.users, "the users don't fit")?;
        let all = self.item_factors.len() / (PANEL * self.width.max(1));
        require(&KERNEL, self.first + self.panels <= all, "the range exceeds the panels")?;
        require(&KERNEL, self.count <= all * PANEL, "the items exceed the panels")?;
        let lists = self.users * self.keep;
        let fit = self.keep > 0 && self.scores.len() >= lists && self.items.len() >= lists;
        require(&KERNEL, fit, "the lists don't fit")?;
        let panel = (groups * GROUP * self.width * PANEL) as u64;
        let work = panel.saturating_mul(self.panels as u64) / MULTIPLY_ADDS;
        let params = Params {
            users: dimension(&KERNEL, self.users)?,
            width: dimension(&KERNEL, self.width)?,
            first: dimension(&KERNEL, self.first)?,
            panels: dimension(&KERNEL, self.panels)?,
            base: dimension(&KERNEL, self.base)?,
            end: dimension(&KERNEL, self.base + self.count)?,
            keep: dimension(&KERNEL, self.keep)?,
            fresh: u32::from(self.fresh),
        };
        let Self { user_factors, item_factors, seen_offsets, seen, scores, items, .. } = *self;
        let buffers = [user_factors, item_factors, seen_offsets, seen, scores, items];
        Ok(Dispatch::new(&KERNEL, params, &buffers, groups as u64)?.and_work(work))
    }
}

/// Iterations, nested ones included, that a panel may cost one invocation of the shader: for
/// each of four users a search in `seen` and, at worst, a merge of a panel full of candidates.
pub fn panel_loops(width: usize, keep: usize) -> u64 {
    let search = 32;
    let merge = (keep.div_ceil(PANEL) + 1) * (PANEL + 1) + search;
    (width + GROUP * (search + merge + 3) + 1) as u64
}

/// Puts one row where a kernel expects it that reads `N` rows side by side:
/// `out` is `[⌈rows / N⌉, width, N]`.
pub fn place_row<const N: usize>(
    out: &mut [f32],
    width: usize,
    row: usize,
    values: impl Iterator<Item = f32>,
) {
    let first = row / N * width * N + row % N;
    for (to, value) in out[first..].iter_mut().step_by(N).zip(values.take(width)) {
        *to = value;
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [user_factors, item_factors, seen_offsets, seen, scores, items] = slots else {
        unreachable!("the dispatch was checked")
    };
    let seen = Seen { offsets: seen_offsets.u32(), positions: seen.u32() };
    let params = bytemuck::pod_read_unaligned(params);
    best_items(&params, user_factors.f32(), item_factors.f32(), seen, scores.f32_mut(), items.u32_mut());
}

/// Positions that are left out, a row a user.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// `[≥ users + 1]`.
    pub offsets: &'a [u32],
    /// Ascending in each row.
    pub positions: &'a [u32],
}

impl<'a> Seen<'a> {
    /// Where a user's positions begin, and the positions.
    fn row(self, user: usize) -> (usize, &'a [u32]) {
        let range = self.offsets[user] as usize..self.offsets[user + 1] as usize;
        (range.start, &self.positions[range])
    }

    /// The lanes of the panel at `base` that a user has seen. `passed` is where the user's positions
    /// from an earlier panel on begin, and moves to those of this one.
    fn lanes(self, user: usize, passed: &mut usize, base: u32) -> u64 {
        let (start, row) = self.row(user);
        let ahead = &row[*passed - start..];
        let before = ahead.iter().take_while(|&&item| item < base).count();
        *passed += before;
        let here = ahead[before..].iter().map(|&item| item - base).take_while(|&lane| lane < PANEL as u32);
        here.fold(0, |lanes, lane| lanes | 1 << lane)
    }

    fn has(&self, user: usize, item: u32) -> bool {
        let row = self.offsets[user] as usize..self.offsets[user + 1] as usize;
        self.positions[row].binary_search(&item).is_ok()
    }
}

/// The twin: groups of users in parallel, a cache full of panels at a time.
pub fn best_items(
    params: &Params,
    user_factors: &[f32],
    item_factors: &[f32],
    seen: Seen<'_>,
    scores: &mut [f32],
    items: &mut [u32],
) {
    let (users, width, keep) = (params.users as usize, params.width as usize, params.keep as usize);
    let (scores, items) = (&mut scores[..users * keep], &mut items[..users * keep]);
    if params.fresh == 1 {
        scores.fill(LOWEST);
        items.fill(NONE);
    }
    let panel = width * PANEL;
    let first = params.first as usize;
    let range = &item_factors[first * panel..(first + params.panels as usize) * panel];
    if simd::fast() {
        let groups = users.div_ceil(GROUP).div_ceil(4 * rayon::current_num_threads()).clamp(1, GROUPS);
        let lists =
            scores.par_chunks_mut(groups * GROUP * keep).zip(items.par_chunks_mut(groups * GROUP * keep));
        let tiles = lists.zip(user_factors.par_chunks(groups * GROUP * width)).enumerate();
        tiles.for_each(|(i, ((scores, items), users))| {
            let first = i * groups * GROUP;
            simd::run(Tile { params: *params, first, users, panels: range, seen, scores, items });
        });
        return;
    }
    let cached = (CACHE_BYTES / (4 * panel)).max(1);
    for (tile, panels) in range.chunks(cached * panel).enumerate() {
        let base = params.base as usize + (first + tile * cached) * PANEL;
        let lists = scores.par_chunks_mut(GROUP * keep).zip(items.par_chunks_mut(GROUP * keep));
        let groups = lists.zip(user_factors.par_chunks(GROUP * width)).enumerate();
        groups.for_each(|(group, ((scores, items), rows))| {
            let rows = rows.as_chunks::<GROUP>().0;
            let mut found = [[0.0; PANEL]; GROUP];
            for (i, panel) in panels.chunks(panel).enumerate() {
                let base = (base + i * PANEL) as u32;
                let count = PANEL.min(params.end.saturating_sub(base) as usize);
                score(rows, panel.as_chunks::<PANEL>().0, &mut found);
                let lists = scores.chunks_mut(keep).zip(items.chunks_mut(keep));
                for (q, ((scores, items), found)) in lists.zip(&found).enumerate() {
                    let found = &found[..count];
                    let bar = scores[keep - 1];
                    // One pass that vectorises; few panels have anything to offer.
                    if found.iter().fold(false, |any, &score| any | (score > bar)) {
                        let unseen = |item| !seen.has(group * GROUP + q, item);
                        offer(found, base, unseen, scores, items);
                    }
                }
            }
        });
    }
}

/// Scores of a panel's items for a group of users, each summed factor by factor.
fn score(rows: &[[f32; GROUP]], panel: &[[f32; PANEL]], scores: &mut [[f32; PANEL]; GROUP]) {
    for part in 0..PANEL / LANES {
        let mut sums = [[0.0f32; LANES]; GROUP];
        for (u, v) in rows.iter().zip(panel) {
            let v = &v.as_chunks::<LANES>().0[part];
            for q in 0..GROUP {
                for lane in 0..LANES {
                    sums[q][lane] += u[q] * v[lane];
                }
            }
        }
        for (scores, sums) in scores.iter_mut().zip(&sums) {
            scores.as_chunks_mut::<LANES>().0[part] = *sums;
        }
    }
}

/// Puts whatever exceeds a list's last score in its place, behind its equals.
fn offer(found: &[f32], base: u32, unseen: impl Fn(u32) -> bool, scores: &mut [f32], items: &mut [u32]) {
    let last = scores.len() - 1;
    for (lane, &score) in found.iter().enumerate() {
        let item = base + lane as u32;
        if score > scores[last] && unseen(item) {
            let place = scores.partition_point(|&better| better >= score);
            scores.copy_within(place..last, place + 1);
            items.copy_within(place..last, place + 1);
            (scores[place], items[place]) = (score, item);
        }
    }
}
