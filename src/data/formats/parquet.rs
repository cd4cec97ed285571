//! Apache Parquet: flat columns, found by their names; row groups are read batch by batch.
//!
//! Format: <https://parquet.apache.org/docs/file-format/>

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use parquet::column::reader::get_column_reader;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescPtr, TypePtr};

use super::super::columns::{resolve_names, role_name};
use super::super::source::Source;
use super::super::text::{one_line, quoted};
use super::{Format, Record, Request, Sink};
use crate::error::{Error, Location, Place, Result};
use crate::panics::caught;

mod cells;
mod footer;
mod pages;

use cells::{Cells, Kind};
use pages::{Bounded, Pages};

pub(super) const FORMAT: Format = Format {
    name: "parquet",
    aliases: &[],
    summary: "Apache Parquet with flat columns user, item, rating, by name",
    extensions: super::PARQUET_EXTENSIONS,
    recognize: |head, _| head.starts_with(b"PAR1") || head.starts_with(b"PARE"),
    read,
    collect: None,
    lines: None,
    groups: true,
};

/// Rows that are decoded at a time.
const BATCH: usize = 4_096;

const DAMAGED: &str = "it is cut short or damaged: copy it again";

fn read(source: Source<'_>, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let path = source.path();
    let file = open(path, source.into_file()?)?;
    let metadata = file.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let roles = 2 + usize::from(request.rating) + usize::from(request.time);

    let fields = schema.root_schema().get_fields();
    let names: Vec<&[u8]> = fields.iter().map(|field| field.name().as_bytes()).collect();
    let positions = resolve_names(&Location::file(path), &names, request.columns, roles)?;
    let mut leaves = Vec::new();
    for (role, &position) in positions.iter().enumerate() {
        // There is one: resolve_names gives positions of these.
        let field = fields.get(position).ok_or_else(|| damaged(path, "a column is missing"))?;
        leaves.push(leaf(path, &file, role, (position, field))?);
    }
    let columns: Vec<ColumnDescPtr> = leaves.iter().map(|&leaf| schema.column(leaf)).collect();

    let groups = metadata.row_groups();
    let rows = groups.iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum::<u64>();
    let mut before = 0;
    for (group, data) in groups.iter().enumerate() {
        if begins_in(before, rows, request.part) {
            before = read_group(path, &file, group, before, (&leaves, &columns), request, sink)?;
        } else {
            before += u64::try_from(data.num_rows()).unwrap_or(0);
        }
    }
    if rows == 0 {
        return Err(Error::data(path, "has columns but no rows", "pass a file with ratings"));
    }
    Ok(())
}

/// Whether a group with so many rows before it, of all, begins in a part: each group is in one of them.
fn begins_in(before: u64, rows: u64, part: Option<(&Range<u64>, u64)>) -> bool {
    let Some((part, parts)) = part else { return true };
    part.contains(&((u128::from(before) * u128::from(parts) / u128::from(rows.max(1))) as u64))
}

/// Opens the file and decodes its footer.
fn open(path: &Path, mut file: File) -> Result<SerializedFileReader<Bounded>> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let length = file.metadata().map_err(io)?.len();
    let mut end = [0; 8];
    if length >= 12 {
        file.seek(SeekFrom::End(-8)).and_then(|_| file.read_exact(&mut end)).map_err(io)?;
    }
    let footer = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    match &end[4..] {
        b"PARE" => {
            return Err(Error::data(path, "is encrypted", "write it without encryption, or as CSV"));
        }
        b"PAR1" if footer <= length - 12 => {}
        _ => return Err(Error::data(path, "is a Parquet file without its end", DAMAGED)),
    }
    if !footer::is_in_proportion(footer, length) {
        let what = format!("has a footer of {footer} among {length} bytes, more than ratings need");
        return Err(Error::data(path, what, "write it with larger row groups, of 100,000 rows or more"));
    }
    let mut bytes = vec![0; footer as usize];
    let at = SeekFrom::Start(length - 8 - footer);
    file.seek(at).and_then(|_| file.read_exact(&mut bytes)).map_err(io)?;
    if !footer::is_sound(&bytes) {
        return Err(damaged(path, "its footer does not fit together"));
    }
    decode(path, || SerializedFileReader::new(Bounded { file, length }))
}

