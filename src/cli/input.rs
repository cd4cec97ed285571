//! Reading ratings as the flags say.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanCount;

pub(super) use crate::data::named;

use super::args::one_of;
use super::help;
use super::table::count;
use crate::data::formats::Format;
use crate::data::{
    Cache, Columns, Duplicates, Held, IdMap, Ids, Input, Known, Meter, RatingRange, Ratings, ReadOptions,
    Separator, Triples, none_known, none_left, read_ratings, read_triples,
};
use crate::error::{Error, Result};
use crate::model::Metadata;

/// How files are read.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// Columns by name or by number from 1 [default: well-known names of the header, else 1,2,3]
    #[arg(long, value_name = "USER,ITEM,RATING[,TIME]")]
    columns: Option<Columns>,

    /// What separates columns: auto, comma, tab, semicolon, pipe, space, :: or another character
    #[arg(long, value_name = "SEPARATOR", default_value = "auto", hide_default_value = true)]
    separator: Separator,

    /// Whether the first line names the columns [default: auto]
    #[arg(long, value_name = "yes|no|auto", default_value = "auto", hide_default_value = true, value_parser = header)]
    header: Header,

    #[arg(long, value_name = "FORMAT", value_parser = Format::by_name, help = help::formats())]
    format: Option<&'static Format>,
}

/// How files with ratings are read.
#[derive(Debug, Args)]
pub(super) struct RatingsReading {
    #[command(flatten)]
    files: Reading,

    /// Refuse ratings outside of this range, such as 0.5..5
    #[arg(long, value_name = "MIN..MAX", allow_hyphen_values = true)]
    rating_range: Option<RatingRange>,
}

/// Whether what was read is kept for the next time.
#[derive(Debug, Args)]
pub(super) struct Caching {
    /// Keep what was read in a file of FOLDER, and read that if the same is read again [default FOLDER:
    /// deltav in the user's cache folder]
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true)]
    cache: Option<Option<PathBuf>>,
}

/// How files to train on are read.
#[derive(Debug, Args)]
pub(super) struct TrainingReading {
    #[command(flatten)]
    pub(super) caching: Caching,

    /// Where a user rates an item twice
    #[arg(long, value_name = "WHICH", default_value = "error", value_parser = one_of(&Duplicates::ALL, Duplicates::name))]
    duplicates: Duplicates,

    /// Leave out users with fewer than N ratings and items with fewer than M (or N), until none is left
    #[arg(long, value_name = "N[,M]", value_parser = min_ratings)]
    min_ratings: Option<MinRatings>,

    #[command(flatten)]
    ratings: RatingsReading,
}

#[derive(Debug, Clone, Copy)]
struct Header(Option<bool>);

fn header(text: &str) -> Result<Header, String> {
    match text {
        "yes" => Ok(Header(Some(true))),
        "no" => Ok(Header(Some(false))),
        "auto" => Ok(Header(None)),
        _ => Err("pass yes, no or auto".to_owned()),
    }
}

/// Ratings that a user and an item must have at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MinRatings {
    user: u64,
    item: u64,
}

fn min_ratings(text: &str) -> Result<MinRatings, String> {
    let (user, item) = text.split_once(',').unwrap_or((text, text));
    match (user.trim().parse(), item.trim().parse()) {
        (Ok(user), Ok(item)) => Ok(MinRatings { user, item }),
        _ => Err("pass one whole number, or two, such as 5 or 5,10".to_owned()),
    }
}

impl Reading {
    /// The library's options.
    pub(super) fn options(&self) -> ReadOptions {
        ReadOptions {
            format: self.format,
            columns: self.columns.clone(),
            separator: self.separator,
            header: self.header.0,
            ..ReadOptions::default()
        }
    }
}

impl RatingsReading {
    /// The library's options.
    pub(super) fn options(&self) -> ReadOptions {
        ReadOptions { rating_range: self.rating_range, ..self.files.options() }
    }
}

impl Caching {
    fn cache(&self) -> Result<Option<Cache>> {
        let Some(folder) = &self.cache else { return Ok(None) };
        let unknown = || Error::usage("the user's cache folder is not known", "pass one as --cache=FOLDER");
        let folder = folder.clone().or_else(cache_folder).ok_or_else(unknown)?;
        Ok(Some(Cache::new(folder)))
    }

    /// Refuses a cache where nobody reads all that would be kept.
    ///
    /// # Errors
    /// [`Error::Usage`] if one was asked for.
    pub(super) fn refuse_among_many(&self) -> Result<()> {
        match self.cache {
            None => Ok(()),
            Some(_) => Err(Error::usage(
                "--cache keeps what one process reads, and here each reads a part",
                "leave it out",
            )),
        }
    }

