//! `deltav recommend`: the best items for users.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::choice::{What, Who, one_stdin};
use super::predict::needs_posterior;
use super::render::progress;
use super::rows::{Form, Rows};
use super::streams::{Streams, stdout_error};
use super::train::Device;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::model::{Explore, Model, Predictor, TopN};
use crate::output::Output;

/// Recommend the items that users would rate highest
#[derive(Debug, Args)]
pub(super) struct Recommend {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    #[command(flatten)]
    who: Who,

    /// Items a user
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 10)]
    count: usize,

    /// Also items that the user rated in the training part
    #[arg(long)]
    include_seen: bool,

    #[command(flatten)]
    what: What,

    /// Let uncertain items through: ucb ranks by prediction + z standard deviations, thompson by a draw
    #[arg(long, value_name = "HOW", value_parser = ["ucb", "thompson"], conflicts_with = "device")]
    explore: Option<String>,

    /// Standard deviations that ucb adds
    #[arg(long, value_name = "Z", default_value_t = 1.0, requires = "explore")]
    explore_z: f64,

    /// Seed of thompson's draws
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "explore")]
    seed: u64,

    /// Write to a file, JSON lines if it ends in .json or .jsonl, else CSV [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace an existing file
    #[arg(short, long, requires = "out")]
    force: bool,

    /// JSON, one object a line, instead of CSV
    #[arg(long)]
    json: bool,

    #[command(flatten, next_help_heading = "Device")]
    device: Device,
}

/// A recommendation as JSON.
#[derive(Serialize)]
struct Row<'a> {
    user: Cow<'a, str>,
    item: Cow<'a, str>,
    rank: usize,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranked_by: Option<f32>,
    /// Null where the item has none; not there if the model has no names.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Option<Cow<'a, str>>>,
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
        let inputs = [Some(&*self.model), self.who.input(), candidates, exclude];
        one_stdin(inputs)?;
        let create = |path| Output::create(path, self.force)?.apart_from(inputs.into_iter().flatten());
        let output = self.out.as_ref().map(create).transpose()?;
        let explore = self.explore()?;
        self.device.limit_threads();

        let model = Model::load(&self.model)?;
        let predictor = model.predictor();
        if explore.is_some() {
            needs_posterior(&model)?;
        }
        let mut notes = Vec::new();
        let users = self.who.indices(&predictor, &mut notes)?;
        let (candidates, exclude) = self.what.indices(&predictor, &mut notes)?;
        let query = TopN { n: self.count, include_seen: self.include_seen, candidates, exclude };
        let rank = match explore {
            None => {
                let side = |ids: usize| ids as u64;
                let pairs = side(users.len()).saturating_mul(side(model.items.len()));
                Rank::Best(self.device.open_for(pairs.saturating_mul(side(model.rank)))?)
            }
            Some(explore) => Rank::Explore(explore),
        };
        let job = Job { predictor: &predictor, users, query };
        // Rows that scroll by show progress enough.
        let watched = output.is_some() || !io::stdout().is_terminal();
        let bar = if watched { progress(streams, job.users.len(), "users") } else { ProgressBar::hidden() };
        let done = match output {
            None => self.write(&job, rank, &bar, streams.out(), &stdout_error),
            Some(mut output) => {
                let path = output.path().to_owned();
                let failed = |source| Error::Io { path: path.clone(), source };
                self.write(&job, rank, &bar, &mut output, &failed).and_then(|()| output.commit().map(|_| ()))
            }
        };
        bar.finish_and_clear();
        done?;
        notes.into_iter().for_each(|note| streams.note(note));
        Ok(())
    }

    fn explore(&self) -> Result<Option<Explore>> {
        match self.explore.as_deref() {
            None => Ok(None),
            Some("ucb") if !self.explore_z.is_finite() => Err(Error::usage(
                format!("--explore-z {} is no number", self.explore_z),
                "pass a finite number",
            )),
            Some("ucb") => Ok(Some(Explore::Ucb { z: self.explore_z })),
            Some(_) => Ok(Some(Explore::Thompson { seed: self.seed })),
        }
    }

    /// Writes the lists as they come, a block of users at a time.
    fn write(
        &self,
        job: &Job<'_>,
        rank: Rank,
        bar: &ProgressBar,
        out: &mut impl Write,
        failed: &dyn Fn(io::Error) -> Error,
    ) -> Result<()> {
        let Job { predictor, users, query } = job;
        let model = predictor.model();
        let mut rows = Rows::new(out, Form::of(self.out.as_deref(), self.json));
        let mut header = vec!["user", "item", "rank", "score"];
        header.extend(matches!(rank, Rank::Explore(_)).then_some("ranked_by"));
        header.extend(model.item_names.as_ref().map(|_| "name"));
        rows.header(&header).map_err(failed)?;
        match rank {
            Rank::Best(mut backend) => {
                predictor.top_n(users, query, &mut *backend, |block| {
                    for list in block {
                        let entries = list.items.iter().map(|best| Entry {
                            item: best.item,
                            score: best.score as f32,
                            ranked_by: None,
                        });
                        write(model, list.user, entries, &mut rows).map_err(failed)?;
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
                    write(model, list.user, entries, &mut rows).map_err(failed)?;
                }
                bar.inc(block.len() as u64);
                Ok(())
            })?,
        }
        rows.finish().map_err(failed)
    }
}

/// A user's list as rows: the one place that knows their columns.
fn write<W: Write>(
    model: &Model,
    user: u32,
    list: impl Iterator<Item = Entry>,
    rows: &mut Rows<'_, W>,
) -> io::Result<()> {
    for (rank, Entry { item, score, ranked_by }) in (1..).zip(list) {
        let name = model.item_names.as_ref().map(|_| model.item_name(item));
        let (user_id, item_id) = (model.users.text(user), model.items.text(item));
        let object = Row { user: user_id, item: item_id, rank, score, ranked_by, name };
        let (rank, score) = (rank.to_string(), score.to_string());
        let ranked_by = ranked_by.map(|x| x.to_string());
        let cells = [model.users.get(user), model.items.get(item), rank.as_bytes(), score.as_bytes()];
        let name = object.name.as_ref().map(|name| name.as_deref().unwrap_or_default());
        let more = [ranked_by.as_deref(), name].into_iter().flatten().map(str::as_bytes);
        let cells: Vec<&[u8]> = cells.into_iter().chain(more).collect();
        rows.row(&cells, &object)?;
    }
    Ok(())
}
