//! Reading ratings: options, the three entry points, ids and duplicates.

use std::path::Path;
use std::str::FromStr;

use super::collect::{Collector, Gather, check_range, without_rating};
use super::columns::Columns;
use super::duplicates::{Places, distinct};
use super::formats::{self, Format, Record, Request};
use super::ids::Ids;
use super::input::Input;
use super::range::RatingRange;
use super::ratings::Ratings;
use super::source::Source;
use super::text::quoted;
use crate::error::{Error, Location, Place, Result};

/// What stands between the columns of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Separator {
    /// Found out from the first line: `::`, tab, comma, semicolon, `|` or spaces.
    #[default]
    Auto,
    /// One byte; a space stands for any run of spaces.
    Byte(u8),
    /// `::`, as in MovieLens `.dat` files. Quotes have no meaning there.
    DoubleColon,
}

/// By name (`auto`, `tab`, `comma`, `semicolon`, `pipe`, `space`), as `::`, or as the byte itself.
impl FromStr for Separator {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "auto" => Separator::Auto,
            "::" => Separator::DoubleColon,
            "tab" | "\\t" => Separator::Byte(b'\t'),
            "comma" => Separator::Byte(b','),
            "semicolon" => Separator::Byte(b';'),
            "pipe" => Separator::Byte(b'|'),
            "space" => Separator::Byte(b' '),
            _ => match text.as_bytes() {
                // Not what numbers, quotes and line ends are made of.
                [byte]
                    if byte.is_ascii()
                        && !byte.is_ascii_alphanumeric()
                        && !matches!(byte, b'"' | b'\n' | b'\r' | b'.' | b'-' | b'+' | 0) =>
                {
                    Separator::Byte(*byte)
                }
                _ => {
                    return Err(Error::usage(
                        format!("{} can't separate columns", quoted(text.as_bytes())),
                        "pass auto, tab, comma, semicolon, pipe, space, :: or one other character",
                    ));
                }
            },
        })
    }
}

/// What to do where a user rates an item twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// Refuse the file.
    #[default]
    Error,
    /// Keep the first rating.
    First,
    /// Keep the last rating, at its own place in the order.
    Last,
    /// Keep the mean of all, at the place of the first.
    Mean,
}

impl Duplicates {
    /// Every choice, in the order of the help text.
    pub const ALL: [Duplicates; 4] =
        [Duplicates::Error, Duplicates::First, Duplicates::Last, Duplicates::Mean];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Duplicates::Error => "error",
            Duplicates::First => "first",
            Duplicates::Last => "last",
            Duplicates::Mean => "mean",
        }
    }
}

impl FromStr for Duplicates {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Duplicates::ALL.into_iter().find(|choice| choice.name() == text).ok_or_else(|| {
            Error::usage(
                format!("duplicates can't be handled by {}", quoted(text.as_bytes())),
                "pass error, first, last or mean",
            )
        })
    }
}

/// How to read files. By default everything is found out from each file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadOptions {
    /// The format; see [`Format::by_name`].
    pub format: Option<&'static Format>,
    /// The columns; by default those with well-known names in the header, else the first three.
    pub columns: Option<Columns>,
    /// The separator of columns.
    pub separator: Separator,
    /// Whether the first line is a header; by default it is if no column that is used holds a number there.
    pub header: Option<bool>,
    /// What to do where a user rates an item twice.
    pub duplicates: Duplicates,
    /// What every rating must lie in.
    pub rating_range: Option<RatingRange>,
    /// Whether to read timestamps as well, and to refuse a file without.
    pub time: bool,
}

/// Ratings as they stand in files, by ids of their own: test files. A pair may occur more than once.
///
/// # Shapes
/// As [`Ratings`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Triples {
    /// Their users.
    pub users: Ids,
    /// Their items.
    pub items: Ids,
    /// Index of each rating's user, `[N]`.
    pub user: Vec<u32>,
    /// Index of each rating's item, `[N]`.
    pub item: Vec<u32>,
    /// The ratings, finite, `[N]`.
    pub value: Vec<f32>,
    /// When each was given, `[N]`, where [`ReadOptions::time`] asked for it.
    pub time: Option<Vec<i64>>,
}

/// Reads ratings to train on, from all inputs one after the other.
///
/// # Errors
/// [`Error::NoInput`] if a file can't be opened or a folder has none,
/// [`Error::Io`] if reading breaks off, [`Error::Data`] for anything that is
/// not a rating and for duplicates, [`Error::Usage`] for options that
/// contradict each other.
///
/// ```no_run
/// # use deltav::data::{ReadOptions, read_ratings};
/// let ratings = read_ratings(["2024.csv.gz", "2025/"], &ReadOptions::default())?;
/// # Ok::<(), deltav::Error>(())
/// ```
pub fn read_ratings(
    inputs: impl IntoIterator<Item = impl Into<Input>>,
    options: &ReadOptions,
) -> Result<Ratings> {
    let (triples, places) = collect(inputs, options)?;
    distinct(triples, &places, options.duplicates)
}

