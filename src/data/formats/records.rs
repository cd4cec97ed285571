//! Delimited text, record by record: physical lines, separators and quotes.
//!
//! Reads line by line rather than through a CSV state machine, so that every
//! record knows its line, `::` and one-byte separators share one path, and a
//! quote that is never closed is found where it opened instead of swallowing
//! the rest of the file.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem};

use super::super::read::Separator;
use super::super::source::Source;
use super::lines::{LONGEST, too_long};
use crate::error::{Error, Location, Result};

/// How a line is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Cut {
    /// At each of these bytes; a field that begins with a quote ends with one.
    Byte(u8),
    /// At each run of spaces; those at the ends of a line do not count. Quotes as above.
    Spaces,
    /// At each `::`, without quotes.
    DoubleColon,
}

/// Candidates of [`Separator::Auto`], in the order in which they are tried.
const CUTS: [Cut; 6] =
    [Cut::DoubleColon, Cut::Byte(b'\t'), Cut::Byte(b','), Cut::Byte(b';'), Cut::Byte(b'|'), Cut::Spaces];
/// What cuts a file of one column, in which nothing else does.
const COMMA: Cut = Cut::Byte(b',');

/// How the lines behind the first record are cut.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Rules {
    /// What ends a line: LF, or CR alone.
    pub(in super::super) line_end: u8,
    pub(in super::super) cut: Cut,
    /// The most columns that a record may have.
    pub(in super::super) columns: usize,
}

/// More columns than any ratings have. A line of megabytes of separators is not kept as fields.
const MOST_COLUMNS: usize = 1 << 16;

/// The records of a text, one at a time.
pub(in super::super) struct Records<'a> {
    source: Source<'a>,
    line_end: u8,
    cut: Option<Cut>,
    /// Fields that a record must have, for finding the separator.
    least: usize,
    /// Columns of the first record, once it is known: a line without quotes is cut no further.
    columns: usize,
    /// The record's lines with their ends; quoted fields without their quotes.
    buffer: Vec<u8>,
    fields: Vec<Range<usize>>,
    /// Lines read so far.
    lines: u64,
    /// Line on which the record begins, from 1.
    line: u64,
}

impl<'a> Records<'a> {
    /// `least`: fields that a record must have; the automatic separator is the first that yields as many.
    pub(in super::super) fn new(source: Source<'a>, separator: Separator, least: usize) -> Result<Self> {
        let cut = match separator {
            Separator::Auto => None,
            Separator::DoubleColon => Some(Cut::DoubleColon),
            Separator::Byte(b' ') => Some(Cut::Spaces),
            Separator::Byte(byte @ (b'"' | b'\n' | b'\r')) => {
                return Err(Error::usage(
                    format!("{:?} can't separate columns", byte as char),
                    "pass another separator, such as tab or comma",
                ));
            }
            Separator::Byte(byte) => Some(Cut::Byte(byte)),
        };
        // Lines ended with a bare CR are rare but real: old Mac exports.
        let bare_cr = memchr(b'\n', source.head()).is_none() && memchr(b'\r', source.head()).is_some();
        let line_end = if bare_cr { b'\r' } else { b'\n' };
        Ok(Self {
            source,
            line_end,
            cut,
            least,
            columns: MOST_COLUMNS,
            buffer: Vec::new(),
            fields: Vec::new(),
            lines: 0,
            line: 0,
        })
    }

