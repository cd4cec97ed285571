//! `.npy`: a dense NumPy matrix, users × items, NaN where there is no rating.
//!
//! Ids are the row's and the column's index, from 0, as decimal text. What is
//! not NaN is a rating, a 0 as well.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::super::source::Source;
use super::{Format, Record, Request, Sink, check_rating};
use crate::error::{Error, Location, Place, Result};

mod element;
mod header;

use element::Dtype;
#[cfg(feature = "parquet")]
pub(super) use element::half;
pub(super) use header::{Fault, Header};

pub(super) const FORMAT: Format = Format {
    name: "npy",
    summary: "a dense NumPy matrix, users × items, with NaN where there is no rating",
    extensions: &["npy"],
    aliases: &[],
    recognize: |head, _| head.starts_with(header::MAGIC),
    read,
    collect: None,
    lines: None,
    groups: false,
};

/// Bytes of a column-major matrix that are turned at a time.
const BLOCK: u64 = 64 << 20;

fn read(source: Source<'_>, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let path = source.path();
    request.indices_only("a matrix", path)?;
    let file = source.into_file()?;
    let length = file.metadata().map_err(|source| Error::Io { path: path.to_owned(), source })?.len();
    let mut file = BufReader::new(file);
    let header = Header::read(&mut file).map_err(|fault| failure(path, fault))?;
    let &[rows, columns] = &header.shape[..] else {
        return Err(Error::data(
            path,
            format!("holds an array of shape {:?}, not a matrix", header.shape),
            "save a matrix, users × items, with NaN where there is no rating",
        ));
    };
    if !header.dtype.is_number() {
        return Err(Error::data(path, "holds text, not ratings", "save a matrix of numbers"));
    }
    let found = length.saturating_sub(header.length);
    if header.size() != Some(found) {
        let declared = header.size().map_or("more than 64 bits count".to_owned(), |size| size.to_string());
        return Err(Error::data(
            path,
            format!("holds {found} bytes of numbers where its header says {declared}"),
            "it is cut short or damaged: copy it again",
        ));
    }
    if header.size() == Some(0) {
        return Err(Error::data(path, "is a matrix without cells", "pass a matrix with ratings"));
    }
    let mut cells =
        Cells { path, dtype: header.dtype, row: 0, columns, rating: request.rating, count: 0, whole: true };
    if header.fortran {
        cells.column_major(&mut file.into_inner(), &header, rows, BLOCK, sink)?;
    } else {
        cells.rows(&mut file, rows, sink)?;
    }
    if cells.count == 0 {
        return Err(Error::data(path, "has no ratings: every cell is NaN", "pass a matrix with ratings"));
    }
    if !request.forced && cells.look_like_triples(rows) {
        return Err(Error::data(
            path,
            format!(
                "is a matrix of {columns} columns without a missing cell, two of whole numbers: users, items and \
                 ratings, it seems, not a column for each item"
            ),
            "save them as 1-D arrays user, item, rating with numpy.savez, or pass --format npy if it is a matrix",
        ));
    }
    Ok(())
}

/// Where the records of a matrix go.
struct Cells<'a> {
    path: &'a Path,
    dtype: Dtype,
    /// The next row.
    row: u64,
    columns: u64,
    rating: bool,
    /// Records so far.
    count: u64,
    /// Whether the first two columns hold nothing but whole numbers from 0.
    whole: bool,
}

/// Rows from which on a matrix may be told from a table.
const TABLE: u64 = 10;

