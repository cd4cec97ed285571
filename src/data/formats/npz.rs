//! `.npz`: a sparse matrix, users × items, as `scipy.sparse.save_npz` writes it,
//! or columns of ratings as `numpy.savez(user=…, item=…, rating=…)` does.
//!
//! A matrix's ids are the row's and the column's index, from 0, as decimal
//! text; an explicit zero is a rating of 0. CSR and COO are streamed in the
//! order of the file; CSC is turned in memory, so that all come row by row.

use std::path::Path;

use super::super::source::Source;
use super::npy::write_index;
use super::{Format, Record, Request, Sink, check_rating};
use crate::error::{Error, Location, Place, Result};

mod archive;
mod table;

use archive::{Archive, Array};

pub(super) const FORMAT: Format = Format {
    name: "npz",
    summary: "a SciPy sparse matrix, users × items (csr, csc or coo), or NumPy arrays user, item, rating",
    extensions: &["npz"],
    aliases: &[],
    recognize: |head, path| {
        // Any zip archive begins so: its first file's name decides, or its own.
        let name_length = head.get(26).copied().map_or(0, usize::from);
        let array = head.get(30..30 + name_length).is_some_and(|name| name.ends_with(b".npy"));
        let named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
        head.starts_with(b"PK\x03\x04") && (array || named)
    },
    read,
    collect: None,
    lines: None,
    groups: false,
};

const SAVE_CSR: &str = "save it with scipy.sparse.save_npz(file, matrix.tocsr())";

fn read(source: Source<'_>, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let path = source.path();
    let mut archive = Archive::open(path, source.into_file()?)?;
    if !(archive.has("format") && archive.has("shape")) {
        return table::read(&archive, request, sink);
    }
    request.indices_only("a matrix", path)?;
    let mut format = Vec::new();
    let mut array = archive.array("format")?;
    if !array.header.shape.is_empty() || array.header.dtype.is_number() || !array.text(&mut format)? {
        return Err(array.bad("is not the name of a sparse format"));
    }
    drop(array);
    let shape = shape(archive.array("shape")?.integers()?)?;
    let mut records = Records { request, sink, archive: archive.clone(), shape, count: 0 };
    match &format[..] {
        b"csr" => records.csr()?,
        b"csc" => records.csc()?,
        b"coo" => records.coo()?,
        other => {
            let what = format!("is a sparse matrix of format {}", super::quoted(other));
            return Err(Error::data(path, what, SAVE_CSR));
        }
    }
    if records.count == 0 {
        return Err(Error::data(path, "has no ratings: no entry is stored", "pass a matrix with ratings"));
    }
    Ok(())
}

fn shape(mut array: Array<'_>) -> Result<[u32; 2]> {
    if array.vector(None)? != 2 {
        return Err(array.bad("does not have a number of users and one of items"));
    }
    let mut shape = [0; 2];
    for length in &mut shape {
        let number = array.integer()?;
        *length = u32::try_from(number)
            .map_err(|_| array.bad(&format!("holds {number}, which is no number of users or items")))?;
    }
    array.finish()?;
    Ok(shape)
}

/// Where the entries of a sparse matrix go.
struct Records<'a, 's> {
    request: &'a Request<'a>,
    sink: &'a mut Sink<'s>,
    archive: Archive<'a>,
    /// Users and items.
    shape: [u32; 2],
    /// Entries passed on so far.
    count: u64,
}

impl Records<'_, '_> {
    fn csr(&mut self) -> Result<()> {
        let [rows, columns] = self.shape;
        let archive = self.archive.clone();
        let rating = self.request.rating;
        let (mut user, mut item) = (String::new(), String::new());
        compressed(&archive, [rows, columns], "columns", rating, &mut |row, column, rating, entry| {
            self.record([row, column], rating, entry, [&mut user, &mut item])
        })
    }

    /// Entries come out row by row, numbered as they stand in the file.
    fn csc(&mut self) -> Result<()> {
        let [rows, columns] = self.shape;
        let archive = self.archive.clone();
        let mut entries = Vec::new();
        compressed(
            &archive,
            [columns, rows],
            "rows",
            self.request.rating,
            &mut |column, row, rating, entry| {
                entries.push((row, column, rating, entry));
                Ok(())
            },
        )?;
        // Stable: a row's entries stay in the order of their columns. No array as long
        // as the shape says is needed, which a small file could claim to be huge.
        entries.sort_by_key(|&(row, ..)| row);
        let (mut user, mut item) = (String::new(), String::new());
        entries.into_iter().try_for_each(|(row, column, rating, entry)| {
            self.record([row, column], rating, entry, [&mut user, &mut item])
        })
    }

