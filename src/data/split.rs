//! Hold-outs: seeded, by user, or by time.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::held::Held;
use super::ratings::Ratings;
use crate::error::{Error, Result};

/// The ChaCha stream of the hold-out. Everything else that is drawn from the
/// same seed has a stream of its own.
pub const HOLDOUT_STREAM: u64 = 0x686f_6c64; // "hold"

/// Words that the generator takes for a draw.
const WORDS: u128 = 2;

/// Which ratings are set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HoldoutBy {
    /// Any, each equally likely.
    #[default]
    Random,
    /// A share of each user's, at random: round(n·fraction) of n, but at least
    /// one, and at least one stays. Who has one rating keeps it.
    User,
    /// The newest of all. Of equally old ones, the later in the file counts as newer.
    Time,
}

impl HoldoutBy {
    /// Every choice, in the order of the help text.
    pub const ALL: [HoldoutBy; 3] = [HoldoutBy::Random, HoldoutBy::User, HoldoutBy::Time];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            HoldoutBy::Random => "random",
            HoldoutBy::User => "user",
            HoldoutBy::Time => "time",
        }
    }
}

impl Ratings {
    /// Sets a part aside. Both parts keep the order and the ids of the whole.
    ///
    /// # Errors
    /// As [`Ratings::split`]; [`Error::Usage`] also if no user has two ratings to
    /// split by user, or if there are no timestamps to split by.
    pub fn split_by(self, by: HoldoutBy, fraction: f64, seed: u64) -> Result<(Ratings, Held)> {
        let held = match by {
            HoldoutBy::Random => hold_out(self.len(), fraction, seed)?,
            HoldoutBy::User => hold_out_of_each(&self.user, &self.user_counts(), fraction, seed)?,
            HoldoutBy::Time => hold_out_newest(self.time.as_deref(), self.len(), fraction)?,
        };
        Ok(self.part(&held))
    }

    /// Sets a part aside: round(N·fraction) ratings, but at least one, and at
    /// least one stays. Both parts keep the order and the ids of the whole.
    ///
    /// The same seed gives the same part, whatever the number of threads.
    ///
    /// # Errors
    /// [`Error::Usage`] if `fraction` is not between 0 and 1, or if there are
    /// fewer than two ratings.
    pub fn split(self, fraction: f64, seed: u64) -> Result<(Ratings, Held)> {
        self.split_by(HoldoutBy::Random, fraction, seed)
    }

    /// Parts the ratings that are held from those that are kept. `held`: `[N]`.
    pub(super) fn part(self, held: &[bool]) -> (Ratings, Held) {
        let mut kept = Ratings { users: self.users, items: self.items, ..Ratings::default() };
        kept.time = self.time.map(|times| {
            times.into_iter().zip(held).filter(|(_, held)| !**held).map(|(time, _)| time).collect()
        });
        let mut rest = Held::default();
        let triples = self.user.into_iter().zip(self.item).zip(self.value);
        for (((user, item), value), &held) in triples.zip(held) {
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
        (kept, rest)
    }
}

/// Which of `count` ratings are set aside, `[count]`.
///
/// Selection sampling (Knuth, TAOCP 2, section 3.4.2, algorithm S): every
/// subset of the wanted size is equally likely, and each rating costs one
/// 64-bit draw.
pub(super) fn hold_out(count: usize, fraction: f64, seed: u64) -> Result<Vec<bool>> {
    hold_out_of(count as u64, 0..count as u64, fraction, seed)
}

/// The same for these of them alone, `[range]`.
pub(super) fn hold_out_of(count: u64, range: Range<u64>, fraction: f64, seed: u64) -> Result<Vec<bool>> {
    check(count, fraction)?;
    let mut wanted = share(count, fraction);
    let mut rng = generator(seed);
    let drawn = (0..range.end).map(|at| draw(&mut rng, count - at, &mut wanted));
    Ok(drawn.skip(range.start as usize).collect())
}

/// The same within each user's ratings. `user`: `[N]`; `counts`: ratings of each user.
fn hold_out_of_each(user: &[u32], counts: &[u64], fraction: f64, seed: u64) -> Result<Vec<bool>> {
    let mut left = OfEach::new(user.len() as u64, counts, fraction)?;
    Ok(left.hold_out(user, 0, seed))
}

/// What is still to be held out of each user's ratings.
pub(super) struct OfEach {
    /// Ratings that were not yet looked at, `[m]`.
    pub(super) left: Vec<u64>,
    /// Those of them that are wanted, `[m]`.
    pub(super) wanted: Vec<u64>,
}

impl OfEach {
    /// Before the first of `count` ratings. `counts`: ratings of each user.
    pub(super) fn new(count: u64, counts: &[u64], fraction: f64) -> Result<Self> {
        check(count, fraction)?;
        if counts.iter().all(|&count| count < 2) {
            return Err(Error::usage(
                "no user has two ratings, of which one could be held out",
                "hold out by random instead",
            ));
        }
        let wanted = counts.iter().map(|&count| if count < 2 { 0 } else { share(count, fraction) });
        Ok(Self { left: counts.to_vec(), wanted: wanted.collect() })
    }

