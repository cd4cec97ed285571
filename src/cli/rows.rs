//! Rows of data: CSV with ids byte for byte, or JSON lines.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

/// The forms of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Json,
}

impl Form {
    /// What a flag asks for, else what the extension of the file says, else CSV.
    pub(super) fn of(out: Option<&Path>, json: bool) -> Self {
        let extension = out.and_then(Path::extension).map(std::ffi::OsStr::to_ascii_lowercase);
        match extension {
            _ if json => Form::Json,
            Some(extension) if extension == "json" || extension == "jsonl" => Form::Json,
            _ => Form::Csv,
        }
    }
}

/// Writes each row in the form that was asked for.
pub(super) enum Rows<'a, W: Write> {
    Csv(Box<csv::Writer<&'a mut W>>),
    Json(&'a mut W),
}

impl<'a, W: Write> Rows<'a, W> {
    pub(super) fn new(out: &'a mut W, form: Form) -> Self {
        match form {
            Form::Csv => Rows::Csv(Box::new(csv::Writer::from_writer(out))),
            Form::Json => Rows::Json(out),
        }
    }

    /// The names of the columns; JSON has its keys.
    pub(super) fn header(&mut self, names: &[&str]) -> io::Result<()> {
        match self {
            Rows::Csv(writer) => writer.write_record(names).map_err(io_error),
            Rows::Json(_) => Ok(()),
        }
    }

    /// One row: `cells` for CSV, `object` for JSON.
    pub(super) fn row(&mut self, cells: &[&[u8]], object: &impl Serialize) -> io::Result<()> {
        match self {
            Rows::Csv(writer) => writer.write_record(cells).map_err(io_error),
            Rows::Json(out) => {
                serde_json::to_writer(&mut **out, object)?;
                out.write_all(b"\n")
            }
        }
    }

    /// Hands on what was written so far, to whoever reads along.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Rows::Csv(writer) => writer.flush(),
            Rows::Json(out) => out.flush(),
        }
    }

    /// Hands everything to the stream below.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()
    }
}

/// The system's error with its kind, by which a closed pipe is known.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_quoted_only_where_csv_needs_it_and_kept_byte_for_byte() {
        let mut out = Vec::new();
        let mut rows = Rows::new(&mut out, Form::Csv);
        rows.header(&["user", "item"]).unwrap();
        for cells in [[&b"007"[..], b"a,b"], [b"say \"hi\"", b"\xff\xfe"], [b" x ", "Zoë".as_bytes()]] {
            rows.row(&cells, &()).unwrap();
        }
        rows.finish().unwrap();
        assert_eq!(out, b"user,item\n007,\"a,b\"\n\"say \"\"hi\"\"\",\xff\xfe\n x ,Zo\xc3\xab\n");
    }

    #[test]
    fn a_file_s_name_says_its_form_unless_a_flag_does() {
        let form = |out: &str, json| Form::of(Some(Path::new(out)), json);
        assert_eq!((Form::of(None, false), Form::of(None, true)), (Form::Csv, Form::Json));
        for out in ["a.csv", "a", "a.txt", "json"] {
            assert_eq!((form(out, false), form(out, true)), (Form::Csv, Form::Json), "{out}");
        }
        assert_eq!((form("a.jsonl", false), form("b/a.JSON", false)), (Form::Json, Form::Json));
    }
}
