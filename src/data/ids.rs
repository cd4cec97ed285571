//! Ids are opaque byte strings, numbered from 0 in the order they were first seen.

/// The ids of one side, by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    bytes: Vec<u8>,
    offsets: Vec<u64>, // [len + 1]
}
// len(), is_empty(), get(u32 index) -> &[u8], text(index) -> Cow<str> (lossy UTF-8), iter(),
// parts() -> (&[u8], &[u64]) and from_parts(bytes, offsets) -> Option<Self> (checked) for the model file.

/// Ids with the way back: id → index.
pub struct IdMap;
// new(), get_or_insert(&[u8]) -> Result<u32>, get(&[u8]) -> Option<u32>, into_ids(); IdMap::from(Ids)
