//! Ratings in memory: triples by index, the ids beside them.

use bytemuck::{Pod, cast_slice};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::held::Known;
use super::ids::Ids;
use super::sparse::{self, Compressed};
use super::text::hex;

/// Ratings as triples `(user[p], item[p], value[p])`, each pair at most once.
///
/// # Shapes
/// `user`, `item`, `value`: `[N]`; `user < users.len()`, `item < items.len()`.
/// The triples keep the order of the file, the ids that of their first use.
/// After a split an id may be without ratings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ratings {
    /// The m users' ids.
    pub users: Ids,
    /// The n items' ids.
    pub items: Ids,
    /// Index of each rating's user.
    pub user: Vec<u32>,
    /// Index of each rating's item.
    pub item: Vec<u32>,
    /// The ratings, finite.
    pub value: Vec<f32>,
    /// When each was given, `[N]`, where it was read: seconds since 1970, or
    /// whatever rises with time. Takes no part in [`Ratings::hash`]: nothing is
    /// learned from it.
    pub time: Option<Vec<i64>>,
}

/// The distribution of ratings in numbers. All zero where there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Number of ratings.
    pub count: u64,
    /// Least rating.
    pub min: f32,
    /// Greatest rating.
    pub max: f32,
    /// Mean rating.
    pub mean: f64,
    /// Standard deviation of the population (divided by N); exactly 0 if all ratings are equal.
    pub std: f64,
}

/// Ratings summed at a time: fixed, so that the sums do not depend on the number of threads.
pub(super) const CHUNK: usize = 1 << 16;

impl Ratings {
    /// Number N of ratings.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The triples `(user, item, value)`, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, u32, f32)> + Clone {
        let pairs = self.user.iter().zip(&self.item);
        pairs.zip(&self.value).map(|((&user, &item), &value)| (user, item, value))
    }

    /// Count, range, mean and standard deviation, the same for any number of threads.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.value)
    }

    /// SHA-256, in hex, of the ids and the triples in their order. Files of
    /// different formats with the same ratings in the same order agree.
    pub fn hash(&self) -> String {
        let mut hash = hash_of_ids([&self.users, &self.items], self.len() as u64);
        hash_indices(&mut hash, &self.user);
        hash_indices(&mut hash, &self.item);
        hash_values(&mut hash, &self.value);
        hex(&hash.finalize())
    }

    /// The items of each user (CSR) and the order that leads from its entries
    /// to the triples; see [`Compressed::build`].
    pub fn by_user(&self) -> (Compressed, Vec<u64>) {
        Compressed::build(self.users.len(), &self.user, &self.item)
    }

    /// The users of each item (CSC) and the order that leads from its entries
    /// to the triples; see [`Compressed::build`].
    pub fn by_item(&self) -> (Compressed, Vec<u64>) {
        Compressed::build(self.items.len(), &self.item, &self.user)
    }

    /// Number of ratings of each user, `[m]`.
    pub fn user_counts(&self) -> Vec<u64> {
        sparse::count(self.users.len(), &self.user)
    }

    /// Number of ratings of each item, `[n]`.
    pub fn item_counts(&self) -> Vec<u64> {
        sparse::count(self.items.len(), &self.item)
    }

    /// Who has ratings, to whoever is trained on these.
    pub fn known(&self) -> Known {
        Known { user_counts: self.user_counts(), item_counts: self.item_counts() }
    }
}

impl Stats {
    /// Count, range, mean and standard deviation of finite values, in two
    /// passes of f64 sums over fixed chunks.
    pub fn of(values: &[f32]) -> Self {
        let Some(&first) = values.first() else {
            return Self::default();
        };
        let (min, max) = values
            .par_iter()
            .fold(|| (first, first), |(min, max), &value| (min.min(value), max.max(value)))
            .reduce(|| (first, first), |a, b| (a.0.min(b.0), a.1.max(b.1)));
        let count = values.len() as u64;
        if min == max {
            // Past 2²⁹ equal ratings their sum rounds, and the deviation would not be exactly 0.
            return Self { count, min, max, mean: f64::from(min), std: 0.0 };
        }
        let mean = sum(values, f64::from) / count as f64;
        let variance = sum(values, |value| (f64::from(value) - mean).powi(2)) / count as f64;
        Self { count, min, max, mean, std: variance.sqrt() }
    }
}

fn sum(values: &[f32], term: impl Fn(f32) -> f64 + Sync) -> f64 {
    sums(values, term).into_iter().sum()
}

/// The sums of chunks, one after the other.
pub(super) fn sums(values: &[f32], term: impl Fn(f32) -> f64 + Sync) -> Vec<f64> {
    values.par_chunks(CHUNK).map(|chunk| add(NOTHING, chunk, &term)).collect()
}

/// The sum of no numbers, as [`Iterator::sum`] has it.
pub(super) const NOTHING: f64 = -0.0;

/// Goes on with the sum of a chunk.
pub(super) fn add(sum: f64, values: &[f32], term: impl Fn(f32) -> f64) -> f64 {
    values.iter().fold(sum, |sum, &value| sum + term(value))
}

/// The hash of so many ratings before the first of them.
pub(super) fn hash_of_ids(sides: [&Ids; 2], count: u64) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(b"deltav ratings 1");
    for ids in sides {
        let (bytes, offsets) = ids.parts();
        update_with(&mut hash, offsets, u64::to_le);
        hash.update(bytes);
    }
    hash.update(count.to_le_bytes());
    hash
}