    /// Reads ratings to train on, with what the user should know of the cache.
    pub(super) fn ratings(
        &self,
        inputs: Vec<Input>,
        options: &ReadOptions,
    ) -> Result<(Ratings, Vec<String>)> {
        match self.cache()? {
            Some(cache) => cache.read_ratings(inputs, options),
            None => Ok((read_ratings(inputs, options)?, Vec::new())),
        }
    }

    /// The same for ratings to test with.
    fn triples(&self, inputs: Vec<Input>, options: &ReadOptions) -> Result<(Triples, Vec<String>)> {
        match self.cache()? {
            Some(cache) => cache.read_triples(inputs, options),
            None => Ok((read_triples(inputs, options)?, Vec::new())),
        }
    }
}

/// Where the system has programs keep what they can make anew: as the XDG base directory specification
/// has it, or Apple's and Microsoft's guides.
fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else {
        let usual = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(usual)))
    };
    Some(folder?.join("deltav"))
}

impl TrainingReading {
    /// The library's options.
    pub(super) fn options(&self) -> ReadOptions {
        ReadOptions { duplicates: self.duplicates, ..self.ratings.options() }
    }

    /// Ratings that a user and an item must have at least, where that is asked for.
    pub(super) fn least(&self) -> Option<[u64; 2]> {
        self.min_ratings.map(|MinRatings { user, item }| [user, item])
    }

    /// Whether who has too few ratings is left out.
    pub(super) fn leaves_out(&self) -> bool {
        self.min_ratings.is_some()
    }

    /// Which of the ratings are trained on, where that is not all of them, by flag.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let twice = (self.duplicates != Duplicates::Error).then(|| self.duplicates.name().to_owned());
        let least = self.min_ratings.map(|MinRatings { user, item }| format!("{user},{item}"));
        let range = self.ratings.rating_range.map(|range| range.to_string());
        [("duplicates", twice), ("min_ratings", least), ("rating_range", range)]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
    }

    /// Reads ratings to train on, and says what was left out.
    ///
    /// # Errors
    /// As [`read_ratings`], and [`Error::Data`] if `--min-ratings` leaves none.
    pub(super) fn read(
        &self,
        inputs: &[PathBuf],
        time: bool,
        meter: &Meter,
    ) -> Result<(Ratings, Vec<String>)> {
        let options = ReadOptions { time, ..self.options() };
        let (all, mut notices) = self.caching.ratings(metered(inputs, meter), &options)?;
        notices.extend(not_read(inputs)?);
        let Some(MinRatings { user, item }) = self.min_ratings else {
            return Ok((all, notices));
        };
        let kept = all.k_core(user, item);
        if kept.is_empty() {
            return Err(none_left(&named(inputs), user, item));
        }
        let users = all.users.len() - kept.users.len();
        let items = all.items.len() - kept.items.len();
        notices.push(left_out([users as u64, items as u64, (all.len() - kept.len()) as u64]));
        Ok((kept, notices))
    }
}

/// What `--min-ratings` leaves out: users, items and ratings.
pub(super) fn left_out([users, items, ratings]: [u64; 3]) -> String {
    format!(
        "--min-ratings leaves out {}, {} and {}",
        count(users, "user"),
        count(items, "item"),
        count(ratings, "rating"),
    )
}

/// The inputs, counted as they are read.
pub(super) fn metered(inputs: &[PathBuf], meter: &Meter) -> Vec<Input> {
    inputs.iter().map(|input| Input::from(input).metered(meter)).collect()
}

/// A line for each folder that holds what is not read.
///
/// # Errors
/// [`Error::NoInput`] if an input does not exist.
pub(super) fn not_read(inputs: &[PathBuf]) -> Result<Vec<String>> {
    let mut notices = Vec::new();
    for folder in inputs {
        let left_out = Input::from(folder).left_out()?;
        if let [first, more @ ..] = &left_out[..] {
            let (which, are, those) = match more.len() {
                0 => (String::new(), "is", "it if it holds"),
                n => (format!(" and {n} more in {}", folder.display()), "are", "those that hold"),
            };
            notices.push(format!(
                "{}{which} {are} not read, without a format's extension or a folder: name {those} ratings",
                first.display()
            ));
        }
    }
    Ok(notices)
}

