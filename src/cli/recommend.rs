//! `deltav recommend`: the best items for users.

use std::path::PathBuf;

use clap::Args;

use super::args::Length;
use super::choice::{What, Who};
use super::input::at_most_one_stdin;
use super::method::Device;
use super::progress::Standing;
use super::rows::{Cell, Column, Rows, To};
use super::streams::Streams;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::model::{Explore, Model, Predictor, TopN};

/// Recommend the items that users would rate highest
#[derive(Debug, Args)]
#[command(mut_arg("count", |arg| arg.help("Items a user")))]
pub(super) struct Recommend {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    #[command(flatten)]
    who: Who,

    #[command(flatten)]
    length: Length,

    #[command(flatten)]
    what: What,

    /// Let uncertain items through: ucb ranks by prediction + z standard deviations, thompson by a draw
    #[arg(long, value_name = "HOW", value_parser = ["ucb", "thompson"], conflicts_with = "device")]
    explore: Option<String>,

    /// Standard deviations that ucb adds [default: 1]
    #[arg(long, value_name = "Z", allow_negative_numbers = true, requires = "explore")]
    explore_z: Option<f64>,

    /// Seed of thompson's draws [default: 0]
    #[arg(long, value_name = "SEED", allow_negative_numbers = true, requires = "explore")]
    seed: Option<u64>,

    #[command(flatten)]
    to: To,

    #[command(flatten, next_help_heading = "Device")]
    device: Device,
}

/// An item of a list, with what ranked it where that is not the score.
struct Entry {
    item: u32,
    score: f32,
    ranked_by: Option<f32>,
}

/// What is to be done.
struct Job<'a> {
    predictor: &'a Predictor<'a>,
    users: Vec<u32>,
    query: TopN,
}

/// How lists come about.
enum Rank {
    Best(Box<dyn Backend>),
    Explore(Explore),
}

impl Recommend {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let [candidates, exclude] = self.what.inputs();
        let inputs = [self.who.input(), candidates, exclude];
        at_most_one_stdin(&inputs)?;
        let read = inputs.iter().flat_map(|(_, paths)| *paths).chain([&self.model]);
        let to = self.to.open(read.map(|path| &**path))?;
        let explore = self.explore()?;
        self.device.limit_threads();

        let model = Model::load(&self.model)?;
        let predictor = model.predictor();
        if explore.is_some() {
            model.known_posterior()?;
        }
        let mut notes = Vec::new();
        let users = self.who.indices(&predictor, &mut notes)?;
        let (candidates, exclude) = self.what.indices(&predictor, &mut notes)?;
        let query = TopN { n: self.length.count, include_seen: self.what.include_seen, candidates, exclude };
        let rank = match explore {
            None => {
                let side = |ids: usize| ids as u64;
                let pairs = side(users.len()).saturating_mul(side(model.items.len()));
                Rank::Best(self.device.open_for(pairs.saturating_mul(side(model.rank)))?)
            }
            Some(explore) => Rank::Explore(explore),
        };
        let job = Job { predictor: &predictor, users, query };
        let bar = Standing::counted_beside(streams, &to, job.users.len() as u64, "users");
        // The bar goes before anything is said.
        to.write(streams, columns(&model, &rank), |rows| {
            let bar = bar;
            job.write(rank, &bar, rows)
        })?;
        notes.into_iter().for_each(|note| streams.note(note));
        Ok(())
    }

    fn explore(&self) -> Result<Option<Explore>> {
        match (self.explore.as_deref(), self.explore_z, self.seed) {
            (None, ..) => Ok(None),
            (Some("ucb"), _, Some(_)) => {
                Err(Error::usage("--seed is for draws, and ucb draws nothing", "leave it out"))
            }
            (Some("ucb"), Some(z), _) if !z.is_finite() => {
                Err(Error::usage(format!("--explore-z {z} is no number"), "pass a finite number"))
            }
            (Some("ucb"), z, _) => Ok(Some(Explore::Ucb { z: z.unwrap_or(1.0) })),
            (Some(_), Some(_), _) => {
                Err(Error::usage("--explore-z is for ucb, and thompson adds nothing", "leave it out"))
            }
            (Some(_), None, seed) => Ok(Some(Explore::Thompson { seed: seed.unwrap_or(0) })),
        }
    }
}

impl Job<'_> {
    /// Writes the lists as they come, a block of users at a time.
    fn write(&self, rank: Rank, bar: &Standing, rows: &mut Rows<'_>) -> Result<()> {
        let Job { predictor, users, query } = self;
        let model = predictor.model();
        match rank {
            Rank::Best(mut backend) => {
                predictor.top_n(users, query, &mut *backend, |block| {
                    for list in block {
                        let entries = list.items.iter().map(|best| Entry {
                            item: best.item,
                            score: best.score as f32,
                            ranked_by: None,
                        });
                        write(model, list.user, entries, rows)?;
                    }
                    bar.inc(block.len() as u64);
                    Ok(())
                })?;
            }
            Rank::Explore(explore) => predictor.explore_top_n(users, query, explore, |block| {
                for list in block {
                    let entries = list.items.iter().map(|found| Entry {
                        item: found.item,
                        score: found.score as f32,
                        ranked_by: Some(found.ranked_by as f32),
                    });
                    write(model, list.user, entries, rows)?;
                }
                bar.inc(block.len() as u64);
                Ok(())
            })?,
        }
        Ok(())
    }
}

/// The columns of lists: what ranked them if that is not the score, names if there are any.
fn columns(model: &Model, rank: &Rank) -> Vec<Column> {
    let mut columns = ["user", "item"].map(Column::text).to_vec();
    columns.extend([Column::count("rank"), Column::number("score")]);
    columns.extend(matches!(rank, Rank::Explore(_)).then(|| Column::number("ranked_by")));
    columns.extend(model.item_names.is_some().then(|| Column::text("name")));
    columns
}

/// A user's list as rows.
fn write(model: &Model, user: u32, list: impl Iterator<Item = Entry>, rows: &mut Rows<'_>) -> Result<()> {
    for (rank, Entry { item, score, ranked_by }) in (1..).zip(list) {
        let name = model.item_names.is_some().then(|| model.item_name(item));
        let mut cells = vec![Cell::id(model.users.get(user)), Cell::id(model.items.get(item))];
        cells.extend([Cell::Count(rank), Cell::Number(Some(score))]);
        cells.extend(ranked_by.map(|number| Cell::Number(Some(number))));
        cells.extend(name.as_ref().map(|name| Cell::Text(name.as_deref().map(str::as_bytes))));
        rows.row(&cells)?;
    }
    Ok(())
}
