//! Ratings to be predicted.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::ids::{IdMap, Ids};
use super::ratings::hash_values;
use super::read::Triples;
use super::text::{hex, quoted};
use crate::error::Error;

/// How many training ratings everyone has. Whoever has none is unknown: an id alone teaches
/// nothing. That is decided here, for losses, predictions and messages alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Training ratings of each user, `[m]`.
    pub user_counts: Vec<u64>,
    /// Training ratings of each item, `[n]`.
    pub item_counts: Vec<u64>,
}

impl Known {
    /// Training ratings of a user; 0 where the index is out of range.
    pub fn user_ratings(&self, user: u32) -> u64 {
        self.user_counts.get(user as usize).copied().unwrap_or(0)
    }

    /// Training ratings of an item; 0 where the index is out of range.
    pub fn item_ratings(&self, item: u32) -> u64 {
        self.item_counts.get(item as usize).copied().unwrap_or(0)
    }

    /// The user, unless unknown.
    pub fn user(&self, user: Option<u32>) -> Option<u32> {
        user.filter(|&user| self.user_ratings(user) > 0)
    }

    /// The item, unless unknown.
    pub fn item(&self, item: Option<u32>) -> Option<u32> {
        item.filter(|&item| self.item_ratings(item) > 0)
    }
}

/// Ratings to be predicted: indices into a training set's ids, `None` where
/// the training set does not know the id.
///
/// # Shapes
/// All `[N]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    /// Index of each rating's user.
    pub user: Vec<Option<u32>>,
    /// Index of each rating's item.
    pub item: Vec<Option<u32>>,
    /// The ratings, finite.
    pub value: Vec<f32>,
}

impl Held {
    /// Looks the ids of a test file up among those of a training set.
    pub fn from_triples(triples: &Triples, users: &IdMap, items: &IdMap) -> Self {
        // Each id is looked up once, not once for each of its ratings.
        let lookup =
            |ids: &Ids, known: &IdMap| -> Vec<Option<u32>> { ids.iter().map(|id| known.get(id)).collect() };
        let (users, items) = (lookup(&triples.users, users), lookup(&triples.items, items));
        let found = |indices: &[u32], ids: &[Option<u32>]| -> Vec<Option<u32>> {
            indices.iter().map(|&index| ids.get(index as usize).copied().flatten()).collect()
        };
        Self {
            user: found(&triples.user, &users),
            item: found(&triples.item, &items),
            value: triples.value.clone(),
        }
    }

    /// SHA-256 of the ratings, in hex, by the indices of their users and items.
    pub fn hash(&self) -> String {
        let mut hash = hash_of_held();
        hash_known(&mut hash, &self.user);
        hash_known(&mut hash, &self.item);
        hash_values(&mut hash, &self.value);
        hex(&hash.finalize())
    }

    /// Number N of ratings.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The triples `(user, item, value)`, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Option<u32>, Option<u32>, f32)> + Clone {
        let pairs = self.user.iter().zip(&self.item);
        pairs.zip(&self.value).map(|((&user, &item), &value)| (user, item, value))
    }

    /// Ratings whose user or item is unknown.
    pub fn unknown(&self, known: &Known) -> u64 {
        let unknown = |(user, item): (&Option<u32>, &Option<u32>)| {
            known.user(*user).is_none() || known.item(*item).is_none()
        };
        self.user.iter().zip(&self.item).filter(|pair| unknown(*pair)).count() as u64
    }
}

/// The error for ratings none of which has both a user and an item that are trained on. `any`: whether
/// any user is known, and any item. `first`: the first ids that were read.
pub(crate) fn none_known(path: &Path, any: [bool; 2], first: Option<(&[u8], &[u8])>) -> Error {
    let what = match any {
        [false, false] => "none of its users and items is among those trained on",
        [false, true] => "none of its users is among those trained on",
        [true, false] => "none of its items is among those trained on",
        [true, true] => "none of its ratings has both a user and an item that were trained on",
    };
    let remedy = match first.map(|(user, item)| (quoted(user), quoted(item))) {
        Some((user, item)) => {
            format!(
                "the first line read is user {user}, item {item}: if these are the wrong columns, pass --columns"
            )
        }
        None => "pass another file".to_owned(),
    };
    Error::data(path, what, remedy)
}

/// The hash of held ratings before the first of them.
pub(super) fn hash_of_held() -> Sha256 {
    Sha256::new_with_prefix(b"deltav held 1")
}

/// Hashes the indices of users, or of items.
pub(super) fn hash_known(hash: &mut Sha256, indices: &[Option<u32>]) {
    // One more than an index; 0 is anyone unknown.
    indices.iter().for_each(|id| hash.update(id.map_or(0, |id| u64::from(id) + 1).to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(ids: &[&str]) -> IdMap {
        let mut map = IdMap::new();
        for id in ids {
            map.get_or_insert(id.as_bytes()).unwrap();
        }
        map
    }

    #[test]
    fn ids_are_looked_up_in_the_training_set() {
        let test = Triples {
            users: map(&["b", "new", "a"]).into_ids(),
            items: map(&["y", "x", "odd"]).into_ids(),
            user: vec![0, 1, 2, 0],
            item: vec![0, 1, 2, 1],
            value: vec![1.0, 2.0, 3.0, 4.0],
            time: None,
        };
        let held = Held::from_triples(&test, &map(&["a", "b"]), &map(&["x", "y", "z"]));
        assert_eq!(held.user, [Some(1), None, Some(0), Some(1)]);
        assert_eq!(held.item, [Some(1), Some(0), None, Some(0)]);
        assert_eq!((held.value.as_slice(), held.len()), (&test.value[..], 4));

        let all = Known { user_counts: vec![1, 2], item_counts: vec![1, 1, 1] };
        assert_eq!(held.unknown(&all), 2);
        // b has an id, and nothing was learned of it.
        let known = Known { user_counts: vec![2, 0], ..all };
        assert_eq!((held.unknown(&known), known.user(Some(1)), known.user(Some(9))), (4, None, None));
    }
}
