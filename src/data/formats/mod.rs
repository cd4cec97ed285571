//! File formats. A format turns bytes into records; it knows neither id maps
//! nor duplicates. To add one: a file here and a line in [`FORMATS`].

mod delimited;
mod jsonl;
mod libmf;
mod lines;
mod mtx;
mod npy;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod records;

use std::ops::Range;
use std::path::Path;

use super::collect::Gather;
use super::columns::Columns;
use super::read::{ReadOptions, Separator};
use super::source::Source;
use super::text::quoted;
use super::time::parse_time;
use super::unpack;
use crate::error::{Error, Place, Result};

pub(super) use delimited::record;
pub(super) use lines::LONGEST;
pub(super) use records::{Cut, Records, Rules};

/// Every format, in the order in which they are tried on a file's first bytes.
/// Text without a signature of its own comes last.
pub const FORMATS: &[Format] = &[
    #[cfg(feature = "parquet")]
    parquet::FORMAT,
    npz::FORMAT,
    npy::FORMAT,
    mtx::FORMAT,
    jsonl::FORMAT,
    libmf::FORMAT,
    delimited::FORMAT,
];

/// A file format.
#[derive(Debug)]
pub struct Format {
    /// Its name, one word.
    pub name: &'static str,
    /// Other names that people know it by.
    pub aliases: &'static [&'static str],
    /// What such a file looks like, one line.
    pub summary: &'static str,
    /// Usual file name extensions, without the dot: for people, and for folders,
    /// of which files with other names are left out. A file is recognised by its content.
    pub extensions: &'static [&'static str],
    /// Whether a file that begins with these bytes (8 KiB, or all there are), unpacked,
    /// is of this format. The file's name is for what has no signature of its own.
    recognize: fn(&[u8], &Path) -> bool,
    /// Reads a file to its end, record by record.
    read: fn(Source<'_>, &Request<'_>, &mut Sink<'_>) -> Result<()>,
    /// The same on all threads, where the format has a way to.
    collect: Option<Collect>,
    /// How its lines are read from any of them on, where each says all by itself.
    lines: Option<fn(Source<'_>, &Request<'_>) -> Result<AnyLine>>,
    /// Whether it is read by groups of rows, and so in [parts](Request::part).
    groups: bool,
}

/// Reads a file to its end at once, on all threads.
type Collect = fn(Source<'_>, &Request<'_>, &mut Gather<'_>) -> Result<()>;

/// What the first lines of a text tell of the others, so that reading may begin anywhere.
pub(super) struct AnyLine {
    /// Lines before the first record.
    pub(super) before: u64,
    /// What ends a line.
    pub(super) line_end: u8,
    /// Reads the records of whole lines, counted from 1, to the end of their source.
    pub(super) read: Box<Collected>,
}

/// As [`Collect`], for what knows the file's first lines.
type Collected = dyn Fn(Source<'_>, &Request<'_>, &mut Gather<'_>) -> Result<()>;

/// By name: there is one of each.
impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

impl Format {
    /// The format with this name or alias.
    ///
    /// # Errors
    /// [`Error::Usage`] that lists the names.
    pub fn by_name(name: &str) -> Result<&'static Format> {
        let named = |format: &&Format| format.name == name || format.aliases.contains(&name);
        FORMATS.iter().find(named).ok_or_else(|| {
            let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            Error::usage(
                format!("there is no format {}", quoted(name.as_bytes())),
                format!("pass one of {}", names.join(", ")),
            )
        })
    }
}

/// Those of Parquet, which a build without it refuses to read: it must not pass them over.
const PARQUET_EXTENSIONS: &[&str] = &["parquet", "pq"];

/// Whether a file with this extension, without the dot, may hold ratings, in this build or another.
pub(crate) fn is_known_extension(extension: &str) -> bool {
    let extension = extension.to_ascii_lowercase();
    let formats = FORMATS.iter().flat_map(|format| format.extensions);
    let mut known = formats.chain(PARQUET_EXTENSIONS).chain(unpack::EXTENSIONS);
    known.any(|known| *known == extension)
}

/// What is wanted of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) columns: Option<&'a Columns>,
    pub(super) separator: Separator,
    pub(super) header: Option<bool>,
    /// Whether each record must have a rating.
    pub(super) rating: bool,
    /// Whether each record must have a timestamp; if so, a rating as well.
    pub(super) time: bool,
    /// Whether the format was named rather than recognised.
    pub(super) forced: bool,
    /// What to read of a file in groups of rows: the groups that begin in this part, of so many equal
    /// ones; `None`: all.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "no other format has groups"))]
    pub(super) part: Option<(&'a Range<u64>, u64)>,
}

impl<'a> Request<'a> {
    pub(super) fn new(options: &'a ReadOptions, rating: bool) -> Self {
        let ReadOptions { columns, separator, header, time, format, .. } = options;
        let (separator, header, time) = (*separator, *header, *time && rating);
        Self {
            columns: columns.as_ref(),
            separator,
            header,
            rating,
            time,
            forced: format.is_some(),
            part: None,
        }
    }

    /// Refuses what a format without columns and timestamps can't give. `what` it is, with its article.
    pub(super) fn indices_only(&self, what: &str, path: &Path) -> Result<()> {
        if self.columns.is_some() {
            return Err(Error::usage(
                format!("{} is {what}, which has no columns to choose", path.display()),
                "leave --columns out",
            ));
        }
        if self.time {
            return Err(Error::data(path, "has no timestamps", "hold out by random or by user, not by time"));
        }
        Ok(())
    }
}

/// One rating as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Record<'a> {
    /// Not empty.
    pub(super) user: &'a [u8],
    /// Not empty.
    pub(super) item: &'a [u8],
    /// Finite; `Some` if [`Request::rating`].
    pub(super) rating: Option<f32>,
    /// `Some` if [`Request::time`].
    pub(super) time: Option<i64>,
    /// Where it stands: the line on which it begins, or whatever the format counts.
    pub(super) place: Place,
}

