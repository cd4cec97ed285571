//! The twin in vectors: a matrix product in registers, four users by a panel of items.
//!
//! A panel stays in a core's first cache while the users of a tile pass it, so that its items
//! are fetched once for all of them. Scores never leave the registers but where one of a vector
//! beats the last of a user's list, which after the first panels is seldom.

use super::{GROUP, PANEL, Params, Seen};
use crate::kernel::simd::{LANES, Simd, WithSimd, vectors};

/// Groups of users of a tile: with their factors and lists a part of a core's second cache.
pub(super) const GROUPS: usize = 32;

/// Places of a list that is searched from end to end.
const SHORT: usize = 64;

/// Vectors of a panel's row.
const VECTORS: usize = PANEL / LANES;

/// Some groups of users and all panels of a range.
pub(super) struct Tile<'a> {
    pub(super) params: Params,
    /// Index of the first user.
    pub(super) first: usize,
    /// Users in groups, `[groups, width, GROUP]`, at most [`GROUPS`].
    pub(super) users: &'a [f32],
    /// The range's panels, `[panels, width, PANEL]`.
    pub(super) panels: &'a [f32],
    pub(super) seen: Seen<'a>,
    /// The lists, `[users, keep]`.
    pub(super) scores: &'a mut [f32],
    pub(super) items: &'a mut [u32],
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Sixteen sums and a row of a panel, if there are registers for them.
        if const { S::REGISTER_COUNT >= 32 } {
            self.fill::<S, VECTORS>(simd);
        } else {
            self.fill::<S, 1>(simd);
        }
    }
}

impl Tile<'_> {
    /// `N` vectors of items at a time.
    #[inline(always)]
    fn fill<S: Simd, const N: usize>(self, simd: S) {
        let Self { params, first, users, panels, seen, scores, items } = self;
        let (width, keep) = (params.width as usize, params.keep as usize);
        let base = params.base + params.first * PANEL as u32;
        let mut passed = [0; GROUPS * GROUP];
        for (user, passed) in passed.iter_mut().enumerate().take(scores.len() / keep) {
            let (start, row) = seen.row(first + user);
            *passed = start + row.partition_point(|&item| item < base);
        }
        for (panel, base) in panels.chunks_exact(width * PANEL).zip((base..).step_by(PANEL)) {
            let panel = vectors::<S>(panel).as_chunks::<VECTORS>().0;
            let count = params.end.saturating_sub(base).min(PANEL as u32);
            let lists = scores.chunks_mut(GROUP * keep).zip(items.chunks_mut(GROUP * keep));
            let groups = lists.zip(users.chunks_exact(GROUP * width)).enumerate();
            for (group, ((scores, items), rows)) in groups {
                let rows = rows.as_chunks::<GROUP>().0;
                for part in (0..VECTORS).step_by(N) {
                    let found = score::<S, N>(simd, rows, panel, part);
                    let lists = scores.chunks_exact_mut(keep).zip(items.chunks_exact_mut(keep));
                    for (q, (found, (scores, items))) in found.iter().zip(lists).enumerate() {
                        let most = found.iter().fold(found[0], |most, &v| simd.max_f32s(most, v));
                        if !any_above(simd, most, scores[keep - 1]) {
                            continue;
                        }
                        let user = group * GROUP + q;
                        let unseen = !seen.lanes(first + user, &mut passed[user], base);
                        let listed = unseen & u64::MAX.checked_shr(PANEL as u32 - count).unwrap_or(0);
                        for (n, &found) in found.iter().enumerate() {
                            let place = ((part + n) * LANES) as u32;
                            let above = lanes_above(simd, found, scores[keep - 1]);
                            let lanes = above & (listed >> place) as u16;
                            offer(lanes, bytemuck::cast_slice(&[found]), base + place, scores, items);
                        }
                    }
                }
            }
        }
    }
}

