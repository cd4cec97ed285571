//! `deltav predict`: pairs in, predicted ratings out, one by one.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use indicatif::HumanCount;
use rayon::prelude::*;
use serde::Serialize;

use super::args::one_of;
use super::help;
use super::input::{Reading, at_most_one_stdin, files};
use super::rows::{Form, Rows};
use super::streams::{Streams, stdout_error};
use super::table::count;
use crate::data::{Pair, read_pairs};
use crate::error::{Error, Place, Result};
use crate::model::{Level, Model, Part, Prediction, Predictor, Unknown, UnknownCounts};
use crate::output::Output;

/// Predict the ratings of pairs of users and items
#[derive(Debug, Args)]
pub(super) struct Predict {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// Pairs, a user and an item a line: files, folders, or - for standard input
    #[arg(value_name = "PAIRS", required = true, long_help = help::inputs())]
    pairs: Vec<PathBuf>,

    /// Where the user or the item has no training rating: predict from what is known, refuse, leave out
    #[arg(long, value_name = "WHAT", default_value = "mean", value_parser = one_of(&Unknown::ALL, Unknown::name))]
    unknown: Unknown,

    /// Don't clip predictions to the range of the training ratings
    #[arg(long)]
    no_clip: bool,

    /// Also the standard deviations of the prediction (mean_std) and of a rating (rating_std)
    #[arg(long)]
    with_std: bool,

    /// Also the ends of an interval (low, high) that holds this share of the ratings, such as 0.9
    #[arg(long, value_name = "SHARE")]
    interval: Option<Level>,

    /// Write to a file, JSON lines if it ends in .json or .jsonl, else CSV [default: standard output]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_std: Option<Option<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating_std: Option<Option<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<Option<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<Option<f32>>,
    /// `user`, `item` or `user and item`; null if both are known.
    unknown: Option<&'static str>,
}

/// An error where a model knows nothing of its uncertainty.
pub(super) fn needs_posterior(model: &Model) -> Result<()> {
    match model.posterior {
        Some(_) => Ok(()),
        None => Err(Error::usage(
            "the model knows nothing of its uncertainty",
            "train it with --reg auto and more epochs than the warm-up, without --average",
        )),
    }
}

impl Predict {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        at_most_one_stdin(&[("PAIRS", &self.pairs)])?;
        let pairs = files(&self.pairs);
        let inputs = || pairs.iter().chain([&self.model]).map(|path| &**path);
        let create = |path| Output::create(path, self.force)?.apart_from(inputs());
        let output = self.out.as_ref().map(create).transpose()?;
        let mut model = Model::load(&self.model)?;
        model.clip &= !self.no_clip;
        if self.with_std || self.interval.is_some() {
            needs_posterior(&model)?;
        }
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

    /// Reads pairs a block at a time and writes a row for each, in their order.
    fn write(
        &self,
        model: &Model,
        out: &mut impl Write,
        failed: &dyn Fn(io::Error) -> Error,
    ) -> Result<UnknownCounts> {
        let predictor = model.predictor();
        let form = Form::of(self.out.as_deref(), self.json);
        let mut counts = UnknownCounts::default();
        // With the first rows, so that a call that fails at once leaves nothing.
        let mut header = Some(self.header(form).map_err(failed)?);
        let mut answer = |block: &mut Block| {
            let parts: Vec<Result<(Vec<u8>, UnknownCounts)>> =
                block.parts().map(|part| self.part(&predictor, block, part, form)).collect();
            for part in parts {
                let (rows, part_counts) = part?;
                out.write_all(&header.take().unwrap_or_default()).map_err(failed)?;
                out.write_all(&rows).map_err(failed)?;
                counts.add(part_counts);
            }
            block.clear();
            Ok(())
        };
        let mut block = Block::default();
        read_pairs(&self.pairs, &self.reading.options(), |pair| {
            block.push(&pair);
            if block.is_full() { answer(&mut block) } else { Ok(()) }
        })?;
        answer(&mut block)?;
        out.write_all(&header.unwrap_or_default()).map_err(failed)?;
        out.flush().map_err(failed)?;
        Ok(counts)
    }

    fn header(&self, form: Form) -> io::Result<Vec<u8>> {
        let mut names = vec!["user", "item", "prediction"];
        if self.with_std {
            names.extend(["mean_std", "rating_std"]);
        }
        if self.interval.is_some() {
            names.extend(["low", "high"]);
        }
        let mut bytes = Vec::new();
        let mut rows = Rows::new(&mut bytes, form);
        rows.header(&names)?;
        rows.finish()?;
        Ok(bytes)
    }

