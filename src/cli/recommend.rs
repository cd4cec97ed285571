//! `deltav recommend`: the best items for users.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;
use serde::Serialize;

use super::rows::Rows;
use super::streams::{Streams, stdout_error};
use super::table::count;
use crate::error::Result;
use crate::model::{Model, Recommendation};

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
}

impl Recommend {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let model = Model::load(&self.model)?;
        let predictor = model.predictor();
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
        rows.header(&["user", "item", "rank", "score"]).map_err(stdout_error)?;
        for block in users.chunks(BLOCK) {
            let list = |&user: &u32| predictor.recommend_index(user, self.count, self.include_seen);
            let lists: Vec<Vec<Recommendation>> = block.par_iter().map(list).collect();
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

fn write<W: io::Write>(
    model: &Model,
    user: u32,
    list: &[Recommendation],
    rows: &mut Rows<'_, W>,
) -> io::Result<()> {
    for (rank, &Recommendation { item, score }) in (1..).zip(list) {
        let score = score as f32;
        let object = Row { user: model.users.text(user), item: model.items.text(item), rank, score };
        let (rank, score) = (rank.to_string(), score.to_string());
        rows.row(
            &[model.users.get(user), model.items.get(item), rank.as_bytes(), score.as_bytes()],
            &object,
        )?;
    }
    Ok(())
}