    fn coo(&mut self) -> Result<()> {
        let mut archives = [(); 3].map(|()| self.archive.clone());
        let [rows, columns, data] = &mut archives;
        let mut indices = [rows.array("row")?.integers()?, columns.array("col")?.integers()?];
        let mut data = data.array("data")?.numbers()?;
        let count = data.vector(None)?;
        for index in &indices {
            index.vector(Some(count))?;
        }
        let (mut user, mut item) = (String::new(), String::new());
        for entry in 1..=count {
            let mut place = [0; 2];
            let axes = indices.iter_mut().zip(AXES).zip(self.shape);
            for (place, ((index, axis), length)) in place.iter_mut().zip(axes) {
                *place = within(self.archive.path(), index.integer()?, axis, length, entry)?;
            }
            let rating = value(self.archive.path(), &mut data, self.request.rating, entry)?;
            self.record(place, rating, entry, [&mut user, &mut item])?;
        }
        indices.into_iter().try_for_each(Array::finish)?;
        data.finish()
    }

    fn record(
        &mut self,
        place: [u32; 2],
        rating: f32,
        entry: u64,
        [user, item]: [&mut String; 2],
    ) -> Result<()> {
        for (text, index) in [(&mut *user, place[0]), (&mut *item, place[1])] {
            text.clear();
            write_index(u64::from(index), text);
        }
        self.count += 1;
        (self.sink)(Record {
            user: user.as_bytes(),
            item: item.as_bytes(),
            rating: self.request.rating.then_some(rating),
            time: None,
            place: Place::entry(entry),
        })
    }
}

/// The two index arrays of COO, and what each counts.
const AXES: [(&str, &str); 2] = [("row", "rows"), ("col", "columns")];

/// Reads the arrays of CSR, or of CSC as the CSR of the transposed matrix.
fn compressed(
    archive: &Archive<'_>,
    [major, minor]: [u32; 2],
    minors: &str,
    rating: bool,
    each: &mut dyn FnMut(u32, u32, f32, u64) -> Result<()>,
) -> Result<()> {
    let path = archive.path();
    let mut archives = [(); 3].map(|()| archive.clone());
    let [offsets, indices, data] = &mut archives;
    let mut offsets = offsets.array("indptr")?.integers()?;
    let mut indices = indices.array("indices")?.integers()?;
    let mut data = data.array("data")?.numbers()?;
    offsets.vector(Some(u64::from(major) + 1))?;
    let count = data.vector(None)?;
    indices.vector(Some(count))?;

    let first = offsets.integer()?;
    if first != 0 {
        return Err(offsets.bad(&format!("begins with {first} where 0 is expected")));
    }
    let mut start = 0;
    for row in 0..major {
        let end = offsets.integer()?;
        let end = u64::try_from(end).ok().filter(|end| (start..=count).contains(end)).ok_or_else(|| {
            offsets.bad(&format!("holds {end} behind {start} at position {}, of {count}", u64::from(row) + 1))
        })?;
        for entry in start + 1..=end {
            let index = within(path, indices.integer()?, ("indices", minors), minor, entry)?;
            each(row, index, value(path, &mut data, rating, entry)?, entry)?;
        }
        start = end;
    }
    if start != count {
        return Err(offsets.bad(&format!("ends at {start} where there are {count} entries")));
    }
    [offsets, indices, data].into_iter().try_for_each(Array::finish)
}

/// An index that was read, if the shape has it. `entry` counts from 1.
fn within(path: &Path, index: i128, (array, counted): (&str, &str), length: u32, entry: u64) -> Result<u32> {
    u32::try_from(index).ok().filter(|&index| index < length).ok_or_else(|| {
        let what = format!("array \"{array}\" holds index {index}, and the shape has {length} {counted}");
        let remedy = "indices count from 0: save the matrix with scipy.sparse.save_npz";
        Error::data_at(Location::at(path, Place::entry(entry)), what, remedy)
    })
}

/// The next rating, 0 where none is wanted.
fn value(path: &Path, data: &mut Array<'_>, wanted: bool, entry: u64) -> Result<f32> {
    let number = data.number()?;
    if !wanted {
        return Ok(0.0);
    }
    check_rating(number)
        .map_err(|(what, remedy)| Error::data_at(Location::at(path, Place::entry(entry)), what, remedy))
}
