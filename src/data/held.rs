//! Ratings to be predicted.

use super::ids::{IdMap, Ids};
use super::read::Triples;

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
        Self {
            user: triples.user.iter().map(|&user| users[user as usize]).collect(),
            item: triples.item.iter().map(|&item| items[item as usize]).collect(),
            value: triples.value.clone(),
        }
    }

    /// Number N of ratings.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Ratings whose user or item is unknown.
    pub fn unknown(&self) -> u64 {
        self.user.iter().zip(&self.item).filter(|(user, item)| user.is_none() || item.is_none()).count()
            as u64
    }
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
        assert_eq!((held.value.as_slice(), held.len(), held.unknown()), (&test.value[..], 4, 2));
    }
}
