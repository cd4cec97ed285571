//! A file of a cache.
//!
//! ```text
//! magic   [16]   with the byte order of all numbers
//! key     [32]
//! sizes   [7]    u64: users m, their bytes, items n, their bytes, ratings N, timed, repeats
//! users   [m+1]  u64 offsets, then the bytes of their ids
//! items   [n+1]  the same
//! user    [N]    u32
//! item    [N]    u32
//! value   [N]    f32
//! time    [N]    i64, where timed
//! CRC-32         of all before, u32
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use bytemuck::{Pod, cast_slice, cast_slice_mut};
use crc32fast::Hasher;
use rayon::prelude::*;

use super::super::ids::Ids;
use super::super::read::Triples;
use super::key::{At, Key};
use crate::error::Result;
use crate::output::Output;

/// Who writes on a machine with another byte order writes another one.
const MAGIC: [u8; 16] = match cfg!(target_endian = "little") {
    true => *b"deltav cache 1 <",
    false => *b"deltav cache 1 >",
};
const HEAD: u64 = 16 + 32 + 7 * 8;
const CHECKSUM: u64 = 4;

/// Bytes that one thread reads or writes at a time.
const CHUNK: usize = 1 << 22;

/// What is kept.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) triples: &'a Triples,
    /// Whether a pair occurs twice.
    pub(super) repeats: bool,
}

/// Writes the file and returns its bytes.
pub(super) fn write(mut output: Output, key: &Key, entry: Entry<'_>) -> Result<u64> {
    let Entry { triples: Triples { users, items, user, item, value, time }, repeats } = entry;
    let sides = [users.parts(), items.parts()];
    let [users, items] = sides;
    let sizes = Sizes {
        users: users.1.len() as u64 - 1,
        user_bytes: users.0.len() as u64,
        items: items.1.len() as u64 - 1,
        item_bytes: items.0.len() as u64,
        ratings: value.len() as u64,
        timed: time.is_some(),
        repeats,
    };
    // What stands in memory is far below 2⁶⁴ bytes.
    output.reserve(sizes.bytes().unwrap_or(u64::MAX))?;
    let numbers = sizes.numbers();
    let time: &[i64] = time.as_deref().unwrap_or_default();
    let parts: [&[u8]; 11] = [
        &MAGIC,
        &key.0,
        cast_slice(&numbers),
        cast_slice(users.1),
        users.0,
        cast_slice(items.1),
        items.0,
        cast_slice(user),
        cast_slice(item),
        cast_slice(value),
        cast_slice(time),
    ];
    let mut sum = Hasher::new();
    for part in parts {
        sum.combine(&summed(part));
        output.write_all(part).map_err(|source| output.io_error(source))?;
    }
    let sum = sum.finalize().to_ne_bytes();
    output.write_all(&sum).map_err(|source| output.io_error(source))?;
    output.commit()
}

/// The checksum of many bytes, on all threads.
fn summed(bytes: &[u8]) -> Hasher {
    let sums: Vec<Hasher> = bytes.par_chunks(CHUNK).map(sum).collect();
    joined(sums)
}

fn sum(bytes: &[u8]) -> Hasher {
    let mut sum = Hasher::new();
    sum.update(bytes);
    sum
}

fn joined(sums: Vec<Hasher>) -> Hasher {
    sums.into_iter().fold(Hasher::new(), |mut all, sum| {
        all.combine(&sum);
        all
    })
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    users: u64,
    user_bytes: u64,
    items: u64,
    item_bytes: u64,
    ratings: u64,
    timed: bool,
    repeats: bool,
}

impl Sizes {
    fn numbers(&self) -> [u64; 7] {
        let Self { users, user_bytes, items, item_bytes, ratings, timed, repeats } = *self;
        [users, user_bytes, items, item_bytes, ratings, timed.into(), repeats.into()]
    }

    fn of(numbers: [u64; 7]) -> Option<Self> {
        let [users, user_bytes, items, item_bytes, ratings, timed, repeats] = numbers;
        let sizes =
            Self { users, user_bytes, items, item_bytes, ratings, timed: timed == 1, repeats: repeats == 1 };
        (sizes.numbers() == numbers && users > 0 && items > 0 && ratings > 0).then_some(sizes)
    }

