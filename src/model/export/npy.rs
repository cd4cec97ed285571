//! NumPy's `.npy`: a header that a Python literal describes, then the numbers.
//!
//! Layout: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::io::{self, Write};

use super::table::Table;
use super::{Failure, Written};
use crate::data::Ids;
use crate::data::text::quoted;

/// Writes one side as a structured array, a record a row: `id`, `name` (if the model has names of
/// this side), `bias` (f32), `factors` (f32, `[k]`). `numpy.load` needs no pickle for it.
pub(super) fn write(table: &Table<'_>, out: &mut (dyn Write + Send)) -> Written {
    let ids = Strings::of(table.ids)?;
    let names = table.names.map(Strings::of).transpose()?;
    let name = names.as_ref().map_or(String::new(), |names| format!("('name', '{}'), ", names.descr()));
    let (id, k) = (ids.descr(), table.rank);
    let descr = format!("[('id', '{id}'), {name}('bias', '<f4'), ('factors', '<f4', ({k},))]");
    out.write_all(&header(&descr, &[table.len()]))?;
    let mut record = Vec::new();
    for row in 0..table.len() {
        record.clear();
        ids.push(row, &mut record);
        if let Some(names) = &names {
            names.push(row, &mut record);
        }
        record.extend(table.bias(row).to_le_bytes());
        record.extend(table.factors(row).flat_map(f32::to_le_bytes));
        out.write_all(&record)?;
    }
    Ok(())
}

/// The header of a row-major array, format 1.0, padded so that the numbers start at a multiple of 64.
///
/// `descr` is the element type as a Python literal; `shape` is `[]` for a scalar.
pub(super) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let shape: String = shape.iter().map(|n| format!("{n},")).collect();
    let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({shape}), }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((length as u16).to_le_bytes()); // some hundred bytes
    header.extend(text.as_bytes());
    header.resize(10 + length - 1, b' ');
    header.push(b'\n');
    header
}

/// Ids or names as NumPy's strings of fixed width: `<U` counts code points of four bytes, `|S` bytes.
pub(super) struct Strings<'a> {
    texts: &'a Ids,
    unicode: bool,
    width: usize,
}

impl<'a> Strings<'a> {
    /// Text, or bytes if one of them is not UTF-8.
    pub(super) fn of(texts: &'a Ids) -> Result<Self, Failure> {
        no_nul_at_the_end(texts, "NumPy")?;
        let unicode = texts.is_utf8();
        let length =
            |text: &[u8]| if unicode { String::from_utf8_lossy(text).chars().count() } else { text.len() };
        // NumPy has no strings of width 0 in files.
        let width = texts.iter().map(length).max().unwrap_or(0).max(1);
        no_padding_without_end(texts, if unicode { 4 * width as u64 } else { width as u64 })?;
        Ok(Self { texts, unicode, width })
    }

    /// Number of them.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The element type, without quotes.
    pub(super) fn descr(&self) -> String {
        format!("{}{}", if self.unicode { "<U" } else { "|S" }, self.width)
    }

    /// Appends one of them in its full width.
    pub(super) fn push(&self, row: usize, record: &mut Vec<u8>) {
        let (begin, text) = (record.len(), self.texts.get(row as u32));
        if self.unicode {
            record.extend(String::from_utf8_lossy(text).chars().flat_map(|c| u32::from(c).to_le_bytes()));
        } else {
            record.extend(text);
        }
        record.resize(begin + self.width * if self.unicode { 4 } else { 1 }, 0);
    }

    /// Writes all of them.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut record = Vec::new();
        for row in 0..self.texts.len() {
            record.clear();
            self.push(row, &mut record);
            out.write_all(&record)?;
        }
        Ok(())
    }
}

/// Bytes of padding that are always fine.
const PADDING: u64 = 64 << 20;

/// As many times their own bytes as texts of fixed width may take beyond that.
const MOST_TIMES: u64 = 16;

/// In an array each text takes the room of the longest: one of some megabytes among a million
/// would fill any disk. `width`: that room, in bytes.
pub(super) fn no_padding_without_end(texts: &Ids, width: u64) -> Result<(), Failure> {
    let own: u64 = texts.iter().map(|text| text.len() as u64).sum();
    match (texts.len() as u64).checked_mul(width) {
        Some(bytes) if bytes <= PADDING.saturating_add(own.saturating_mul(MOST_TIMES)) => Ok(()),
        _ => {
            let rows = texts.len();
            let what = format!("can't hold {rows} texts in {width} bytes each, the room of the longest");
            Err(Failure::Refused(what, "export parquet, or shorten the longest"))
        }
    }
}

/// Strings of fixed width are filled up with NULs, so that one at the end would be lost.
pub(super) fn no_nul_at_the_end(texts: &Ids, reader: &str) -> Result<(), Failure> {
    match texts.iter().find(|text| text.ends_with(&[0])) {
        None => Ok(()),
        Some(text) => Err(Failure::Refused(
            format!("can't hold {}: {reader} drops a NUL at the end", quoted(text)),
            "read the model file itself, which is safetensors",
        )),
    }
}