/// The place among all columns, nested ones too, of a part of a rating, if it is fit for that.
fn leaf(
    path: &Path,
    file: &SerializedFileReader<Bounded>,
    role: usize,
    (position, field): (usize, &TypePtr),
) -> Result<usize> {
    let schema = file.metadata().file_metadata().schema_descr();
    let refused = |what: &str, remedy: &str| {
        let name = quoted(field.name().as_bytes());
        Err(Error::data(path, format!("column {name} ({}) {what}", role_name(role)), remedy))
    };
    let found = (0..schema.num_columns()).find(|&leaf| schema.get_column_root_idx(leaf) == position);
    let Some(leaf) = found.filter(|&leaf| field.is_primitive() && schema.column(leaf).max_rep_level() == 0)
    else {
        return refused("is nested", "write each part of a rating as a column of its own");
    };
    let kind = Kind::of(&schema.column(leaf));
    match (role, kind) {
        (_, Kind::Other) => {
            refused("has a type that no part of a rating has", "write it as numbers or as text")
        }
        (0 | 1, Kind::Signed | Kind::Unsigned | Kind::Text) => Ok(leaf),
        (0 | 1, _) => refused("holds no ids", "write ids as whole numbers or as text"),
        (2, Kind::Time(_) | Kind::OldTime | Kind::Date) => {
            refused("holds times", "name the column of ratings")
        }
        (3, Kind::Half | Kind::Decimal(_)) => {
            refused("holds no times", "write times as timestamps or seconds")
        }
        _ => Ok(leaf),
    }
}

/// Reads a row group, of which `before` rows stand before. Returns the rows up to its end.
fn read_group(
    path: &Path,
    file: &SerializedFileReader<Bounded>,
    group: usize,
    before: u64,
    (leaves, columns): (&[usize], &[ColumnDescPtr]),
    request: &Request<'_>,
    sink: &mut Sink<'_>,
) -> Result<u64> {
    let rows = file.metadata().row_group(group).num_rows();
    let rows = u64::try_from(rows).map_err(|_| damaged(path, &format!("a row group of {rows} rows")))?;
    let mut cells = decode(path, || {
        let group = file.get_row_group(group)?;
        let open = |(&leaf, column): (&usize, &ColumnDescPtr)| {
            let pages = Pages { pages: group.get_column_page_reader(leaf)?, column: column.clone() };
            Ok(Cells::new(get_column_reader(column.clone(), Box::new(pages)), column))
        };
        leaves.iter().zip(columns).map(open).collect::<Result<Vec<Cells>, ParquetError>>()
    })?;
    let (mut user, mut item) = (Vec::new(), Vec::new());
    let mut done = 0;
    while done < rows {
        let wanted = (rows - done).min(BATCH as u64) as usize;
        let (mut complete, mut null) = (wanted, None);
        for (role, cells) in cells.iter_mut().enumerate() {
            let (read, at_null) = decode(path, || cells.read(wanted))?;
            if read < complete {
                (complete, null) = (read, at_null.then_some(role));
            }
        }
        for row in 0..complete {
            let place = Place::row(before + done + row as u64 + 1);
            let wrong =
                |(what, remedy): (String, String)| Error::data_at(Location::at(path, place), what, remedy);
            let mut cells = cells.iter();
            for (role, id) in [&mut user, &mut item].into_iter().enumerate() {
                id.clear();
                if let Some(cells) = cells.next() {
                    cells.id(row, id);
                }
                if id.is_empty() {
                    let what = format!("the {} id is empty", role_name(role));
                    return Err(wrong((what, "fill it in or remove the row".to_owned())));
                }
            }
            let rating = cells.next().filter(|_| request.rating);
            let rating = rating.map(|cells| cells.rating(row)).transpose().map_err(wrong)?;
            let time = cells.next().filter(|_| request.time);
            let time = time.map(|cells| cells.time(row)).transpose().map_err(wrong)?;
            sink(Record { user: &user, item: &item, rating, time, place })?;
        }
        done += complete as u64;
        if let Some(role) = null {
            let name = quoted(columns.get(role).map_or("", |column| column.name()).as_bytes());
            return Err(Error::data_at(
                Location::at(path, Place::row(before + done + 1)),
                format!("column {name} ({}) is null", role_name(role)),
                "fill it in or remove the row",
            ));
        }
        if complete < wanted {
            return Err(damaged(path, &format!("a row group ends after {done} of {rows} rows")));
        }
    }
    Ok(before + rows)
}

/// Runs the decoder. It is hardened, yet panics on some damaged files (an index without its
/// dictionary entry, a page shorter than it says): that must not end whoever reads one.
fn decode<T>(path: &Path, run: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    match caught(run) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(damaged(path, &one_line(&error))),
        Err(_) => Err(damaged(path, "its pages do not fit each other")),
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::data(path, format!("is a Parquet file that can't be read ({why})"), DAMAGED)
}
