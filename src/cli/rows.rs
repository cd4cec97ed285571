//! Rows of data, on stdout or into a file: CSV with ids byte for byte, JSON
//! lines, or a Parquet table.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::streams::{STDOUT, Streams};
use super::table::bytes;
use crate::data::text::quoted;
use crate::error::{Error, Result};
use crate::output::Output;
#[cfg(feature = "parquet")]
use crate::output::parquet::{self, ParquetWriter};

/// Where rows go and in which form.
#[derive(Debug, Args)]
pub(super) struct To {
    /// Write to a file: Parquet if it ends in .parquet, JSON lines if in .jsonl, tabs if in .tsv, else CSV [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace an existing file
    #[arg(short, long, requires = "out")]
    force: bool,

    /// JSON, one object a line, instead of CSV
    #[arg(long)]
    json: bool,
}

/// The forms of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Tsv,
    Json,
    Parquet,
}

impl To {
    /// Opens the output, before any work, and sees that it is none of the inputs.
    pub(super) fn open<'i>(&self, inputs: impl IntoIterator<Item = &'i Path>) -> Result<Opened> {
        let out = self.out.as_deref().filter(|path| *path != Path::new("-"));
        let form = form(out, self.json)?;
        let create = |path| Output::create(path, self.force)?.apart_from(inputs);
        Ok(Opened { form, output: out.map(create).transpose()? })
    }
}

/// What the extension of the file says, else what a flag asks for, else CSV.
fn form(out: Option<&Path>, json: bool) -> Result<Form> {
    let refused = |what: &str, remedy: &str| Err(Error::usage(what, remedy));
    let extension = out.and_then(Path::extension).map(std::ffi::OsStr::to_ascii_lowercase);
    match extension.as_ref().and_then(|text| text.to_str()) {
        Some("parquet" | "pq") if cfg!(not(feature = "parquet")) => refused(
            "this build of deltav does not write Parquet",
            "name the file .csv or .jsonl, or build it with the feature parquet",
        ),
        Some("parquet" | "pq") if json => {
            refused("a .parquet file holds no JSON", "name it .jsonl, or leave --json out")
        }
        Some("parquet" | "pq") => Ok(Form::Parquet),
        Some("json" | "jsonl" | "ndjson") => Ok(Form::Json),
        // A name that promises what does not come would be found out much later.
        Some(extension) if ELSEWHERE.contains(&extension) => refused(
            &format!("rows can't be written as .{extension}"),
            "name the file .csv, .tsv, .jsonl or .parquet",
        ),
        _ if json => Ok(Form::Json),
        Some("tsv") => Ok(Form::Tsv),
        _ => Ok(Form::Csv),
    }
}

/// Extensions of forms that rows don't have.
const ELSEWHERE: &[&str] = &[
    "gz", "zst", "zip", "bz2", "xz", "xls", "xlsx", "ods", "npy", "npz", "mtx", "arrow", "feather", "pkl",
    "db", "sqlite",
];

/// An output that is open.
pub(super) struct Opened {
    form: Form,
    output: Option<Output>,
}

impl Opened {
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Whether it is a file, not stdout.
    pub(super) fn is_file(&self) -> bool {
        self.output.is_some()
    }