/// Reads ratings to test with: as [`read_ratings`], but a pair may occur more than once.
///
/// # Errors
/// As [`read_ratings`], duplicates apart.
pub fn read_triples(
    inputs: impl IntoIterator<Item = impl Into<Input>>,
    options: &ReadOptions,
) -> Result<Triples> {
    collect(inputs, options).map(|(triples, _)| triples)
}

/// A pair to predict as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The user's id.
    pub user: &'a [u8],
    /// The item's id.
    pub item: &'a [u8],
    /// The file that it stands in.
    pub path: &'a Path,
    /// Where in that file.
    pub place: Place,
}

impl Pair<'_> {
    /// Where it stands, for an error.
    pub fn location(&self) -> Location {
        Location::at(self.path, self.place)
    }
}

/// Reads pairs to predict: `each` gets one after the other as they are read, and none is
/// kept in memory. A rating column is ignored. Returns their number.
///
/// # Errors
/// As [`read_triples`], and whatever `each` returns.
pub fn read_pairs(
    inputs: impl IntoIterator<Item = impl Into<Input>>,
    options: &ReadOptions,
    mut each: impl FnMut(Pair<'_>) -> Result<()>,
) -> Result<u64> {
    let mut count = 0;
    each_record(
        inputs,
        options,
        Wanted { rating: false, live: false },
        &mut |_, path, Record { user, item, place, .. }| {
            count += 1;
            each(Pair { user, item, path, place })
        },
    )?;
    Ok(count)
}

/// A rating as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rated<'a> {
    /// The pair.
    pub pair: Pair<'a>,
    /// The rating, finite.
    pub rating: f32,
}

/// Reads ratings one after the other: `each` gets every one as it is read, from standard input as
/// soon as its line is there, and none is kept in memory. Returns their number.
///
/// # Errors
/// As [`read_triples`], and whatever `each` returns.
pub fn stream_ratings(
    inputs: impl IntoIterator<Item = impl Into<Input>>,
    options: &ReadOptions,
    mut each: impl FnMut(Rated<'_>) -> Result<()>,
) -> Result<u64> {
    let mut count = 0;
    each_record(
        inputs,
        options,
        Wanted { rating: true, live: true },
        &mut |_, path, Record { user, item, rating, place, .. }| {
            count += 1;
            let rating = rating.ok_or_else(without_rating)?;
            each(Rated { pair: Pair { user, item, path, place }, rating })
        },
    )?;
    Ok(count)
}

/// All ratings of all inputs in their order, and where each stands.
pub(super) fn collect(
    inputs: impl IntoIterator<Item = impl Into<Input>>,
    options: &ReadOptions,
) -> Result<(Triples, Places)> {
    let files = files(inputs)?;
    let request = Request::new(options, true);
    let mut collector = Collector::new(options.time);
    for (number, file) in files.iter().enumerate() {
        let mut gather = Gather::new(&mut collector, number, file.path(), options.rating_range);
        whole(file, Source::open(file)?, |source| {
            formats::collect(source, options.format, &request, &mut gather)
        })?;
    }
    Ok(collector.finish(files))
}

/// What is wanted of each record.
#[derive(Clone, Copy)]
struct Wanted {
    /// Its rating.
    rating: bool,
    /// Each as soon as it is there.
    live: bool,
}

/// Every record of every file of every input, with its file by number and name. Returns the files.
fn each_record(
    inputs: impl IntoIterator<Item = impl Into<Input>>,
    options: &ReadOptions,
    wanted: Wanted,
    each: &mut dyn FnMut(usize, &Path, Record<'_>) -> Result<()>,
) -> Result<Vec<Input>> {
    let files = files(inputs)?;
    let request = Request::new(options, wanted.rating);
    for (number, file) in files.iter().enumerate() {
        let source = if wanted.live { Source::live(file)? } else { Source::open(file)? };
        whole(file, source, |source| {
            formats::read(source, options.format, &request, &mut |record: Record<'_>| {
                check_range(options.rating_range, file.path(), &record)?;
                each(number, file.path(), record)
            })
        })?;
    }
    Ok(files)
}

/// Every file of every input.
pub(super) fn files(inputs: impl IntoIterator<Item = impl Into<Input>>) -> Result<Vec<Input>> {
    // All are looked up before the first is read, so that a wrong name costs no time.
    let mut files = Vec::new();
    for input in inputs {
        files.extend(input.into().files()?);
    }
    if files.is_empty() {
        return Err(Error::usage("there is no input", "pass a file with one rating a line"));
    }
    Ok(files)
}

/// Reads a source of a file, and sees whether what is packed was whole where a line of it is wrong.
pub(super) fn whole<'a>(
    file: &'a Input,
    source: Source<'a>,
    read: impl FnOnce(Source<'a>) -> Result<()>,
) -> Result<()> {
    let packed = source.is_packed_file();
    match read(source).map_err(|error| file.meant(error)) {
        // Damage shows at the end of what is packed, by its checksum; before, it looks like a
        // line that nobody wrote.
        Err(error @ Error::Data { .. }) if packed => {
            Source::open(file)?.drain()?;
            Err(error)
        }
        read => read,
    }
}

#[cfg(test)]
mod tests;
