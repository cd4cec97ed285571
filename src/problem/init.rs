//! Initial factors, drawn once on the host, so that every device starts equal.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::data::Side;
use crate::world::BLOCK_ROWS;

/// ChaCha streams of one seed, by the low byte of their number; above it stands the group of rows
/// that draws from it. The hold-out draws from another.
const FIRST_STREAMS: u64 = 1;
/// Of columns that are filled later.
const FILL_STREAMS: u64 = 3;

/// What a group of [`BLOCK_ROWS`] rows of a side draws from.
fn generator(seed: u64, streams: u64, side: Side, group: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((group as u64) << 8 | (streams + side as u64));
    rng
}

/// Factors of both sides: U `[users, rank]` and V `[items, rank]`, row-major.
///
/// Each element is drawn from N(0, t²), `t² = 0.03/√rank`, so that `u·v` starts
/// near 0 at any rank. Every group of [`BLOCK_ROWS`] rows comes from a stream of its own: U does not
/// depend on the number of items, nor a user's row on who draws the others.
pub fn factors(seed: u64, users: usize, items: usize, rank: usize) -> (Vec<f32>, Vec<f32>) {
    rayon::join(
        || side_factors(seed, Side::Users, 0..users, rank),
        || side_factors(seed, Side::Items, 0..items, rank),
    )
}

/// As [`factors`], of consecutive rows of a side, the first of which begins a group.
pub(crate) fn side_factors(seed: u64, side: Side, rows: Range<usize>, rank: usize) -> Vec<f32> {
    let scale = (0.03 / (rank as f64).sqrt()).sqrt();
    let first = rows.start / BLOCK_ROWS;
    let mut factors = vec![0.0f32; rows.len() * rank];
    factors.par_chunks_mut(BLOCK_ROWS * rank).enumerate().for_each(|(group, elements)| {
        let mut rng = generator(seed, FIRST_STREAMS, side, first + group);
        for element in elements {
            let x: f64 = StandardNormal.sample(&mut rng);
            *element = (scale * x) as f32;
        }
    });
    factors
}

/// Fills latent columns of one side that held nothing: every element of a row with ratings is drawn
/// from N(0, `variance`).
///
/// `first`: the number of the first row, which begins a group; `factors`: `[rows, width]`; `rated`:
/// whether a row has ratings, `[rows]`.
pub fn fill(
    seed: u64,
    side: Side,
    first: usize,
    factors: &mut [f32],
    columns: Range<usize>,
    variance: f64,
    rated: &[bool],
) {
    if columns.is_empty() || rated.is_empty() {
        return;
    }
    let (width, first) = (factors.len() / rated.len(), first / BLOCK_ROWS);
    let scale = variance.sqrt();
    let groups = factors.par_chunks_mut(BLOCK_ROWS * width).zip(rated.par_chunks(BLOCK_ROWS));
    groups.enumerate().for_each(|(group, (factors, rated))| {
        let mut rng = generator(seed, FILL_STREAMS, side, first + group);
        for (row, _) in factors.chunks_exact_mut(width).zip(rated).filter(|(_, rated)| **rated) {
            for x in &mut row[columns.clone()] {
                let normal: f64 = StandardNormal.sample(&mut rng);
                *x = (scale * normal) as f32;
            }
        }
    });
}

/// Adds latent columns that hold nothing yet, the bias columns, and the unknown's row at the end.
///
/// `from`: latent columns of `factors`, `rank` in the end; `constant`: the column that holds `unit`
/// everywhere, of `rank + 2` columns, `None` adds none.
pub(super) fn widen(
    factors: &[f32],
    from: usize,
    rank: usize,
    constant: Option<usize>,
    unit: f32,
) -> Vec<f32> {
    let width = rank + if constant.is_some() { 2 } else { 0 };
    let rows = factors.len() / from + 1;
    let mut wide = vec![0.0; rows * width];
    for (to, drawn) in wide.chunks_exact_mut(width).zip(factors.chunks_exact(from)) {
        to[..from].copy_from_slice(drawn);
    }
    if let Some(column) = constant {
        wide.iter_mut().skip(column).step_by(width).for_each(|x| *x = unit);
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_seed_counts() {
        let (u, v) = factors(1, 3, 4, 5);
        assert_eq!((u.len(), v.len()), (15, 20));
        assert_eq!(factors(1, 3, 4, 5), (u.clone(), v.clone()));
        for other in [0, 2, 1 + (1 << 32), 1 + (1 << 63)] {
            assert_ne!(factors(other, 3, 4, 5).0, u, "seed {other}");
        }
        assert_ne!(u[..], v[..15], "the sides differ");
        assert_eq!(factors(1, 3, 9, 5).0, u, "users don't depend on items");
    }

    #[test]
    fn groups_of_rows_are_drawn_apart() {
        for side in Side::BOTH {
            let all = side_factors(9, side, 0..200, 3);
            assert_eq!(side_factors(9, side, 64..200, 3), all[64 * 3..]);
            assert_eq!(side_factors(9, side, 128..150, 3), all[128 * 3..150 * 3]);
            assert_ne!(all[..64 * 3], all[64 * 3..128 * 3]);
            let rated: Vec<bool> = (0..200).map(|row| row % 7 != 0).collect();
            let filled = |first: usize| {
                let mut rest = vec![0.0; (200 - first) * 3];
                fill(9, side, first, &mut rest, 1..3, 1.0, &rated[first..]);
                rest
            };
            assert_eq!(filled(128), filled(0)[128 * 3..]);
        }
    }

    #[test]
    fn columns_are_filled_where_there_are_ratings() {
        let rated: Vec<bool> = (0..3_000).map(|row| row % 3 != 0).collect();
        let empty = vec![0.0; 3_000 * 7];
        let filled = |side| {
            let mut factors = empty.clone();
            fill(5, side, 0, &mut factors, 2..5, 0.25, &rated);
            factors
        };
        let users = filled(Side::Users);
        assert_ne!(users, filled(Side::Items), "the sides differ");
        let mut squares = 0.0;
        for (row, &rated) in users.chunks(7).zip(&rated) {
            assert!(row[..2].iter().chain(&row[5..]).all(|&x| x == 0.0));
            assert!(row[2..5].iter().all(|&x| (x != 0.0) == rated));
            squares += row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        }
        assert!((squares / (2_000.0 * 3.0) - 0.25).abs() < 0.02, "{squares}");
    }

    #[test]
    fn the_spread_is_the_documented_one() {
        let (u, _) = factors(7, 4000, 1, 16);
        let variance = u.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / u.len() as f64;
        let expected = 0.03 / 4.0;
        assert!((variance / expected - 1.0).abs() < 0.02, "{variance} for {expected}");
    }
}
