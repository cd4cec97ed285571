//! Initial factors, drawn once on the host, so that every device starts equal.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// ChaCha streams of one seed; the hold-out draws from another.
const USER_STREAM: u64 = 1;
const ITEM_STREAM: u64 = 2;

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

/// Adds the bias columns, and the unknown's row at the end.
///
/// `constant`: the column that holds `unit` everywhere, of `rank + 2` columns; `None` adds none.
pub(super) fn widen(factors: &[f32], rank: usize, constant: Option<usize>, unit: f32) -> Vec<f32> {
    let width = rank + if constant.is_some() { 2 } else { 0 };
    let rows = factors.len() / rank + 1;
    let mut wide = vec![0.0; rows * width];
    for (to, from) in wide.chunks_exact_mut(width).zip(factors.chunks_exact(rank)) {
        to[..rank].copy_from_slice(from);
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
    fn the_spread_is_the_documented_one() {
        let (u, _) = factors(7, 4000, 1, 16);
        let variance = u.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / u.len() as f64;
        let expected = 0.03 / 4.0;
        assert!((variance / expected - 1.0).abs() < 0.02, "{variance} for {expected}");
    }
}