    /// Reads the next record, past blank lines. `false` at the end.
    ///
    /// # Errors
    /// [`Error::Data`] for a quote that is not closed, and for text behind the last column that the
    /// record of [`settle`](Self::settle) had: some cell has a separator in it, and all that
    /// follow are one column off.
    pub(in super::super) fn advance(&mut self) -> Result<bool> {
        loop {
            self.buffer.clear();
            if !self.read_line(None)? {
                return Ok(false);
            }
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        self.divide()?;
        Ok(true)
    }

    /// Cuts the record that begins with the line in the buffer, and reads on where a quote is open.
    fn divide(&mut self) -> Result<()> {
        self.line = self.lines;
        let cut = match self.cut {
            Some(cut) => cut,
            None => *self.cut.insert(detect(self.text(), self.least)),
        };
        self.fields.clear();
        match cut {
            Cut::DoubleColon => self.split_at_double_colons(),
            Cut::Byte(byte) if memchr(b'"', &self.buffer).is_none() => self.split_at(byte),
            Cut::Byte(byte) => self.split_quoted(byte, false)?,
            Cut::Spaces => self.split_quoted(b' ', true)?,
        }
        if self.columns == MOST_COLUMNS && self.fields.len() > MOST_COLUMNS {
            return Err(Error::data_line(
                self.source.path(),
                self.line,
                format!("has more than {MOST_COLUMNS} columns"),
                "pass a text file with one rating a line",
            ));
        }
        if self.fields.iter().skip(self.columns).any(|range| is_text(self.cell(range))) {
            return Err(Error::data_line(
                self.source.path(),
                self.line,
                format!("has more columns than the {} of the first line", self.columns),
                "quote the cell that has a separator in it, or correct the line",
            ));
        }
        Ok(())
    }

    /// From now on no record may have more columns than this one.
    pub(in super::super) fn settle(&mut self) {
        self.columns = self.fields.len();
    }

    /// What is left of the source behind this record, how it is cut, and the lines read so far.
    pub(in super::super) fn leave(self) -> (Source<'a>, Rules, u64) {
        let cut = self.cut.unwrap_or(COMMA);
        (self.source, Rules { line_end: self.line_end, cut, columns: self.columns }, self.lines)
    }

    /// Goes on where [`leave`](Self::leave) ended, behind so many lines.
    pub(in super::super) fn resume(source: Source<'a>, rules: Rules, lines: u64) -> Self {
        let Rules { line_end, cut, columns } = rules;
        let (buffer, fields) = (Vec::new(), Vec::new());
        Self { source, line_end, cut: Some(cut), least: 0, columns, buffer, fields, lines, line: 0 }
    }

    /// Takes a line with its end rather than read it. `false` if it is blank.
    ///
    /// # Errors
    /// As [`advance`](Self::advance); also where the record needs more lines.
    pub(in super::super) fn take(&mut self, line: &[u8]) -> Result<bool> {
        self.lines += 1;
        if line.len() > LONGEST {
            return Err(too_long(Location::line(self.source.path(), self.lines)));
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(line);
        if line.trim_ascii().is_empty() {
            return Ok(false);
        }
        self.divide()?;
        Ok(true)
    }

    /// Line on which the record begins, from 1.
    pub(in super::super) fn line(&self) -> u64 {
        self.line
    }

    /// A field of the record, from 0; `None` past its end.
    pub(in super::super) fn field(&self, index: usize) -> Option<&[u8]> {
        self.fields.get(index).map(|range| self.cell(range))
    }

    /// The fields of the record.
    pub(in super::super) fn fields(&self) -> Vec<&[u8]> {
        self.fields.iter().map(|range| self.cell(range)).collect()
    }

    /// The bytes of one of `fields`.
    fn cell(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.get(range.clone()).unwrap_or_default()
    }

    /// The source's name for messages.
    pub(in super::super) fn source(&self) -> &Source<'a> {
        &self.source
    }

    /// Appends a physical line; `false` at the end of the file. `quote`: the line of an open quote.
    fn read_line(&mut self, quote: Option<u64>) -> Result<bool> {
        let most = (LONGEST + 1).saturating_sub(self.buffer.len()) as u64;
        let read = self.source.read_until(self.line_end, most, &mut self.buffer)?;
        self.lines += u64::from(read > 0);
        if self.buffer.len() <= LONGEST {
            return Ok(read > 0);
        }
        Err(quote.map_or_else(
            || too_long(Location::line(self.source.path(), self.lines)),
            |line| self.open_quote(line),
        ))
    }

    /// What was read, without the end of the last line.
    fn text(&self) -> &[u8] {
        self.buffer.get(..self.end()).unwrap_or_default()
    }

    /// Where the text of the last line read ends: before CR and LF.
    fn end(&self) -> usize {
        let text = self.buffer.strip_suffix(&[self.line_end]).unwrap_or(&self.buffer);
        text.len() - text.iter().rev().take_while(|&&byte| byte == b'\r').count()
    }

    fn split_at(&mut self, separator: u8) {
        let end = self.end();
        let mut start = 0;
        for stop in memchr_iter(separator, self.buffer.get(..end).unwrap_or_default()).take(self.columns) {
            self.fields.push(start..stop);
            start = stop + 1;
        }
        self.fields.push(start..end);
    }

    fn split_at_double_colons(&mut self) {
        let end = self.end();
        let mut start = 0;
        let text = self.buffer.get(..end).unwrap_or_default();
        for stop in memmem::find_iter(text, b"::").take(self.columns) {
            self.fields.push(start..stop);
            start = stop + 2;
        }
        self.fields.push(start..end);
    }

    /// Cuts at `separator`, or at runs of it, outside of quotes. Reads on while a quote is open.
    #[expect(clippy::indexing_slicing, reason = "start ≤ rest ≤ stop ≤ end ≤ the buffer's length")]
    fn split_quoted(&mut self, separator: u8, runs: bool) -> Result<()> {
        let mut start = 0;
        let mut end = self.end();
        loop {
            if runs {
                start += self.buffer[start..end].iter().take_while(|&&byte| byte == separator).count();
                if start == end && !self.fields.is_empty() {
                    return Ok(()); // spaces at the end of the line
                }
            }
            let mut field = start..start;
            let mut rest = start; // what follows the closing quote
            if start < end && self.buffer[start] == b'"' {
                let opened = self.lines;
                (field, rest) = self.unquote(start + 1)?;
                end = self.end();
                // After a quote that spans lines, text means that it was closed by the next opening one.
                if self.lines > opened && rest < end && self.buffer[rest] != separator {
                    return Err(self.open_quote(opened));
                }
            }
            let stop = memchr(separator, &self.buffer[rest..end]).map_or(end, |length| rest + length);
            // Text after a closing quote belongs to the field, as other readers have it.
            self.buffer.copy_within(rest..stop, field.end);
            self.fields.push(field.start..field.end + (stop - rest));
            // More are an error, and need not be found.
            if stop == end || self.fields.len() > MOST_COLUMNS {
                return Ok(());
            }
            start = stop + 1;
        }
    }

    /// Moves the quoted text that begins at `start` together, each `""` as one `"`.
    /// Returns where it lies and where the closing quote ended.
    #[expect(
        clippy::indexing_slicing,
        reason = "write ≤ read ≤ the buffer's length, and write < read once one was read"
    )]
    fn unquote(&mut self, start: usize) -> Result<(Range<usize>, usize)> {
        let opened = self.lines;
        let (mut write, mut read) = (start, start);
        loop {
            let Some(length) = memchr(b'"', &self.buffer[read..]) else {
                let left = self.buffer.len() - read;
                self.buffer.copy_within(read.., write);
                write += left;
                self.buffer.truncate(write);
                read = write;
                if !self.read_line(Some(opened))? {
                    return Err(self.open_quote(opened));
                }
                continue;
            };
            self.buffer.copy_within(read..read + length, write);
            (write, read) = (write + length, read + length + 1);
            if self.buffer.get(read) != Some(&b'"') {
                return Ok((start..write, read));
            }
            self.buffer[write] = b'"';
            (write, read) = (write + 1, read + 1);
        }
    }

    fn open_quote(&self, line: u64) -> Error {
        Error::data_line(
            self.source.path(),
            line,
            "a quote opens on this line and is not closed",
            "close it, or write the field as \"…\" with each quote in it doubled",
        )
    }
}

