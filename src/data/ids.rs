//! Ids are opaque byte strings, numbered from 0 in the order they were first seen.
//!
//! All bytes of one side lie in one arena: an id costs its own length and
//! eight bytes of offset, no allocation.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct ids that one side may hold: an index is a `u32`, and one value stays free for "none".
pub const MAX_IDS: u32 = u32::MAX - 1;

/// The ids of one side, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    bytes: Vec<u8>,
    offsets: Vec<u64>, // [len + 1]
}

impl Default for Ids {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }
}

impl Ids {
    /// Number of ids.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id with this index, byte for byte as it was read.
    ///
    /// # Panics
    /// If `index` is not below [`Ids::len`].
    #[expect(clippy::indexing_slicing, reason = "documented; the offsets are those of the arena")]
    pub fn get(&self, index: u32) -> &[u8] {
        let index = index as usize;
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    /// The id with this index as text; bytes that are not UTF-8 become `�`.
    ///
    /// # Panics
    /// If `index` is not below [`Ids::len`].
    pub fn text(&self, index: u32) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(index))
    }

    /// Whether all of them are text.
    pub fn is_utf8(&self) -> bool {
        self.iter().all(|id| std::str::from_utf8(id).is_ok())
    }

    /// All ids in the order of their indices.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let ends = self.offsets.iter().zip(self.offsets.iter().skip(1));
        ends.map(|(&start, &end)| self.bytes.get(start as usize..end as usize).unwrap_or_default())
    }

    /// The arena and the `len + 1` offsets into it, for a file.
    pub fn parts(&self) -> (&[u8], &[u64]) {
        (&self.bytes, &self.offsets)
    }

    /// Ids from what [`Ids::parts`] gave. `None` unless the offsets begin with
    /// 0, never fall, end with the arena and number at most [`MAX_IDS`] + 1.
    /// Whether the ids are distinct is not checked.
    pub fn from_parts(bytes: Vec<u8>, offsets: Vec<u64>) -> Option<Self> {
        let whole = offsets.first() == Some(&0) && offsets.last() == Some(&(bytes.len() as u64));
        let rising = offsets.is_sorted();
        let few = offsets.len() as u64 <= u64::from(MAX_IDS) + 1;
        (whole && rising && few).then_some(Self { bytes, offsets })
    }

    /// Those from an index on, numbered anew from 0.
    pub(super) fn tail(&self, from: usize) -> Ids {
        let base = self.offsets.get(from).copied().unwrap_or(self.bytes.len() as u64);
        let bytes = self.bytes.get(base as usize..).unwrap_or_default().to_vec();
        let behind = self.offsets.iter().skip(from + 1).map(|offset| offset - base);
        Ids { bytes, offsets: [0].into_iter().chain(behind).collect() }
    }

    /// Those with these indices, numbered anew from 0.
    pub(super) fn part(&self, range: Range<usize>) -> Ids {
        let mut part = Ids::default();
        self.iter().skip(range.start).take(range.len()).for_each(|id| part.push(id));
        part
    }

    pub(super) fn push(&mut self, id: &[u8]) {
        self.bytes.extend_from_slice(id);
        self.offsets.push(self.bytes.len() as u64);
    }
}

/// Ids with the way back: id → index.
#[derive(Debug, Clone)]
pub struct IdMap {
    ids: Ids,
    table: HashTable<u32>, // indices; the keys are in the arena
    hasher: DefaultHashBuilder,
    limit: u32,
}

impl Default for IdMap {
    fn default() -> Self {
        Self {
            ids: Ids::default(),
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            limit: MAX_IDS,
        }
    }
}

impl IdMap {
    /// A map without ids.
    pub fn new() -> Self {
        Self::default()
    }

    /// A map that takes so many ids.
    #[cfg(test)]
    pub(super) fn limited(limit: u32) -> Self {
        Self { limit, ..Self::new() }
    }

    /// The index of `id`, which gets the next free one if it is new. `None`
    /// if it is new and there are [`MAX_IDS`] already.
    pub fn get_or_insert(&mut self, id: &[u8]) -> Option<u32> {
        let Self { ids, table, hasher, limit } = self;
        let hash = hasher.hash_one(id);
        if let Some(&index) = table.find(hash, |&index| ids.get(index) == id) {
            return Some(index);
        }
        let index = ids.len() as u32; // fits: at most `limit` are ever pushed
        if index >= *limit {
            return None;
        }
        ids.push(id);
        table.insert_unique(hash, index, |&index| hasher.hash_one(ids.get(index)));
        Some(index)
    }