impl Cells<'_> {
    /// Passes on the ratings of a column-major matrix, whose rows are turned so many that they
    /// fit into `most` bytes, at least one at a time.
    fn column_major(
        &mut self,
        file: &mut (impl Read + Seek),
        header: &Header,
        rows: u64,
        most: u64,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        // Rows, columns and size are at least 1, and their product the file's length.
        let block = (most / (self.columns * self.dtype.size as u64)).clamp(1, rows);
        (0..rows).step_by(block as usize).try_for_each(|start| {
            let end = (start + block).min(rows);
            let turned =
                turn(file, header, start..end, [rows, self.columns]).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => self.shorter(),
                    _ => failure(self.path, error.into()),
                })?;
            self.rows(&mut &turned[..], end, sink)
        })
    }

    /// Passes on the ratings of row-major cells, up to the row `end`.
    fn rows(&mut self, bytes: &mut impl Read, end: u64, sink: &mut Sink<'_>) -> Result<()> {
        let size = self.dtype.size;
        // No more than the file had when it was opened.
        let bytes = &mut bytes.take((end - self.row) * self.columns * size as u64);
        // A multiple of every size of a number.
        let mut buffer = vec![0; 64 << 10];
        let (mut user, mut item, mut column) = (self.row.to_string(), String::new(), 0);
        loop {
            let read = fill(bytes, &mut buffer).map_err(|error| failure(self.path, error.into()))?;
            if read == 0 {
                return if self.row == end { Ok(()) } else { Err(self.shorter()) };
            }
            for cell in buffer.get(..read).unwrap_or_default().chunks_exact(size) {
                let value = self.dtype.number(cell);
                self.whole &= column > 1 || (value >= 0.0 && value.fract() == 0.0);
                if !value.is_nan() {
                    let place = Place::row(self.row + 1);
                    let rating = match self.rating.then(|| check_rating(value)) {
                        Some(Err((what, remedy))) => {
                            let at = Location::at(self.path, place);
                            return Err(Error::data_at(at, format!("column {}: {what}", column + 1), remedy));
                        }
                        rating => rating.and_then(std::result::Result::ok),
                    };
                    item.clear();
                    write_index(column, &mut item);
                    sink(Record { user: user.as_bytes(), item: item.as_bytes(), rating, time: None, place })?;
                    self.count += 1;
                }
                column += 1;
                if column == self.columns {
                    (self.row, column) = (self.row + 1, 0);
                    user.clear();
                    write_index(self.row, &mut user);
                }
            }
        }
    }

    /// A table of triples, with a timestamp or without, saved as if it were a matrix.
    fn look_like_triples(&self, rows: u64) -> bool {
        let full = self.count == rows * self.columns;
        full && self.whole && rows >= TABLE && (3..=4).contains(&self.columns)
    }

    fn shorter(&self) -> Error {
        Error::data(self.path, "became shorter while it was read", "leave it alone, and run again")
    }
}

/// Some rows of a column-major matrix, row-major.
fn turn(
    file: &mut (impl Read + Seek),
    header: &Header,
    rows: Range<u64>,
    [all, columns]: [u64; 2],
) -> io::Result<Vec<u8>> {
    let size = header.dtype.size;
    let count = (rows.end - rows.start) as usize;
    let mut turned = vec![0; count * columns as usize * size];
    let mut column_bytes = vec![0; count * size];
    for column in 0..columns {
        let first = (column * all + rows.start) * size as u64;
        file.seek(SeekFrom::Start(header.length + first))?;
        file.read_exact(&mut column_bytes)?;
        let places = turned.chunks_exact_mut(size).skip(column as usize).step_by(columns as usize);
        for (place, cell) in places.zip(column_bytes.chunks_exact(size)) {
            place.copy_from_slice(cell);
        }
    }
    Ok(turned)
}

/// Appends an index as decimal text.
pub(super) fn write_index(index: u64, text: &mut String) {
    use std::fmt::Write;
    // Writing to a String can't fail.
    let _ = write!(text, "{index}");
}

