//! Initial factors, drawn once on the host, so that every device starts equal.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::data::Side;

/// ChaCha streams of one seed; the hold-out draws from another.
const USER_STREAM: u64 = 1;
const ITEM_STREAM: u64 = 2;
/// Of columns that are filled later: of the users, and behind it of the items.
const FILL_STREAM: u64 = 3;

/// Factors of both sides: U `[users, rank]` and V `[items, rank]`, row-major.
///
/// Each element is drawn from N(0, t²), `t² = 0.03/√rank`, so that `u·v` starts
/// near 0 at any rank. The two sides come from streams of their own: U does not
/// depend on the number of items.
pub fn factors(seed: u64, users: usize, items: usize, rank: usize) -> (Vec<f32>, Vec<f32>) {
    let scale = (0.03 / (rank as f64).sqrt()).sqrt();
    let draw = |stream, rows: usize| -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        (0..rows * rank)
            .map(|_| {
                let x: f64 = StandardNormal.sample(&mut rng);
                (scale * x) as f32
            })
            .collect()
    };
    rayon::join(|| draw(USER_STREAM, users), || draw(ITEM_STREAM, items))
}

/// Fills latent columns of one side that held nothing: every element of a row with ratings is drawn
/// from N(0, `variance`).
///
/// `factors`: `[rows, width]`; `rated`: whether a row has ratings, `[rows]`.
pub fn fill(
    seed: u64,
    side: Side,
    factors: &mut [f32],
    columns: Range<usize>,
    variance: f64,
    rated: &[bool],
) {
    if columns.is_empty() || rated.is_empty() {
        return;
    }
    let width = factors.len() / rated.len();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(FILL_STREAM + side as u64);
    let scale = variance.sqrt();
    for (row, _) in factors.chunks_exact_mut(width).zip(rated).filter(|(_, rated)| **rated) {
        for x in &mut row[columns.clone()] {
            let normal: f64 = StandardNormal.sample(&mut rng);
            *x = (scale * normal) as f32;
        }
    }
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
    fn columns_are_filled_where_there_are_ratings() {
        let rated: Vec<bool> = (0..3_000).map(|row| row % 3 != 0).collect();
        let empty = vec![0.0; 3_000 * 7];
        let filled = |side| {
            let mut factors = empty.clone();
            fill(5, side, &mut factors, 2..5, 0.25, &rated);
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