/// Whether there is more than separators, which spreadsheets write behind the last column.
fn is_text(cell: &[u8]) -> bool {
    cell.iter().any(|byte| !b",;|:\t \"".contains(byte))
}

/// The first separator that cuts the line into `columns`, else into two, else a comma.
fn detect(line: &[u8], columns: usize) -> Cut {
    let fitting = |least| CUTS.into_iter().find(|cut| count(line, *cut) >= least);
    fitting(columns).or_else(|| fitting(2)).unwrap_or(COMMA)
}

/// Fields of a line, its quoted ones taken as closed at its end.
fn count(line: &[u8], cut: Cut) -> usize {
    match cut {
        Cut::DoubleColon => memmem::find_iter(line, b"::").count() + 1,
        Cut::Byte(byte) => 1 + separators(line, byte).count(),
        Cut::Spaces => {
            let line = line.trim_ascii();
            // A run is counted where it ends, which is never behind the trimmed line's end.
            let runs = separators(line, b' ').filter(|&at| line.get(at + 1) != Some(&b' '));
            1 + runs.count()
        }
    }
}

/// Where `separator` stands outside of quotes.
fn separators(line: &[u8], separator: u8) -> impl Iterator<Item = usize> {
    let (mut quoted, mut before) = (false, separator);
    let outside = move |at: &(usize, &u8)| {
        let byte = *at.1;
        if byte == b'"' && (quoted || [separator, b'"'].contains(&before)) {
            quoted = !quoted;
        }
        before = byte;
        !quoted && byte == separator
    };
    line.iter().enumerate().filter(outside).map(|(at, _)| at)
}

#[cfg(test)]
mod tests;
