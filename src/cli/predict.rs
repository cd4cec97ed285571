//! `deltav predict`: pairs in, predicted ratings out, one by one.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanCount;
use rayon::prelude::*;

use super::args::one_of;
use super::help;
use super::input::{Reading, at_most_one_stdin, files, metered};
use super::progress::Standing;
use super::rows::{Cell, Column, Kind, Rows, To};
use super::streams::Streams;
use super::table::count;
use crate::data::text::quoted;
use crate::data::{Meter, Pair, read_pairs};
use crate::error::{Error, Place, Result};
use crate::model::{Level, Model, Part, Prediction, Predictor, Unknown, UnknownCounts};

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

    #[command(flatten)]
    to: To,

    #[command(flatten, next_help_heading = "Data")]
    reading: Reading,
}

impl Predict {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        at_most_one_stdin(&[("PAIRS", &self.pairs)])?;
        let pairs = files(&self.pairs);
        let to = self.to.open(pairs.iter().chain([&self.model]).map(|path| &**path))?;
        let mut model = Model::load(&self.model)?;
        model.clip &= !self.no_clip;
        if self.with_std || self.interval.is_some() {
            model.known_posterior()?;
        }
        let meter = Meter::default();
        let bar = Standing::reading_beside(streams, &to, &self.pairs, &meter);
        let counts = to.write(streams, self.columns(), |rows| {
            let _gone_before_anything_is_said = bar;
            self.write(&model, &meter, rows)
        })?;
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

    fn columns(&self) -> Vec<Column> {
        let mut columns = ["user", "item"].map(Column::text).to_vec();
        columns.push(Column::number("prediction"));
        if self.with_std {
            columns.extend(["mean_std", "rating_std"].map(Column::number));
        }
        if self.interval.is_some() {
            columns.extend(["low", "high"].map(Column::number));
        }
        // `user`, `item` or `user and item`; missing if both are known.
        columns.push(Column("unknown".into(), Kind::Remark));
        columns
    }

    /// Reads pairs a block at a time and writes a row for each, in their order.
    fn write(&self, model: &Model, meter: &Meter, rows: &mut Rows<'_>) -> Result<UnknownCounts> {
        let predictor = model.predictor();
        let mut counts = UnknownCounts::default();
        let mut answer = |block: &mut Block| {
            let predictions = block.predictions(&predictor);
            for (pair, prediction) in block.pairs().zip(&predictions) {
                let applied = self.unknown.apply(*prediction, &mut counts);
                if let Some(rating) = applied.map_err(|part| refused(&pair, part))? {
                    self.row(&predictor, &pair, (prediction, rating), rows)?;
                }
            }
            block.clear();
            Ok(())
        };
        let mut block = Block::default();
        read_pairs(metered(&self.pairs, meter), &self.reading.options(), |pair| {
            block.push(&pair);
            if block.is_full() { answer(&mut block) } else { Ok(()) }
        })?;
        answer(&mut block)?;
        Ok(counts)
    }

    fn row(
        &self,
        predictor: &Predictor<'_>,
        pair: &Pair<'_>,
        (prediction, rating): (&Prediction, f64),
        rows: &mut Rows<'_>,
    ) -> Result<()> {
        let number = |value: Option<f64>| Cell::Number(value.map(|x| x as f32));
        let mut cells = vec![Cell::id(pair.user), Cell::id(pair.item), number(Some(rating))];
        if self.with_std {
            cells.extend([number(prediction.mean_std), number(prediction.rating_std)]);
        }
        if let Some(level) = self.interval {
            let ends = predictor.interval(prediction, level);
            cells.extend([number(ends.map(|ends| ends.low)), number(ends.map(|ends| ends.high))]);
        }
        cells.push(Cell::Text(prediction.unknown.map(|part| part.name().as_bytes())));
        rows.row(&cells)
    }
}

/// Pairs that are predicted side by side.
const BLOCK: usize = 1 << 14;

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

    #[expect(clippy::indexing_slicing, reason = "`push` wrote where they end; `at` is below their number")]
    fn pair(&self, at: usize) -> Pair<'_> {
        let start = if at == 0 { 0 } else { self.pairs[at - 1].item };
        let Waiting { user, item, file, place } = self.pairs[at];
        Pair { user: &self.ids[start..user], item: &self.ids[user..item], path: &self.files[file], place }
    }

    fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        (0..self.pairs.len()).map(|at| self.pair(at))
    }

    /// A prediction for each pair, in their order.
    fn predictions(&self, predictor: &Predictor<'_>) -> Vec<Prediction> {
        let predict = |at| {
            let pair = self.pair(at);
            predictor.predict_ids(pair.user, pair.item)
        };
        (0..self.pairs.len()).into_par_iter().with_min_len(256).map(predict).collect()
    }
}

fn refused(pair: &Pair<'_>, part: Part) -> Error {
    let (user, item) = (quoted(pair.user), quoted(pair.item));
    let what = match part {
        Part::User => format!("user {user} is unknown to the model"),
        Part::Item => format!("item {item} is unknown to the model"),
        Part::Both => format!("user {user} and item {item} are unknown to the model"),
    };
    Error::data_at(pair.location(), what, "remove the line, or pass --unknown mean or skip")
}