    /// Writes rows with these columns and, if all went well, puts the file in its place.
    pub(super) fn write<T>(
        self,
        streams: &mut Streams,
        columns: Vec<Column>,
        body: impl FnOnce(&mut Rows<'_>) -> Result<T>,
    ) -> Result<T> {
        match self.output {
            None => {
                let mut rows = Rows::new(streams.out(), STDOUT.into(), self.form, columns)?;
                let done = body(&mut rows)?;
                rows.finish()?;
                Ok(done)
            }
            Some(mut output) => {
                let path = output.path().to_owned();
                let mut rows = Rows::new(&mut output, path, self.form, columns)?;
                let done = body(&mut rows)?;
                rows.finish()?;
                let path = output.path().to_owned();
                let size = bytes(output.commit()?);
                streams.note(format!("saved {}, {size}", path.display()));
                Ok(done)
            }
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ids, names, words.
    Text,
    /// Whole numbers.
    Count,
    /// Numbers.
    Number,
    /// Words that CSV does without.
    Remark,
}

/// A column: its name, a word, and what it holds.
#[derive(Debug, Clone)]
pub(super) struct Column(pub(super) Cow<'static, str>, pub(super) Kind);

impl Column {
    pub(super) const fn text(name: &'static str) -> Self {
        Column(Cow::Borrowed(name), Kind::Text)
    }

    pub(super) const fn count(name: &'static str) -> Self {
        Column(Cow::Borrowed(name), Kind::Count)
    }

    pub(super) const fn number(name: &'static str) -> Self {
        Column(Cow::Borrowed(name), Kind::Number)
    }
}

/// A cell, of the kind of its column. What is missing is empty in CSV, null otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    /// Of [`Kind::Text`] and [`Kind::Remark`].
    Text(Option<&'a [u8]>),
    Count(u64),
    Number(Option<f32>),
}

impl<'a> Cell<'a> {
    /// An id, byte for byte.
    pub(super) fn id(id: &'a [u8]) -> Self {
        Cell::Text(Some(id))
    }
}

/// What rows are written to.
type Stream = dyn Write + Send;

/// Rows that are being written. The header goes out with the first of them, so that a call that
/// fails at once leaves nothing.
pub(super) struct Rows<'a> {
    path: PathBuf, // for messages
    columns: Vec<Column>,
    begun: bool,
    scratch: Vec<u8>,
    sink: Sink<'a>,
}

enum Sink<'a> {
    Csv(Box<csv::Writer<&'a mut Stream>>),
    Json(&'a mut Stream),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetWriter<&'a mut Stream>>),
}

impl<'a> Rows<'a> {
    fn new(out: &'a mut Stream, path: PathBuf, form: Form, columns: Vec<Column>) -> Result<Self> {
        let sink = match form {
            Form::Csv => Sink::Csv(Box::new(csv::Writer::from_writer(out))),
            Form::Tsv => Sink::Csv(Box::new(csv::WriterBuilder::new().delimiter(b'\t').from_writer(out))),
            #[cfg(feature = "parquet")]
            Form::Parquet => {
                let types: Vec<_> =
                    columns.iter().map(|Column(name, kind)| (&**name, kind.type_of())).collect();
                let writer = ParquetWriter::new(out, &types);
                let failed = |source| Error::Io { path: path.clone(), source };
                Sink::Parquet(Box::new(writer.map_err(failed)?))
            }
            _ => Sink::Json(out),
        };
        Ok(Self { path, columns, begun: false, scratch: Vec::new(), sink })
    }

    /// A row, a cell for each column.
    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        self.check_text(cells.iter().filter_map(|cell| match cell {
            Cell::Text(text) => *text,
            _ => None,
        }))?;
        self.try_row(cells).map_err(|source| self.failed(source))
    }

    /// A row that is an object of its own; only where the form is JSON.
    pub(super) fn object(&mut self, object: &impl Serialize) -> Result<()> {
        let written = match &mut self.sink {
            Sink::Json(out) => json_line(&mut **out, object),
            _ => Err(io::Error::other("an object where rows have columns")),
        };
        written.map_err(|source| self.failed(source))
    }

    /// Hands on what was written so far, to whoever reads along.
    pub(super) fn flush(&mut self) -> Result<()> {
        let flushed = match &mut self.sink {
            Sink::Csv(writer) => writer.flush(),
            Sink::Json(out) => out.flush(),
            // A row group is written when it is full.
            #[cfg(feature = "parquet")]
            Sink::Parquet(_) => Ok(()),
        };
        flushed.map_err(|source| self.failed(source))
    }

    fn finish(mut self) -> Result<()> {
        let path = self.path.clone();
        let finished = self.begin().and_then(|()| match self.sink {
            Sink::Csv(mut writer) => writer.flush(),
            Sink::Json(out) => out.flush(),
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => writer.finish(),
        });
        finished.map_err(|source| Error::Io { path, source })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }

    /// The names of the columns; JSON has its keys.
    fn begin(&mut self) -> io::Result<()> {
        if let (false, Sink::Csv(writer)) = (self.begun, &mut self.sink) {
            let shown = self.columns.iter().filter(|Column(_, kind)| *kind != Kind::Remark);
            writer.write_record(shown.map(|Column(name, _)| name.as_bytes())).map_err(io_error)?;
        }
        self.begun = true;
        Ok(())
    }

    fn try_row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        self.begin()?;
        if cells.len() != self.columns.len() {
            return Err(io::Error::other("a row without a cell for each column"));
        }
        match &mut self.sink {
            Sink::Csv(writer) => {
                for (Column(_, kind), cell) in self.columns.iter().zip(cells) {
                    if *kind != Kind::Remark {
                        self.scratch.clear();
                        writer.write_field(cell.text(&mut self.scratch)?).map_err(io_error)?;
                    }
                }
                writer.write_record(None::<&[u8]>).map_err(io_error)
            }
            Sink::Json(out) => {
                let mut before = b'{';
                for (Column(name, _), cell) in self.columns.iter().zip(cells) {
                    out.write_all(&[before])?;
                    before = b',';
                    serde_json::to_writer(&mut **out, name)?;
                    out.write_all(b":")?;
                    cell.write_json(&mut **out)?;
                }
                out.write_all(b"}\n")
            }
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => {
                let cells: Vec<parquet::Cell<'_>> = cells.iter().map(Cell::of_table).collect();
                writer.row(&cells)
            }
        }
    }

    /// Text is UTF-8 in JSON and in Parquet; ids may be any bytes, which CSV keeps.
    pub(super) fn check_text<'t>(&self, texts: impl IntoIterator<Item = &'t [u8]>) -> Result<()> {
        let form = match self.sink {
            Sink::Csv(_) => return Ok(()),
            Sink::Json(_) => "JSON",
            #[cfg(feature = "parquet")]
            Sink::Parquet(_) => "Parquet",
        };
        match texts.into_iter().find(|text| std::str::from_utf8(text).is_err()) {
            None => Ok(()),
            Some(text) => Err(Error::CantCreate {
                path: self.path.clone(),
                what: format!("can't hold {}: text in {form} is UTF-8", quoted(text)),
                remedy: "write CSV, which keeps any bytes".to_owned(),
            }),
        }
    }
}