    /// Which of the next ratings are set aside, `[user.len()]`; so many were looked at before.
    #[expect(clippy::indexing_slicing, reason = "the counts are those of all users")]
    pub(super) fn hold_out(&mut self, user: &[u32], before: u64, seed: u64) -> Vec<bool> {
        let mut rng = generator(seed);
        rng.set_word_pos(WORDS * u128::from(before));
        let each = |&user: &u32| {
            let (left, wanted) = (&mut self.left[user as usize], &mut self.wanted[user as usize]);
            let held = draw(&mut rng, *left, wanted);
            *left -= 1;
            held
        };
        user.iter().map(each).collect()
    }
}

#[expect(clippy::indexing_slicing, reason = "there is a time for each rating")]
fn hold_out_newest(time: Option<&[i64]>, count: usize, fraction: f64) -> Result<Vec<bool>> {
    check(count as u64, fraction)?;
    let Some(time) = time else {
        return Err(Error::usage(
            "the ratings were read without timestamps",
            "read them with time, or hold out by random or by user",
        ));
    };
    // Stable: of equal times the later in the file is the newer.
    let mut order: Vec<(usize, i64)> = time.iter().copied().enumerate().collect();
    order.sort_by_key(|&(_, time)| time);
    let mut held = vec![false; count];
    for (position, _) in order.into_iter().rev().take(share(count as u64, fraction) as usize) {
        held[position] = true;
    }
    Ok(held)
}

/// round(count·fraction), but at least one, and at least one is left. `count`: at least 2.
pub(super) fn share(count: u64, fraction: f64) -> u64 {
    ((count as f64 * fraction).round() as u64).clamp(1, count - 1)
}

fn generator(seed: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(HOLDOUT_STREAM);
    rng
}

/// Whether the next of `left` is one of the `wanted`, which falls if so.
fn draw(rng: &mut ChaCha8Rng, left: u64, wanted: &mut u64) -> bool {
    // A whole number below `left`, from one draw: unbiased to left·2⁻⁶⁴.
    let below = ((u128::from(rng.next_u64()) * u128::from(left)) >> 64) as u64;
    let held = below < *wanted;
    *wanted -= u64::from(held);
    held
}

pub(super) fn check(count: u64, fraction: f64) -> Result<()> {
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
    Ok(())
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

    fn random(count: usize, seed: u64) -> Ratings {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut below = |n: u64| rng.next_u64() % n;
        let triples: Vec<(String, String, f32)> = (0..count)
            .map(|p| {
                let most = below(40) + 1;
                (format!("u{}", below(most)), format!("i{p}"), below(5) as f32)
            })
            .collect();
        let borrowed: Vec<(&str, &str, f32)> = triples.iter().map(|(u, i, r)| (&**u, &**i, *r)).collect();
        let time = Some((0..count).map(|_| below(30) as i64 - 15).collect());
        Ratings { time, ..ratings(&borrowed) }
    }

    #[test]
    fn each_user_gives_its_share_and_keeps_one() {
        for seed in 0..40 {
            let whole = random(3 + seed as usize * 11, seed);
            let fraction = (seed as f64 + 0.5) / 40.0;
            if whole.user_counts().iter().all(|&n| n < 2) {
                continue;
            }
            let (kept, held) = whole.clone().split_by(HoldoutBy::User, fraction, seed).unwrap();
            assert_eq!(kept.len() + held.len(), whole.len());
            for (user, n) in whole.user_counts().into_iter().enumerate() {
                let mine = held.user.iter().filter(|held| **held == Some(user as u32)).count() as u64;
                let wanted = if n < 2 { 0 } else { ((n as f64 * fraction).round() as u64).clamp(1, n - 1) };
                assert_eq!(mine, wanted, "user {user} of {n} ratings, {fraction}");
            }
            assert_eq!(kept.time.as_ref().map(Vec::len), Some(kept.len()));
            let again = whole.clone().split_by(HoldoutBy::User, fraction, seed).unwrap();
            assert_eq!(again, (kept.clone(), held.clone()));
        }
        let whole = random(400, 1);
        let held = |seed| whole.clone().split_by(HoldoutBy::User, 0.3, seed).unwrap().1;
        assert_ne!(held(1), held(2));
        let lonely = ratings(&[("a", "x", 1.0), ("b", "x", 2.0)]);
        let error = lonely.split_by(HoldoutBy::User, 0.5, 0).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("by random"), "{error}");
    }