/// Scores of `N` vectors of a panel's items for a group of users, each summed factor by factor.
#[inline(always)]
fn score<S: Simd, const N: usize>(
    simd: S,
    rows: &[[f32; GROUP]],
    panel: &[[S::f32s; VECTORS]],
    part: usize,
) -> [[S::f32s; N]; GROUP] {
    let mut sums = [[simd.splat_f32s(0.0); N]; GROUP];
    for (u, v) in rows.iter().zip(panel) {
        for (sums, &u) in sums.iter_mut().zip(u) {
            let u = simd.splat_f32s(u);
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum = simd.mul_add_f32s(u, v[(part + n) % VECTORS], *sum);
            }
        }
    }
    sums
}

/// Whether a lane is above a bar.
#[inline(always)]
fn any_above<S: Simd>(simd: S, found: S::f32s, bar: f32) -> bool {
    if const { size_of::<S::m32s>() == size_of::<u16>() } {
        lanes_above(simd, found, bar) != 0
    } else {
        simd.reduce_max_f32s(found) > bar
    }
}

/// The lanes above a bar, a bit each.
#[inline(always)]
fn lanes_above<S: Simd>(simd: S, found: S::f32s, bar: f32) -> u16 {
    let above = simd.greater_than_f32s(found, simd.splat_f32s(bar));
    // One bit a lane where masks are registers of their own, else 32.
    match *bytemuck::bytes_of(&above) {
        [low, high] => u16::from_le_bytes([low, high]),
        ref bytes => {
            let lanes = bytes.chunks_exact(size_of::<f32>()).enumerate();
            lanes.fold(0, |bits, (lane, bytes)| bits | u16::from(bytes[0] != 0) << lane)
        }
    }
}

/// Puts what still exceeds a list's last score in its place, behind its equals.
#[inline(always)]
fn offer(mut lanes: u16, found: &[f32], base: u32, scores: &mut [f32], items: &mut [u32]) {
    let last = scores.len() - 1;
    while lanes != 0 {
        let lane = lanes.trailing_zeros();
        lanes &= lanes - 1;
        let score = found[lane as usize];
        if score > scores[last] {
            // In a short list all comparisons in vectors are faster than few that can't be foreseen.
            let place = match scores.len() {
                ..=SHORT => scores.iter().map(|&better| usize::from(better >= score)).sum(),
                _ => scores.partition_point(|&better| better >= score),
            };
            scores.copy_within(place..last, place + 1);
            items.copy_within(place..last, place + 1);
            (scores[place], items[place]) = (score, base + lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LOWEST, NONE, place_row};
    use super::*;
    use crate::kernel::simd::InstructionSet;

    /// The same lists, bit for bit, from every instruction set.
    #[test]
    fn every_instruction_set_fills_the_same_lists() {
        let (users, count, width, keep) = (7usize, 3 * PANEL - 20, 37, 30);
        let element = |row: usize, f: usize| ((row * 31 + f * 7) as f32 * 0.37).sin();
        let mut rows = vec![0.0; users.div_ceil(GROUP) * GROUP * width];
        let mut panels = vec![0.0; 3 * PANEL * width];
        for user in 0..users {
            place_row::<GROUP>(&mut rows, width, user, (0..width).map(|f| element(user, f)));
        }
        for item in 0..count {
            place_row::<PANEL>(&mut panels, width, item, (0..width).map(|f| element(item + 50, f)));
        }
        let offsets: Vec<u32> = (0..=users as u32).map(|user| 3 * user).collect();
        let positions: Vec<u32> = (0..users as u32).flat_map(|user| [user, 60 + user, 130 + user]).collect();
        let params = Params {
            users: users as u32,
            width: width as u32,
            first: 0,
            panels: 3,
            base: 0,
            end: count as u32,
            keep: keep as u32,
            fresh: 1,
        };
        let lists = |set: InstructionSet| {
            let mut scores = vec![LOWEST; users * keep];
            let mut items = vec![NONE; users * keep];
            set.run(Tile {
                params,
                first: 0,
                users: &rows,
                panels: &panels,
                seen: Seen { offsets: &offsets, positions: &positions },
                scores: &mut scores,
                items: &mut items,
            });
            (scores.into_iter().map(f32::to_bits).collect::<Vec<_>>(), items)
        };
        let expected = lists(InstructionSet::Plain);
        assert!(expected.1.iter().all(|&item| item < count as u32));
        for set in InstructionSet::all() {
            assert_eq!(lists(set), expected, "{set:?}");
        }
    }
}