/// Hashes the indices of users, or of items.
pub(super) fn hash_indices(hash: &mut Sha256, indices: &[u32]) {
    update_with(hash, indices, u32::to_le);
}

/// Hashes ratings.
pub(super) fn hash_values(hash: &mut Sha256, values: &[f32]) {
    // -0 and 0 are one rating.
    update_with(hash, values, |value| (value + 0.0).to_bits().to_le());
}

/// Hashes numbers as they are `put` into bytes, little end first.
fn update_with<T: Copy, B: Pod>(hash: &mut Sha256, values: &[T], put: impl Fn(T) -> B) {
    let mut buffer = Vec::with_capacity(CHUNK.min(values.len()));
    for chunk in values.chunks(CHUNK) {
        buffer.clear();
        buffer.extend(chunk.iter().map(|&value| put(value)));
        hash.update(cast_slice(&buffer));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::data::IdMap;

    /// Ratings from literal triples.
    pub(crate) fn ratings(triples: &[(&str, &str, f32)]) -> Ratings {
        let (mut users, mut items) = (IdMap::new(), IdMap::new());
        let mut ratings = Ratings::default();
        for (user, item, value) in triples {
            ratings.user.push(users.get_or_insert(user.as_bytes()).unwrap());
            ratings.item.push(items.get_or_insert(item.as_bytes()).unwrap());
            ratings.value.push(*value);
        }
        Ratings { users: users.into_ids(), items: items.into_ids(), ..ratings }
    }

    #[test]
    fn stats_of_a_known_sample() {
        let stats = ratings(&[("a", "x", 1.0), ("a", "y", 2.0), ("b", "x", 4.0), ("b", "y", 5.0)]).stats();
        assert_eq!((stats.count, stats.min, stats.max, stats.mean), (4, 1.0, 5.0, 3.0));
        assert!((stats.std - 2.5_f64.sqrt()).abs() < 1e-15, "population, not sample: {}", stats.std);
        assert_eq!(Stats::of(&[]), Stats::default());
    }

    #[test]
    fn equal_ratings_have_deviation_zero() {
        for value in [0.1_f32, 3.3, -7.7, 1e30] {
            let stats = Stats::of(&vec![value; 1_000_003]);
            assert_eq!((stats.mean, stats.std), (f64::from(value), 0.0));
        }
    }

    #[test]
    fn stats_survive_a_large_offset_and_large_values() {
        let far: Vec<f32> = (0..200_000).map(|p| 1e6 + (p % 2) as f32).collect();
        assert!((Stats::of(&far).std - 0.5).abs() < 1e-9);
        let large = Stats::of(&[f32::MAX, f32::MIN]);
        assert_eq!((large.mean, large.std), (0.0, f64::from(f32::MAX)));
    }

    #[test]
    fn stats_do_not_depend_on_the_threads() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let values: Vec<f32> = (0..500_000).map(|_| rng.random_range(0.5..5.0)).collect();
        let with = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| Stats::of(&values))
        };
        assert_eq!(with(1), with(4));
    }

    #[test]
    fn hash_follows_ids_triples_and_values_only() {
        let base = [("a", "x", 1.0), ("b", "y", 2.0)];
        let hash = |triples: &[_]| ratings(triples).hash();
        assert_eq!(hash(&base).len(), 64);
        assert_eq!(hash(&base), hash(&base));
        assert_eq!(hash(&[("a", "x", 0.0)]), hash(&[("a", "x", -0.0)]));
        for other in [
            [("a", "x", 1.0), ("b", "y", 2.5)],
            [("a", "x", 1.0), ("c", "y", 2.0)],
            [("a", "x", 1.0), ("b", "x", 2.0)],
            [("b", "y", 2.0), ("a", "x", 1.0)],
        ] {
            assert_ne!(hash(&base), hash(&other), "{other:?}");
        }
        // The border between two ids counts, too.
        assert_ne!(hash(&[("ab", "x", 1.0), ("c", "x", 1.0)]), hash(&[("a", "x", 1.0), ("bc", "x", 1.0)]));
        assert_eq!(
            hash(&base),
            "c7da86f9bb8892313837a491b633ab97e82c281ff30038fb3bc5272f4467d535",
            "the hash of a data set must stay the same from version to version"
        );
    }

    #[test]
    fn counts_and_both_layouts() {
        let ratings = ratings(&[("a", "x", 1.0), ("b", "y", 2.0), ("a", "z", 3.0), ("b", "x", 4.0)]);
        assert_eq!(ratings.user_counts(), [2, 2]);
        assert_eq!(ratings.item_counts(), [2, 1, 1]);
        let (by_user, order) = ratings.by_user();
        assert_eq!((by_user.row(0), by_user.row(1)), (&[0, 2][..], &[0, 1][..]));
        assert_eq!(sparse::gather(&order, &ratings.value), [1.0, 3.0, 4.0, 2.0]);
        let (by_item, order) = ratings.by_item();
        assert_eq!((by_item.row(0), by_item.row(1), by_item.row(2)), (&[0, 1][..], &[1][..], &[0][..]));
        assert_eq!(sparse::gather(&order, &ratings.value), [1.0, 4.0, 2.0, 3.0]);
    }
}