    #[test]
    fn by_user_every_rating_of_one_is_equally_likely() {
        let user = [0_u32, 1, 0, 0, 1, 0, 0, 2];
        let mut times = [0_u32; 8];
        for seed in 0..4_000 {
            for (times, held) in times.iter_mut().zip(hold_out_of_each(&user, &[5, 2, 1], 0.4, seed).unwrap())
            {
                *times += u32::from(held);
            }
        }
        // User 0 gives 2 of 5, user 1 gives 1 of 2, user 2 keeps its own.
        for (position, &times) in times.iter().enumerate() {
            let expected: u32 = [1_600, 2_000, 0][user[position] as usize];
            assert!(times.abs_diff(expected) < 160, "{position}: {times}");
        }
        assert_eq!(times[7], 0);
    }

    #[test]
    fn the_newest_are_held_and_the_later_of_equals() {
        for seed in 0..40 {
            let whole = random(2 + seed as usize * 7, seed);
            let fraction = (seed as f64 + 0.5) / 40.0;
            let (kept, held) = whole.clone().split_by(HoldoutBy::Time, fraction, seed).unwrap();
            let wanted = ((whole.len() as f64 * fraction).round() as usize).clamp(1, whole.len() - 1);
            assert_eq!(held.len(), wanted);
            // Each item is rated once: its number is its place in the file.
            let age = |item: u32| (whole.time.as_ref().unwrap()[item as usize], item);
            let newest_kept = kept.item.iter().map(|&item| age(item)).max().unwrap();
            let oldest_held = held.item.iter().map(|&item| age(item.unwrap())).min().unwrap();
            assert!(newest_kept < oldest_held, "{newest_kept:?}, {oldest_held:?}");
            let times: Vec<i64> = kept.item.iter().map(|&item| age(item).0).collect();
            assert_eq!(kept.time, Some(times));
        }
        let error = counted(9).split_by(HoldoutBy::Time, 0.5, 0).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("timestamps"), "{error}");
        for by in HoldoutBy::ALL {
            assert!(
                random(9, 1).split_by(by, 0.0, 0).is_err()
                    && ratings(&[("a", "x", 1.0)]).split_by(by, 0.5, 0).is_err()
            );
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
