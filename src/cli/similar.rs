//! `deltav similar`: the nearest items, or the nearest users.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;

use super::args::{Length, one_of};
use super::progress::Standing;
use super::rows::{Cell, Column, Rows, To};
use super::streams::Streams;
use super::table::count;
use crate::error::Result;
use crate::model::{Model, Neighbor, Neighborhood, Predictor, Similarity, lists_at_once};

/// Find the items, or the users, that are most alike
#[derive(Debug, Args)]
#[command(mut_arg("count", |arg| arg.help("Neighbors of each")))]
pub(super) struct Similar {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    #[command(flatten)]
    of: Of,

    #[command(flatten)]
    length: Length,

    /// How alike two rows of factors are: the cosine of their angle, or their product
    #[arg(long, value_name = "METRIC", default_value = "cosine", value_parser = one_of(&Similarity::ALL, Similarity::name))]
    metric: Similarity,

    /// Training ratings that a neighbor must have
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    min_ratings: u64,

    #[command(flatten)]
    to: To,
}

/// Whose neighbors.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// An item's id, or its whole name; may be passed several times
    #[arg(long = "item", value_name = "ID", allow_negative_numbers = true)]
    items: Vec<OsString>,

    /// A user's id; may be passed several times
    #[arg(long = "user", value_name = "ID", allow_negative_numbers = true)]
    users: Vec<OsString>,

    /// Every item of the model
    #[arg(long)]
    all: bool,

    /// Every user of the model
    #[arg(long)]
    all_users: bool,
}

impl Similar {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let to = self.to.open([&*self.model])?;
        let model = Model::load(&self.model)?;
        let predictor = model.predictor();
        let wanted =
            Neighborhood { n: self.length.count, similarity: self.metric, min_ratings: self.min_ratings };
        let users = self.of.all_users || !self.of.users.is_empty();
        let (of, unknown) = self.rows_of(&predictor)?;
        let nearest = |&row: &u32| match users {
            true => predictor.similar_users(row, &wanted),
            false => predictor.similar_items(row, &wanted),
        };

        let named = !users && model.item_names.is_some();
        let side = if users { "user" } else { "item" };
        let mut columns = [side, "neighbor"].map(Column::text).to_vec();
        columns.extend([Column::count("rank"), Column::number("similarity")]);
        columns.extend(named.then(|| Column::text("name")));
        let rows = if users { model.users.len() } else { model.items.len() };
        let bar = Standing::counted_beside(streams, &to, of.len() as u64, "lists");
        to.write(streams, columns, |out| {
            let bar = bar; // gone before anything is said
            for block in of.chunks(lists_at_once(self.length.count, rows)) {
                let lists = block.par_iter().map(nearest).collect::<Result<Vec<Vec<Neighbor>>>>()?;
                for (&row, list) in block.iter().zip(&lists) {
                    write(&model, (row, users), list, out)?;
                }
                bar.inc(block.len() as u64);
            }
            Ok(())
        })?;
        if unknown > 0 {
            streams.note(format!("note: {} without a training rating left out", count(unknown, side)));
        }
        Ok(())
    }

    /// The rows whose neighbors are wanted, and how many of them are left out. An unknown one
    /// that was named is refused before anything is written.
    fn rows_of(&self, predictor: &Predictor<'_>) -> Result<(Vec<u32>, u64)> {
        let model = predictor.model();
        let known = |rows: usize, knows: &dyn Fn(u32) -> bool| {
            let known: Vec<u32> = (0..rows as u32).filter(|&row| knows(row)).collect();
            let unknown = (rows - known.len()) as u64;
            (known, unknown)
        };
        if self.of.all {
            return Ok(known(model.items.len(), &|item| predictor.knows_item(item)));
        }
        if self.of.all_users {
            return Ok(known(model.users.len(), &|user| predictor.knows_user(user)));
        }
        let item = |text: &OsString| predictor.known_item(text.as_encoded_bytes());
        let user = |text: &OsString| predictor.known_user(text.as_encoded_bytes());
        let items = self.of.items.iter().map(item);
        Ok((items.chain(self.of.users.iter().map(user)).collect::<Result<_>>()?, 0))
    }
}

fn write(model: &Model, (row, users): (u32, bool), list: &[Neighbor], rows: &mut Rows<'_>) -> Result<()> {
    let ids = if users { &model.users } else { &model.items };
    for (rank, neighbor) in (1..).zip(list) {
        let name = (!users && model.item_names.is_some()).then(|| model.item_name(neighbor.index));
        let [own, other] = [row, neighbor.index].map(|index| Cell::id(ids.get(index)));
        let mut cells = vec![own, other, Cell::Count(rank), Cell::Number(Some(neighbor.similarity as f32))];
        cells.extend(name.as_ref().map(|name| Cell::Text(name.as_deref().map(str::as_bytes))));
        rows.row(&cells)?;
    }
    Ok(())
}
