//! `deltav recommend`: the best items for users.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;
use serde::Serialize;

use super::predict::needs_posterior;
use super::rows::Rows;
use super::streams::{Streams, stdout_error};
use super::table::count;
use crate::error::{Error, Result};
use crate::model::{Explore, Model, Predictor, Recommendation};

/// Users whose lists are computed side by side before they are written.
const BLOCK: usize = 512;

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

    /// Let uncertain items through: ucb ranks by prediction + z standard deviations, thompson by a draw
    #[arg(long, value_name = "HOW", value_parser = ["ucb", "thompson"])]
    explore: Option<String>,

    /// Standard deviations that ucb adds
    #[arg(long, value_name = "Z", default_value_t = 1.0, requires = "explore")]
    explore_z: f64,

    /// Seed of thompson's draws
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "explore")]
    seed: u64,

    /// JSON, one object a line, instead of CSV
    #[arg(long)]
    json: bool,
}

/// Whom to recommend to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// A user's id; may be passed several times
    #[arg(long = "user", value_name = "ID", allow_negative_numbers = true)]
    users: Vec<OsString>,

    /// Every user of the model
    #[arg(long)]
    all: bool,
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
}

/// An item of a list, with what ranked it where that is not the score.
struct Entry {
    item: u32,
    score: f32,
    ranked_by: Option<f32>,
}

impl Recommend {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let model = Model::load(&self.model)?;
        let predictor = model.predictor();
        let explore = self.explore()?;
        if explore.is_some() {
            needs_posterior(&model)?;
        }
        let mut unknown = 0;
        let users: Vec<u32> = if self.who.all {
            let all = 0..model.users.len() as u32;
            let known: Vec<u32> = all.filter(|&user| predictor.knows_user(user)).collect();
            unknown = (model.users.len() - known.len()) as u64;
            known
        } else {
            // An unknown user is refused before anything is written.
            let find = |id: &OsString| {
                let id = id.as_encoded_bytes();
                predictor.recommend(id, 0, false).map(|_| predictor.user(id))
            };
            self.who.users.iter().map(find).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect()
        };

        let mut rows = Rows::new(streams.out(), self.json);
        let header = ["user", "item", "rank", "score", "ranked_by"];
        rows.header(&header[..if explore.is_some() { 5 } else { 4 }]).map_err(stdout_error)?;
        for block in users.chunks(BLOCK) {
            let list = |&user: &u32| self.list(&predictor, user, explore);
            let lists = block.par_iter().map(list).collect::<Result<Vec<Vec<Entry>>>>()?;
            for (&user, list) in block.iter().zip(&lists) {
                write(&model, user, list, &mut rows).map_err(stdout_error)?;
            }
        }
        rows.finish().map_err(stdout_error)?;
        if unknown > 0 {
            streams.note(format!("note: {} without a training rating left out", count(unknown, "user")));
        }
        Ok(())
    }
}

impl Recommend {
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

    fn list(&self, predictor: &Predictor<'_>, user: u32, explore: Option<Explore>) -> Result<Vec<Entry>> {
        let (n, include_seen) = (self.count, self.include_seen);
        Ok(match explore {
            None => predictor
                .recommend_index(user, n, include_seen)
                .into_iter()
                .map(|Recommendation { item, score }| Entry { item, score: score as f32, ranked_by: None })
                .collect(),
            Some(explore) => predictor
                .explore_index(user, n, include_seen, explore)?
                .into_iter()
                .map(|found| Entry {
                    item: found.item,
                    score: found.score as f32,
                    ranked_by: Some(found.ranked_by as f32),
                })
                .collect(),
        })
    }
}

fn write<W: io::Write>(model: &Model, user: u32, list: &[Entry], rows: &mut Rows<'_, W>) -> io::Result<()> {
    for (rank, &Entry { item, score, ranked_by }) in (1..).zip(list) {
        let object =
            Row { user: model.users.text(user), item: model.items.text(item), rank, score, ranked_by };
        let (rank, score) = (rank.to_string(), score.to_string());
        let ranked_by = ranked_by.map(|x| x.to_string());
        let cells = [model.users.get(user), model.items.get(item), rank.as_bytes(), score.as_bytes()];
        let cells: Vec<&[u8]> = cells.into_iter().chain(ranked_by.as_deref().map(str::as_bytes)).collect();
        rows.row(&cells, &object)?;
    }
    Ok(())
}