/// Every file that these inputs name; what does not exist is found when it is read.
pub(super) fn files(inputs: &[PathBuf]) -> Vec<PathBuf> {
    let files = inputs.iter().flat_map(|input| Input::from(input).files().unwrap_or_default());
    files.map(|file| file.path().to_owned()).collect()
}

/// Refuses standard input where it is named more than once.
///
/// # Errors
/// [`Error::Usage`] that names the flags.
pub(super) fn at_most_one_stdin(inputs: &[(&str, &[PathBuf])]) -> Result<()> {
    let all = inputs.iter().flat_map(|(flag, paths)| paths.iter().map(move |path| (flag, path)));
    let flags: Vec<&str> = all.filter(|(_, path)| **path == Path::new("-")).map(|(flag, _)| *flag).collect();
    match flags[..] {
        [first, second, ..] => Err(Error::usage(
            if first == second {
                format!("standard input can't be {first} twice")
            } else {
                format!("standard input can't be both {first} and {second}")
            },
            "pass a file for one of them",
        )),
        _ => Ok(()),
    }
}

/// Ratings that are of another scale, it seems, than those that a model was trained on: lower
/// than the lowest or higher than the highest by more than half of what lies between.
pub(super) fn far_outside<'r>(ratings: impl IntoIterator<Item = &'r f32>, trained: &Metadata) -> u64 {
    let (min, max) = (f64::from(trained.rating_min), f64::from(trained.rating_max));
    let margin = (max - min) / 2.0;
    let far = |rating: &&f32| !(min - margin..=max + margin).contains(&f64::from(**rating));
    ratings.into_iter().filter(far).count() as u64
}

/// A note on them, if there are any.
pub(super) fn outside_note(ratings: u64, outside: u64, trained: &Metadata) -> Option<String> {
    (outside > 0).then(|| {
        let (ratings, outside) = (count(ratings, "rating"), HumanCount(outside));
        let (min, max) = (trained.rating_min, trained.rating_max);
        format!(
            "note: of {ratings}, {outside} far outside {min} to {max}, the range that the model was trained on"
        )
    })
}

/// Reads test files by the ids of a training set, and says what the user should know of the cache.
///
/// # Errors
/// As [`read_triples`], and [`Error::Data`] if no rating has a user and an item
/// of the training set: whatever is measured then says nothing of the model.
pub(super) fn read_held(
    inputs: &[PathBuf],
    options: &ReadOptions,
    caching: &Caching,
    [users, items]: [&Ids; 2],
    known: &Known,
    meter: &Meter,
) -> Result<(Held, Vec<String>)> {
    let (triples, notices) = caching.triples(metered(inputs, meter), options)?;
    let map = |ids: &Ids| IdMap::from(ids.clone());
    let held = Held::from_triples(&triples, &map(users), &map(items));
    some_known(inputs, &held, known, [&triples.users, &triples.items])?;
    Ok((held, notices))
}

/// Refuses ratings none of which is of a user and an item that were trained on. `read`: the ids of
/// the files.
///
/// # Errors
/// [`Error::Data`] that says which side is unknown.
pub(super) fn some_known(
    inputs: &[PathBuf],
    held: &Held,
    known: &Known,
    [users, items]: [&Ids; 2],
) -> Result<()> {
    if held.unknown(known) < held.len() as u64 {
        return Ok(());
    }
    let any_user = held.user.iter().any(|&user| known.user(user).is_some());
    let any_item = held.item.iter().any(|&item| known.item(item).is_some());
    let first = users.iter().next().zip(items.iter().next());
    Err(none_known(&named(inputs), [any_user, any_item], first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_for_users_and_items() {
        assert_eq!(min_ratings("5"), Ok(MinRatings { user: 5, item: 5 }));
        assert_eq!(min_ratings("5, 10"), Ok(MinRatings { user: 5, item: 10 }));
        for text in ["", ",", "5,", "-1", "1.5", "a", "1,2,3"] {
            assert!(min_ratings(text).is_err(), "{text}");
        }
    }

    #[test]
    fn standard_input_is_read_once() {
        let (file, stdin) = ([PathBuf::from("a")], [PathBuf::from("-")]);
        assert!(at_most_one_stdin(&[("FILE", &stdin), ("--test", &file)]).is_ok());
        let error = at_most_one_stdin(&[("FILE", &stdin), ("--test", &stdin)]).unwrap_err();
        assert!(error.to_string().starts_with("standard input can't be both FILE and --test; "));
        let twice = [PathBuf::from("-"), PathBuf::from("a"), PathBuf::from("-")];
        assert!(at_most_one_stdin(&[("FILE", &twice)]).is_err());
    }
}
