//! `deltav fold-in`: ratings of new users in, their factors and their best items out.

mod newcomers;
mod write;

use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;

use self::newcomers::{Newcomer, Tally, grouped, whole};
use self::write::{Answer, Layout, write};
use super::args::{Length, one_of, threads};
use super::choice::What;
use super::help;
use super::input::{Caching, RatingsReading, at_most_one_stdin, files, metered, named};
use super::progress::Standing;
use super::rows::{Form, Rows, To};
use super::streams::Streams;
use crate::data::text::quoted;
use crate::data::{Duplicates, Meter, ReadOptions, Side};
use crate::error::{Error, Result};
use crate::model::{Model, Predictor, TopN, lists_at_once};

/// Answer new users, or place new items, from their ratings alone, without training anew
#[derive(Debug, Args)]
#[command(mut_arg("count", |arg| arg.help("Items a user, or users an item")))]
pub(super) struct FoldIn {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// The new users' ratings: files, folders, or - for standard input
    #[arg(value_name = "RATINGS", required = true, long_help = help::inputs())]
    ratings: Vec<PathBuf>,

    /// The ratings are of new items, by users of the model: who would rate them highest?
    #[arg(long, conflicts_with_all = ["candidates", "exclude"])]
    items: bool,

    #[command(flatten)]
    length: Length,

    #[command(flatten)]
    what: What,

    /// Bias and factors, a row a user, instead of a list
    #[arg(long, conflicts_with_all = ["candidates", "exclude"])]
    factors: bool,

    /// A user's lines stand together: answer each user as soon as the next one begins, in constant memory
    #[arg(long, conflicts_with = "cache")]
    grouped: bool,

    /// Where a user rates an item twice
    #[arg(long, value_name = "WHICH", default_value = "error", value_parser = one_of(&Duplicates::ALL, Duplicates::name))]
    duplicates: Duplicates,

    #[command(flatten)]
    to: To,

    /// Threads of the CPU [default: one a core]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = threads)]
    threads: Option<usize>,

    #[command(flatten, next_help_heading = "Data")]
    reading: RatingsReading,

    #[command(flatten, next_help_heading = "Data")]
    caching: Caching,
}

impl FoldIn {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let [candidates, exclude] = self.what.inputs();
        at_most_one_stdin(&[("RATINGS", &self.ratings), candidates, exclude])?;
        let mut inputs = files(&self.ratings);
        inputs.extend([candidates, exclude].into_iter().flat_map(|(_, paths)| paths).cloned());
        inputs.push(self.model.clone());
        let to = self.to.open(inputs.iter().map(|path| &**path))?;
        if self.factors && to.form() == Form::Json {
            let what = "--factors is for tables: JSON has both";
            return Err(Error::usage(what, "leave it out, or name the output otherwise"));
        }
        if let Some(threads) = self.threads {
            // Refused only where a pool exists already.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        }
        let model = Model::load(&self.model)?;
        let predictor = model.predictor();
        // A model that can't fold in is refused before anything is read or written.
        predictor.fold_in_user(&[])?;
        let mut notes = Vec::new();
        let (candidates, exclude) = self.what.indices(&predictor, &mut notes)?;
        let query = TopN { n: self.length.count, include_seen: self.what.include_seen, candidates, exclude };
        let layout = Layout { model: &model, side: self.side(), factors: self.factors, form: to.form() };
        let meter = Meter::default();
        let bar = Standing::reading_beside(streams, &to, &self.ratings, &meter);
        let tally = to.write(streams, layout.columns(), |rows| {
            let _gone_before_anything_is_said = bar;
            self.answer(&predictor, &query, &layout, &meter, rows)
        })?;
        notes.extend(tally.notes(self.side(), &model.metadata));
        notes.into_iter().for_each(|note| streams.note(note));
        Ok(())
    }

    fn side(&self) -> Side {
        if self.items { Side::Items } else { Side::Users }
    }

    fn answer(
        &self,
        predictor: &Predictor<'_>,
        query: &TopN,
        layout: &Layout<'_>,
        meter: &Meter,
        rows: &mut Rows<'_>,
    ) -> Result<Tally> {
        let side = self.side();
        let options = ReadOptions { duplicates: self.duplicates, ..self.reading.options() };
        let mut tally = Tally::default();
        let lists = !self.factors;
        let fold = |newcomer: &Newcomer| -> Result<Answer> {
            let row = match side {
                Side::Users => predictor.fold_in_user(&newcomer.ratings),
                Side::Items => predictor.fold_in_item(&newcomer.ratings),
            };
            let row = row.map_err(|error| self.refused(newcomer, error))?;
            let best = match lists {
                true => predictor.recommend_for(&row, query),
                false => Vec::new(),
            };
            Ok(Answer { row, best })
        };
        if self.grouped {
            grouped(predictor, side, metered(&self.ratings, meter), &options, |newcomer| {
                let answer = fold(newcomer)?;
                tally.count(newcomer, &answer.row, &layout.model.metadata);
                write(layout, newcomer, &answer, rows)?;
                rows.flush()
            })?;
        } else {
            let model = predictor.model();
            let others = if self.items { model.users.len() } else { model.items.len() };
            let block = lists_at_once(if lists { self.length.count } else { 1 }, others);
            let (ratings, notices) = self.caching.ratings(metered(&self.ratings, meter), &options)?;
            tally.read(notices);
            whole(predictor, side, &ratings, block, |block| {
                let answers = block.par_iter().map(fold).collect::<Result<Vec<_>>>()?;
                for (newcomer, answer) in block.iter().zip(&answers) {
                    tally.count(newcomer, &answer.row, &layout.model.metadata);
                    write(layout, newcomer, answer, rows)?;
                }
                Ok(())
            })?;
        }
        Ok(tally)
    }

    /// What the library finds wrong with a row's ratings is wrong with the data.
    fn refused(&self, newcomer: &Newcomer, error: Error) -> Error {
        match error {
            Error::Usage { what, remedy } => {
                let own = if self.items { "item" } else { "user" };
                let id = quoted(&newcomer.id);
                Error::data(&named(&self.ratings), format!("{own} {id}: {what}"), remedy)
            }
            other => other,
        }
    }
}