    /// The rows of a part of a block.
    fn part(
        &self,
        predictor: &Predictor<'_>,
        block: &Block,
        part: Range<usize>,
        form: Form,
    ) -> Result<(Vec<u8>, UnknownCounts)> {
        let memory = |error: io::Error| Error::Internal(format!("a row can't be written: {error}"));
        let (mut bytes, mut counts) = (Vec::new(), UnknownCounts::default());
        let mut rows = Rows::new(&mut bytes, form);
        for pair in part.map(|at| block.pair(at)) {
            let prediction = predictor.predict_ids(pair.user, pair.item);
            let applied = self.unknown.apply(prediction, &mut counts);
            if let Some(rating) = applied.map_err(|part| refused(&pair, part))? {
                self.row(predictor, &pair, (&prediction, rating), &mut rows).map_err(memory)?;
            }
        }
        rows.finish().map_err(memory)?;
        Ok((bytes, counts))
    }

    fn row<W: Write>(
        &self,
        predictor: &Predictor<'_>,
        pair: &Pair<'_>,
        (prediction, rating): (&Prediction, f64),
        rows: &mut Rows<'_, W>,
    ) -> io::Result<()> {
        let rating = rating as f32;
        let interval = self.interval.map(|level| predictor.interval(prediction, level));
        let std = |value: Option<f64>| self.with_std.then_some(value.map(|x| x as f32));
        let object = Row {
            user: String::from_utf8_lossy(pair.user),
            item: String::from_utf8_lossy(pair.item),
            prediction: rating,
            mean_std: std(prediction.mean_std),
            rating_std: std(prediction.rating_std),
            low: interval.map(|ends| ends.map(|ends| ends.low as f32)),
            high: interval.map(|ends| ends.map(|ends| ends.high as f32)),
            unknown: prediction.unknown.map(Part::name),
        };
        // A value that was not asked for has no column, one that is not known an empty cell.
        let more = [object.mean_std, object.rating_std, object.low, object.high];
        let numbers: Vec<String> = std::iter::once(rating.to_string())
            .chain(more.into_iter().flatten().map(|x| x.map_or_else(String::new, |x| x.to_string())))
            .collect();
        let cells: Vec<&[u8]> =
            [pair.user, pair.item].into_iter().chain(numbers.iter().map(String::as_bytes)).collect();
        rows.row(&cells, &object)
    }
}

/// Pairs that are read before they are predicted, a part of them a thread at a time.
const BLOCK: usize = 1 << 14;
const PART: usize = 1 << 10;

/// Their ids together, at most about: ids may be long.
const BLOCK_BYTES: usize = 4 << 20;

/// Pairs that wait for their turn.
#[derive(Default)]
struct Block {
    ids: Vec<u8>,
    pairs: Vec<Waiting>,
    files: Vec<PathBuf>,
}

/// Where a pair's user and item end in the ids, and where it was read.
struct Waiting {
    user: usize,
    item: usize,
    file: usize,
    place: Place,
}

impl Block {
    fn push(&mut self, pair: &Pair<'_>) {
        if self.files.last().is_none_or(|file| file != pair.path) {
            self.files.push(pair.path.to_owned());
        }
        self.ids.extend_from_slice(pair.user);
        let user = self.ids.len();
        self.ids.extend_from_slice(pair.item);
        let file = self.files.len() - 1;
        self.pairs.push(Waiting { user, item: self.ids.len(), file, place: pair.place });
    }

    fn is_full(&self) -> bool {
        self.pairs.len() >= BLOCK || self.ids.len() >= BLOCK_BYTES
    }

    fn clear(&mut self) {
        self.ids.clear();
        self.pairs.clear();
        self.files.clear();
    }

    fn pair(&self, at: usize) -> Pair<'_> {
        let start = if at == 0 { 0 } else { self.pairs[at - 1].item };
        let Waiting { user, item, file, place } = self.pairs[at];
        Pair { user: &self.ids[start..user], item: &self.ids[user..item], path: &self.files[file], place }
    }

    /// The block in parts, for threads.
    fn parts(&self) -> impl IndexedParallelIterator<Item = Range<usize>> {
        let length = self.pairs.len();
        let starts = (0..length.div_ceil(PART)).into_par_iter();
        starts.map(move |part| part * PART..length.min((part + 1) * PART))
    }
}

fn refused(pair: &Pair<'_>, part: Part) -> Error {
    let (user, item) = (String::from_utf8_lossy(pair.user), String::from_utf8_lossy(pair.item));
    let what = match part {
        Part::User => format!("user {user:?} is unknown to the model"),
        Part::Item => format!("item {item:?} is unknown to the model"),
        Part::Both => format!("user {user:?} and item {item:?} are unknown to the model"),
    };
    Error::data_at(pair.location(), what, "remove the line, or pass --unknown mean or skip")
}