impl Cell<'_> {
    /// The cell in CSV.
    fn text<'s>(&'s self, scratch: &'s mut Vec<u8>) -> io::Result<&'s [u8]> {
        match self {
            Cell::Text(text) => return Ok(text.unwrap_or_default()),
            Cell::Count(count) => write!(scratch, "{count}")?,
            Cell::Number(None) => {}
            Cell::Number(Some(number)) => write!(scratch, "{number}")?,
        }
        Ok(scratch)
    }

    fn write_json(&self, out: &mut Stream) -> io::Result<()> {
        match self {
            Cell::Text(text) => serde_json::to_writer(out, &text.map(String::from_utf8_lossy))?,
            Cell::Count(count) => serde_json::to_writer(out, count)?,
            Cell::Number(number) => serde_json::to_writer(out, number)?,
        }
        Ok(())
    }

    #[cfg(feature = "parquet")]
    fn of_table(&self) -> parquet::Cell<'_> {
        match *self {
            Cell::Text(text) => parquet::Cell::Bytes(text),
            Cell::Count(count) => parquet::Cell::Count(i64::try_from(count).unwrap_or(i64::MAX)),
            Cell::Number(number) => parquet::Cell::Number(number),
        }
    }
}

#[cfg(feature = "parquet")]
impl Kind {
    fn type_of(self) -> parquet::Kind {
        match self {
            Kind::Text | Kind::Remark => parquet::Kind::Text,
            Kind::Count => parquet::Kind::Count,
            Kind::Number => parquet::Kind::Number,
        }
    }
}

fn json_line(out: &mut Stream, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

/// The system's error with its kind, by which a closed pipe is known.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests;