/// Reads until the buffer is full or the input ends. Returns how many bytes.
fn fill(bytes: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match bytes.read(rest) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn failure(path: &Path, fault: Fault) -> Error {
    match fault {
        Fault::Wrong((what, remedy)) => Error::data(path, what, remedy),
        Fault::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::data(path, "ends within its header", "it is cut short: copy it again")
        }
        Fault::Io(source) => Error::Io { path: path.to_owned(), source },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn cells(dtype: Dtype, columns: u64) -> Cells<'static> {
        Cells { path: Path::new("a.npy"), dtype, row: 0, columns, rating: true, count: 0, whole: true }
    }

    #[test]
    fn a_column_major_matrix_reads_the_same_in_blocks_of_any_size() {
        let (rows, columns) = (7_u64, 5_u64);
        let mut bytes = vec![0; 3]; // what stands before the numbers
        (0..columns).for_each(|column| {
            (0..rows).for_each(|row| bytes.extend(((10 * row + column) as u16).to_be_bytes()));
        });
        let dtype = Dtype::parse(b">u2").unwrap();
        let header = Header { dtype, fortran: true, shape: vec![rows, columns], length: 3 };
        let expected: Vec<_> = (0..rows)
            .flat_map(|row| (0..columns).map(move |column| (row.to_string(), column.to_string(), row)))
            .map(|(user, item, row)| (user, item.clone(), (10 * row) as f32 + item.parse::<f32>().unwrap()))
            .collect();
        for most in [0, 1, 10, 19, 20, 69, 70, 1_000] {
            let mut found = Vec::new();
            let mut sink = |record: Record<'_>| {
                assert_eq!(record.place, Place::row(found.len() as u64 / columns + 1));
                let text = |id: &[u8]| String::from_utf8(id.to_vec()).unwrap();
                found.push((text(record.user), text(record.item), record.rating.unwrap()));
                Ok(())
            };
            let mut matrix = cells(dtype, columns);
            matrix.column_major(&mut Cursor::new(&bytes), &header, rows, most, &mut sink).unwrap();
            assert_eq!(found, expected, "{most} bytes");
        }
    }

    #[test]
    fn cells_are_streamed_across_the_buffers_end() {
        let (rows, columns) = (300_u64, 333_u64);
        let values = (0..rows * columns).map(|at| at as f32);
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        let (mut at, mut matrix) = (0, cells(Dtype::parse(b"<f4").unwrap(), columns));
        let mut sink = |record: Record<'_>| {
            assert_eq!(record.user, (at / columns).to_string().as_bytes());
            assert_eq!(record.item, (at % columns).to_string().as_bytes());
            assert_eq!(record.rating, Some(at as f32));
            at += 1;
            Ok(())
        };
        matrix.rows(&mut &bytes[..], rows, &mut sink).unwrap();
        assert_eq!((at, matrix.count), (rows * columns, rows * columns));
    }
    #[test]
    fn a_file_that_changes_its_length_while_it_is_read_is_noticed() {
        let (rows, columns, dtype) = (3, 2, Dtype::parse(b"<u2").unwrap());
        let bytes = [1; 20]; // 12 are meant
        let read = |length: usize, fortran: bool| {
            let (mut matrix, mut count) = (cells(dtype, columns), 0);
            let mut sink = |_: Record<'_>| {
                count += 1;
                Ok(())
            };
            let mut file = Cursor::new(&bytes[..length]);
            let header = Header { dtype, fortran, shape: vec![rows, columns], length: 0 };
            match fortran {
                true => matrix.column_major(&mut file, &header, rows, BLOCK, &mut sink),
                false => matrix.rows(&mut file, rows, &mut sink),
            }
            .map(|()| count)
        };
        for fortran in [false, true] {
            assert_eq!(read(12, fortran).unwrap(), 6);
            assert_eq!(read(20, fortran).unwrap(), 6);
            for length in 0..12 {
                let error = read(length, fortran).unwrap_err();
                assert_eq!(error.exit_code(), 65);
                let text = "a.npy: became shorter while it was read; leave it alone, and run again";
                assert_eq!(error.to_string(), text);
            }
        }
    }
}