/// Takes the records of a file in their order.
pub(super) type Sink<'a> = dyn FnMut(Record<'_>) -> Result<()> + 'a;

/// Reads a source in the format `forced`, else in the first that recognises it.
pub(super) fn read(
    source: Source<'_>,
    forced: Option<&'static Format>,
    request: &Request<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    (format_of(&source, forced).read)(source, request, sink)
}

/// The same for all records of a source at once.
pub(super) fn collect(
    source: Source<'_>,
    forced: Option<&'static Format>,
    request: &Request<'_>,
    gather: &mut Gather<'_>,
) -> Result<()> {
    let format = format_of(&source, forced);
    match format.collect {
        Some(collect) => collect(source, request, gather),
        None => (format.read)(source, request, &mut |record| gather.push(record)),
    }
}

/// What the first lines of a text tell of the others; `None` where the format has to be read from its
/// beginning to its end.
///
/// # Errors
/// As reading the source, where that fails at its first record.
pub(super) fn any_line(
    source: Source<'_>,
    forced: Option<&'static Format>,
    request: &Request<'_>,
) -> Option<Result<AnyLine>> {
    format_of(&source, forced).lines.map(|lines| lines(source, request))
}

/// Whether [`any_line`] has an answer.
pub(super) fn has_lines(source: &Source<'_>, forced: Option<&'static Format>) -> bool {
    format_of(source, forced).lines.is_some()
}

/// Whether it is read by groups of rows.
pub(super) fn has_groups(source: &Source<'_>, forced: Option<&'static Format>) -> bool {
    format_of(source, forced).groups
}

/// The format `forced`, else the first that recognises the source.
pub(super) fn format_of(source: &Source<'_>, forced: Option<&'static Format>) -> &'static Format {
    let recognized = FORMATS.iter().find(|format| (format.recognize)(source.head(), source.path()));
    forced.or(recognized).unwrap_or(&delimited::FORMAT)
}

/// A number as f64, with spaces around it; `nan` and `inf` are numbers here.
pub(super) fn parse_number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// What is wrong with a part of a record, and what to do.
type Wrong = (String, String);

/// A rating from a number, or what is wrong with it and what to do.
fn check_rating(number: f64) -> std::result::Result<f32, Wrong> {
    finite(number, || format!("{number:?}"))
}