    /// The index of `id` if it is known.
    pub fn get(&self, id: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.table.find(hash, |&index| self.ids.get(index) == id).copied()
    }

    /// The ids by index.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The ids by index, without the way back.
    pub fn into_ids(self) -> Ids {
        self.ids
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Where an id occurs twice, its first index is the one found.
impl From<Ids> for IdMap {
    fn from(ids: Ids) -> Self {
        let hasher = DefaultHashBuilder::default();
        let mut table = HashTable::with_capacity(ids.len());
        for (index, id) in (0..).zip(ids.iter()) {
            let hash = hasher.hash_one(id);
            if table.find(hash, |&known| ids.get(known) == id).is_none() {
                table.insert_unique(hash, index, |&index| hasher.hash_one(ids.get(index)));
            }
        }
        Self { ids, table, hasher, limit: MAX_IDS }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn ids_are_opaque_bytes() {
        let long = [b'x'; 300];
        let odd: [&[u8]; 9] =
            [b"007", b"7", b"07", b" 7", b"\"q\"", b"a b", "Zoë 🦀".as_bytes(), b"\xff\x00", &long];
        let mut map = IdMap::new();
        for (index, id) in (0..).zip(odd) {
            assert_eq!(map.get_or_insert(id), Some(index));
        }
        for (index, id) in (0..).zip(odd) {
            assert_eq!(map.get(id), Some(index));
            assert_eq!(map.ids().get(index), id);
        }
        assert_eq!(map.get(b"7 "), None);
        assert_eq!(map.ids().text(7), "\u{fffd}\0");
        assert!(map.ids().iter().eq(odd));
    }

    #[test]
    fn agrees_with_a_hash_map_on_random_ids() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut map = IdMap::new();
            let mut naive: HashMap<Vec<u8>, u32> = HashMap::new();
            for _ in 0..2_000 {
                let length = rng.random_range(1..4);
                let id: Vec<u8> = (0..length).map(|_| rng.random_range(0..6)).collect();
                let next = naive.len() as u32;
                let expected = *naive.entry(id.clone()).or_insert(next);
                assert_eq!(map.get_or_insert(&id), Some(expected));
            }
            let back = IdMap::from(map.clone().into_ids());
            for (id, &index) in &naive {
                assert_eq!(map.get(id), Some(index));
                assert_eq!(back.get(id), Some(index));
            }
            assert_eq!((map.len(), map.get(b"unknown")), (naive.len(), None));
        }
    }

    #[test]
    fn a_full_map_still_finds_but_takes_no_more() {
        let mut map = IdMap::limited(2);
        assert_eq!(map.get_or_insert(b"a"), Some(0));
        assert_eq!(map.get_or_insert(b"b"), Some(1));
        assert_eq!(map.get_or_insert(b"c"), None);
        assert_eq!(map.get_or_insert(b"a"), Some(0));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn the_first_of_two_equal_ids_is_found() {
        let ids = Ids::from_parts(b"aba".to_vec(), vec![0, 1, 2, 3]).unwrap();
        assert_eq!(IdMap::from(ids).get(b"a"), Some(0));
    }

    #[test]
    fn parts_are_checked() {
        let mut map = IdMap::new();
        for id in [&b"one"[..], b"two", b"three"] {
            map.get_or_insert(id).unwrap();
        }
        let ids = map.into_ids();
        let (bytes, offsets) = ids.parts();
        assert_eq!(Ids::from_parts(bytes.to_vec(), offsets.to_vec()).as_ref(), Some(&ids));
        for bad in [vec![], vec![1, 11], vec![0, 7, 3, 11], vec![0, 3], vec![0, 3, u64::MAX]] {
            assert_eq!(Ids::from_parts(bytes.to_vec(), bad), None);
        }
        assert_eq!(Ids::from_parts(Vec::new(), vec![0]), Some(Ids::default()));
        for from in 0..5 {
            assert!(ids.tail(from).iter().eq(ids.iter().skip(from)), "{from}");
        }
        assert!(Ids::default().is_empty() && Ids::default().iter().next().is_none());
    }
}
