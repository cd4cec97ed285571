//! A seeded hold-out.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::held::Held;
use super::ratings::Ratings;
use crate::error::{Error, Result};

/// The ChaCha stream of the hold-out. Everything else that is drawn from the
/// same seed has a stream of its own.
pub const HOLDOUT_STREAM: u64 = 0x686f_6c64; // "hold"

impl Ratings {
    /// Sets a part aside: round(N·fraction) ratings, but at least one, and at
    /// least one stays. Both parts keep the order and the ids of the whole.
    ///
    /// The same seed gives the same part, whatever the number of threads.
    ///
    /// # Errors
    /// [`Error::Usage`] if `fraction` is not between 0 and 1, or if there are
    /// fewer than two ratings.
    pub fn split(self, fraction: f64, seed: u64) -> Result<(Ratings, Held)> {
        let held = hold_out(self.len(), fraction, seed)?;
        let mut kept = Ratings { users: self.users, items: self.items, ..Ratings::default() };
        let mut rest = Held::default();
        for (position, held) in held.into_iter().enumerate() {
            let (user, item, value) = (self.user[position], self.item[position], self.value[position]);
            if held {
                rest.user.push(Some(user));
                rest.item.push(Some(item));
                rest.value.push(value);
            } else {
                kept.user.push(user);
                kept.item.push(item);
                kept.value.push(value);
            }
        }
        Ok((kept, rest))
    }
}

/// Which of `count` ratings are set aside, `[count]`.
///
/// Selection sampling (Knuth, TAOCP 2, section 3.4.2, algorithm S): every
/// subset of the wanted size is equally likely, and each rating costs one
/// 64-bit draw.
pub(super) fn hold_out(count: usize, fraction: f64, seed: u64) -> Result<Vec<bool>> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::usage(
            format!("hold-out fraction {fraction} is out of range"),
            "pass a fraction above 0 and below 1, such as 0.1",
        ));
    }
    if count < 2 {
        return Err(Error::usage(
            format!("{count} rating{} can't be split", if count == 1 { "" } else { "s" }),
            "leave out the hold-out, or pass a file with at least 2 ratings",
        ));
    }
    let mut wanted = ((count as f64 * fraction).round() as u64).clamp(1, count as u64 - 1);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(HOLDOUT_STREAM);
    let draw = |left: u64| {
        // A whole number below `left`, from one draw: unbiased to left·2⁻⁶⁴.
        let below = ((u128::from(rng.next_u64()) * u128::from(left)) >> 64) as u64;
        let held = below < wanted;
        wanted -= u64::from(held);
        held
    };
    Ok((1..=count as u64).rev().map(draw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ratings::tests::ratings;

    fn counted(count: usize) -> Ratings {
        let ids: Vec<String> = (0..count).map(|p| format!("{p}")).collect();
        let triples: Vec<_> =
            ids.iter().enumerate().map(|(p, id)| (&**id, ["x", "y", "z"][p % 3], p as f32)).collect();
        ratings(&triples)
    }

    #[test]
    fn parts_together_are_the_whole_in_order() {
        for seed in 0..50 {
            let count = 2 + (seed as usize * 37) % 400;
            let fraction = (seed as f64 + 0.5) / 50.0;
            let whole = counted(count);
            let (kept, held) = whole.clone().split(fraction, seed).unwrap();
            let wanted = ((count as f64 * fraction).round() as usize).clamp(1, count - 1);
            assert_eq!((held.len(), kept.len()), (wanted, count - wanted));
            assert_eq!((&kept.users, &kept.items), (&whole.users, &whole.items));

            let mut triples: Vec<(u32, u32, f32)> =
                (0..kept.len()).map(|p| (kept.user[p], kept.item[p], kept.value[p])).collect();
            assert!(triples.is_sorted_by(|a, b| a.2 < b.2) && held.value.is_sorted_by(|a, b| a < b));
            triples.extend(
                (0..held.len()).map(|p| (held.user[p].unwrap(), held.item[p].unwrap(), held.value[p])),
            );
            triples.sort_by(|a, b| a.2.total_cmp(&b.2));
            let all = (0..count).map(|p| (whole.user[p], whole.item[p], whole.value[p]));
            assert!(triples.into_iter().eq(all));
        }
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let held = |seed, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| counted(1_000).split(0.3, seed).unwrap().1)
        };
        assert_eq!(held(7, 1), held(7, 4));
        assert_ne!(held(7, 1), held(8, 1));
        assert_ne!(held(7, 1), held(7 + (1 << 32), 1), "the upper half of the seed counts");
        let first: Vec<u32> = held(7, 1).user.iter().take(8).map(|user| user.unwrap()).collect();
        assert_eq!(
            first,
            [0, 3, 4, 6, 8, 10, 11, 13],
            "the split of a data set must stay the same from version to version"
        );
    }

    #[test]
    fn every_rating_is_equally_likely() {
        let mut times = [0_u32; 10];
        for seed in 0..4_000 {
            for (times, held) in times.iter_mut().zip(hold_out(10, 0.3, seed).unwrap()) {
                *times += u32::from(held);
            }
        }
        // 1,200 expected, standard deviation 29.
        assert!(times.iter().all(|times| times.abs_diff(1_200) < 145), "{times:?}");
    }

    #[test]
    fn one_rating_and_odd_fractions_are_refused() {
        for (count, fraction) in
            [(1, 0.5), (0, 0.5), (9, 0.0), (9, 1.0), (9, -0.1), (9, f64::NAN), (9, f64::INFINITY)]
        {
            let error = counted(count).split(fraction, 0).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
        assert_eq!(counted(2).split(1e-9, 0).unwrap().1.len(), 1);
        assert_eq!(counted(2).split(0.999, 0).unwrap().0.len(), 1);
    }
}