/// The same; `shown`: as it stands in the file.
fn finite(number: f64, shown: impl Fn() -> String) -> std::result::Result<f32, Wrong> {
    let rating = number as f32;
    if rating.is_finite() {
        return Ok(rating);
    }
    let what = if number.is_finite() { "is too large for a 32-bit float" } else { "is not finite" };
    Err((format!("rating {} {what}", shown()), "correct or remove it".to_owned()))
}

/// A rating from its text, or what is wrong with it and what to do.
pub(super) fn parse_rating(text: &[u8]) -> std::result::Result<f32, Wrong> {
    const CORRECT: &str = "correct it, or name the right column with --columns";
    let Some(number) = parse_number(text) else {
        let trimmed = text.trim_ascii();
        if trimmed.is_empty() {
            return Err(("the rating is empty".to_owned(), CORRECT.to_owned()));
        }
        let what = format!("rating {} is not a number", quoted(trimmed));
        let point = String::from_utf8_lossy(trimmed).replacen(',', ".", 1);
        let comma = trimmed.contains(&b',') && parse_number(point.as_bytes()).is_some();
        return Err((what, if comma { format!("write {point}, with a point") } else { CORRECT.to_owned() }));
    };
    finite(number, || quoted(text.trim_ascii()))
}

/// A timestamp from its text, or what is wrong with it and what to do.
pub(super) fn parse_timestamp(text: &[u8]) -> std::result::Result<i64, Wrong> {
    parse_time(text).ok_or_else(|| {
        let what = match text.trim_ascii() {
            b"" => "the timestamp is empty".to_owned(),
            text => format!("timestamp {} is neither seconds nor a date", quoted(text)),
        };
        (
            what,
            "write seconds or 2005-04-02 23:53:47, or name the right column as the fourth of --columns"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names_of_their_own_and_the_last_takes_everything() {
        for (index, format) in FORMATS.iter().enumerate() {
            assert!(!format.name.is_empty() && !format.summary.is_empty() && !format.extensions.is_empty());
            for name in format.aliases.iter().chain([&format.name]) {
                assert!(
                    FORMATS[..index]
                        .iter()
                        .all(|other| { other.name != *name && !other.aliases.contains(name) }),
                    "{name}"
                );
                assert_eq!(Format::by_name(name).unwrap(), format);
            }
        }
        assert_eq!(Format::by_name("word").unwrap_err().exit_code(), 2);
        assert!((FORMATS[FORMATS.len() - 1].recognize)(b"", Path::new("")));
    }

    #[test]
    fn ratings_are_finite_numbers() {
        for (text, rating) in [
            ("4", 4.0),
            (" 3.5\t", 3.5),
            ("-1e-3", -1e-3),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("1e-60", 0.0),
            ("0.1", 0.1),
            ("16777217", 16_777_216.0),
        ] {
            assert_eq!(parse_rating(text.as_bytes()), Ok(rating), "{text}");
        }
        for (text, what) in [
            ("", "the rating is empty"),
            ("  ", "the rating is empty"),
            ("abc", "rating \"abc\" is not a number"),
            ("1_000", "rating \"1_000\" is not a number"),
            ("4 5", "rating \"4 5\" is not a number"),
            ("nan", "rating \"nan\" is not finite"),
            ("-INF", "rating \"-INF\" is not finite"),
            ("1e400", "rating \"1e400\" is not finite"),
            ("1e39", "rating \"1e39\" is too large for a 32-bit float"),
            ("-1e39", "rating \"-1e39\" is too large for a 32-bit float"),
        ] {
            assert_eq!(parse_rating(text.as_bytes()).unwrap_err().0, what);
        }
        assert_eq!(parse_rating(b"\xff5").unwrap_err().0, r#"rating "\xff5" is not a number"#);
    }

    #[test]
    fn a_decimal_comma_gets_a_hint() {
        assert_eq!(parse_rating(b"3,5").unwrap_err().1, "write 3.5, with a point");
        assert!(!parse_rating(b"1,2,3").unwrap_err().1.contains("point"));
        assert!(!parse_rating(b"a,b").unwrap_err().1.contains("point"));
    }
}