    /// Bytes of the file; `None` if no file can have as many.
    fn bytes(&self) -> Option<u64> {
        let side = |ids: u64, bytes: u64| Some((u128::from(ids) + 1) * 8 + u128::from(bytes));
        let rating = if self.timed { 20 } else { 12 };
        let sides = side(self.users, self.user_bytes)? + side(self.items, self.item_bytes)?;
        let all = u128::from(HEAD) + sides + u128::from(self.ratings) * rating + u128::from(CHECKSUM);
        u64::try_from(all).ok()
    }
}

/// Ratings, and whether a pair occurs twice.
type Found = (Triples, bool);

/// Reads the file of a key; `None` if there is none.
///
/// # Errors
/// Why it is of no use.
pub(super) fn read(path: &Path, key: &Key, timed: bool) -> std::result::Result<Option<Found>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("is no file".to_owned());
    }
    let mut reader = Reader { file: At::new(file), at: 0, sum: Hasher::new() };
    reader.file(key, timed, metadata.len()).map(Some).map_err(|error| match error {
        Unfit::Read(error) => error.to_string(),
        Unfit::Damaged(what) => what.to_owned(),
    })
}

/// Why a file is of no use.
enum Unfit {
    Read(io::Error),
    Damaged(&'static str),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Unfit::Read(error)
    }
}

struct Reader {
    file: At,
    /// Bytes that were read.
    at: u64,
    /// Their checksum.
    sum: Hasher,
}

impl Reader {
    fn file(&mut self, key: &Key, timed: bool, length: u64) -> std::result::Result<Found, Unfit> {
        const DAMAGED: Unfit = Unfit::Damaged("is damaged");
        if length < HEAD + CHECKSUM {
            return Err(Unfit::Damaged("ends early"));
        }
        if self.part::<u8>(16)? != MAGIC || self.part::<u8>(32)? != key.0 {
            return Err(Unfit::Damaged("is no cache of these ratings"));
        }
        let numbers: [u64; 7] = self.part::<u64>(7)?.try_into().map_err(|_| DAMAGED)?;
        let sizes = Sizes::of(numbers).ok_or(DAMAGED)?;
        // Before anything is allocated: a file that is there has so many bytes.
        if sizes.bytes() != Some(length) || sizes.timed != timed {
            return Err(Unfit::Damaged("has another length than its head says"));
        }
        let users = self.ids(sizes.users, sizes.user_bytes)?.ok_or(DAMAGED)?;
        let items = self.ids(sizes.items, sizes.item_bytes)?.ok_or(DAMAGED)?;
        let user = self.part::<u32>(sizes.ratings)?;
        let item = self.part::<u32>(sizes.ratings)?;
        let value = self.part::<f32>(sizes.ratings)?;
        let time = match timed {
            true => Some(self.part::<i64>(sizes.ratings)?),
            false => None,
        };
        let computed = self.sum.clone().finalize().to_ne_bytes();
        if self.part::<u8>(CHECKSUM)? != computed {
            return Err(DAMAGED);
        }
        let below = |indices: &[u32], count: usize| indices.par_iter().all(|&index| (index as usize) < count);
        let whole = below(&user, users.len())
            && below(&item, items.len())
            && value.par_iter().all(|value| value.is_finite());
        if !whole {
            return Err(DAMAGED);
        }
        Ok((Triples { users, items, user, item, value, time }, sizes.repeats))
    }

    /// The next ids; `None` if their offsets are none.
    fn ids(&mut self, count: u64, bytes: u64) -> io::Result<Option<Ids>> {
        let offsets = self.part::<u64>(count + 1)?;
        let bytes = self.part::<u8>(bytes)?;
        // No id is empty.
        let rising = offsets.is_sorted_by(|a, b| a < b);
        Ok(Ids::from_parts(bytes, offsets).filter(|_| rising))
    }

    /// The next `count` numbers, read on all threads.
    fn part<T: Pod + Send>(&mut self, count: u64) -> io::Result<Vec<T>> {
        let mut part = vec![T::zeroed(); count as usize];
        let bytes: &mut [u8] = cast_slice_mut(&mut part);
        let (file, start, length) = (&self.file, self.at, bytes.len() as u64);
        let read = |(at, chunk): (usize, &mut [u8])| -> io::Result<Hasher> {
            file.read_exact(chunk, start + (at * CHUNK) as u64)?;
            Ok(sum(chunk))
        };
        let sums = bytes.par_chunks_mut(CHUNK).enumerate().map(read).collect::<io::Result<Vec<Hasher>>>()?;
        self.sum.combine(&joined(sums));
        self.at += length;
        Ok(part)
    }
}
