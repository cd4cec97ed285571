//! `deltav predict`: pairs in, predicted ratings out, one by one.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use indicatif::HumanCount;
use serde::Serialize;

use super::args::one_of;
use super::input::Reading;
use super::rows::Rows;
use super::streams::{Streams, stdout_error};
use super::table::count;
use crate::data::{Duplicates, read_pairs};
use crate::error::{Error, Result};
use crate::model::{Model, Part, Unknown, UnknownCounts};
use crate::output::Output;

/// Predict the ratings of pairs of users and items
#[derive(Debug, Args)]
pub(super) struct Predict {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// Pairs, a user and an item a line; - is standard input
    #[arg(value_name = "PAIRS")]
    pairs: PathBuf,

    /// Where the user or the item has no training rating: predict from what is known, refuse, leave out
    #[arg(long, value_name = "WHAT", default_value = "mean", value_parser = one_of(&Unknown::ALL, Unknown::name))]
    unknown: Unknown,

    /// Don't clip predictions to the range of the training ratings
    #[arg(long)]
    no_clip: bool,

    /// Write to a file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace an existing file
    #[arg(short, long, requires = "out")]
    force: bool,

    /// JSON, one object a line, instead of CSV
    #[arg(long)]
    json: bool,

    #[command(flatten, next_help_heading = "Data")]
    reading: Reading,
}

/// A prediction as JSON.
#[derive(Serialize)]
struct Row<'a> {
    user: Cow<'a, str>,
    item: Cow<'a, str>,
    prediction: f32,
    /// `user`, `item` or `user and item`; null if both are known.
    unknown: Option<&'static str>,
}

impl Predict {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let output = self.out.as_ref().map(|path| Output::create(path, self.force)).transpose()?;
        let mut model = Model::load(&self.model)?;
        model.clip &= !self.no_clip;
        let counts = match output {
            None => self.write(&model, streams.out(), &stdout_error)?,
            Some(mut output) => {
                let path = output.path().to_owned();
                let failed = |source| Error::Io { path: path.clone(), source };
                let counts = self.write(&model, &mut output, &failed)?;
                output.commit()?;
                counts
            }
        };
        if counts.unknown() > 0 {
            let done = if self.unknown == Unknown::Skip { "left out" } else { "predicted by what is known" };
            let known = [(counts.users, "user"), (counts.items, "item"), (counts.both, "user and item")];
            let parts: Vec<String> = known
                .into_iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, what)| format!("{} with an unknown {what}", HumanCount(number)))
                .collect();
            streams.note(format!("note: of {}, {}: {done}", count(counts.pairs, "pair"), parts.join(", ")));
        }
        Ok(())
    }

    /// Writes a row for each pair as it is read.
    fn write(
        &self,
        model: &Model,
        out: &mut impl Write,
        failed: &dyn Fn(std::io::Error) -> Error,
    ) -> Result<UnknownCounts> {
        let predictor = model.predictor();
        let mut counts = UnknownCounts::default();
        let mut rows = Rows::new(out, self.json);
        rows.header(&["user", "item", "prediction"]).map_err(failed)?;
        read_pairs(&self.pairs, &self.reading.options(Duplicates::default()), |user, item, line| {
            let prediction = predictor.predict_ids(user, item);
            let applied = self.unknown.apply(prediction, &mut counts);
            let Some(rating) = applied.map_err(|part| self.refused(user, item, line, part))? else {
                return Ok(());
            };
            let rating = rating as f32;
            let object = Row {
                user: String::from_utf8_lossy(user),
                item: String::from_utf8_lossy(item),
                prediction: rating,
                unknown: prediction.unknown.map(Part::name),
            };
            rows.row(&[user, item, rating.to_string().as_bytes()], &object).map_err(failed)
        })?;
        rows.finish().map_err(failed)?;
        Ok(counts)
    }

    fn refused(&self, user: &[u8], item: &[u8], line: u64, part: Part) -> Error {
        let (user, item) = (String::from_utf8_lossy(user), String::from_utf8_lossy(item));
        let what = match part {
            Part::User => format!("user {user:?} is unknown to the model"),
            Part::Item => format!("item {item:?} is unknown to the model"),
            Part::Both => format!("user {user:?} and item {item:?} are unknown to the model"),
        };
        Error::data_line(&self.pairs, line, what, "remove the line, or pass --unknown mean or skip")
    }
}
