//! The answers' rows.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use super::super::rows::Rows;
use super::newcomers::Newcomer;
use crate::model::{FoldedIn, Model, Scored, Side};

/// A new row's factors and what is best for it.
pub(super) struct Answer {
    pub(super) row: FoldedIn,
    pub(super) best: Vec<Scored>,
}

/// Which columns there are.
pub(super) struct Layout<'m> {
    pub(super) model: &'m Model,
    pub(super) side: Side,
    /// Factors rather than lists, where it is CSV.
    pub(super) factors: bool,
}

/// An answer as JSON.
#[derive(Serialize)]
struct Object<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Cow<'a, str>>,
    /// Ratings read of it, and those of them that took no part.
    ratings: usize,
    unknown: u64,
    bias: f32,
    factors: &'a [f32],
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Best<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<Best<'a>>>,
}

#[derive(Serialize)]
struct Best<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    rank: usize,
    score: f32,
    /// Null where the item has none; not there if the model has no names.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Option<Cow<'a, str>>>,
}

impl<'m> Layout<'m> {
    /// The names of the columns.
    pub(super) fn header(&self) -> Vec<String> {
        let [own, other] = match self.side {
            Side::Users => ["user", "item"],
            Side::Items => ["item", "user"],
        };
        let names: Vec<&str> = match (self.factors, self.has_names()) {
            (true, _) => vec![own, "bias"],
            (false, false) => vec![own, other, "rank", "score"],
            (false, true) => vec![own, other, "rank", "score", "name"],
        };
        let factors = if self.factors { self.model.rank } else { 0 };
        names.into_iter().map(str::to_owned).chain((1..=factors).map(|f| format!("f{f}"))).collect()
    }

    /// Whether what is listed has names: items alone do.
    fn has_names(&self) -> bool {
        self.side == Side::Users && self.model.item_names.is_some()
    }

    fn name(&self, index: u32) -> Option<Option<Cow<'m, str>>> {
        self.has_names().then(|| self.model.item_name(index))
    }

    fn object<'a>(&'a self, newcomer: &'a Newcomer, answer: &'a Answer) -> Object<'a> {
        let users = self.side == Side::Users;
        let id = String::from_utf8_lossy(&newcomer.id);
        let (user, item) = if users { (Some(id), None) } else { (None, Some(id)) };
        let best = answer.best.iter().enumerate().map(|(at, &Scored { index, score })| Best {
            item: users.then(|| self.model.items.text(index)),
            user: (!users).then(|| self.model.users.text(index)),
            rank: at + 1,
            score: score as f32,
            name: self.name(index),
        });
        let best: Vec<Best<'_>> = best.collect();
        let (items, best_users) = if users { (Some(best), None) } else { (None, Some(best)) };
        let (ratings, unknown) = (newcomer.ratings.len(), answer.row.unknown);
        let FoldedIn { bias, factors, .. } = &answer.row;
        Object { user, item, ratings, unknown, bias: *bias, factors, items, users: best_users }
    }
}

/// Writes an answer: one object, or a row of factors, or a row for each of the list.
pub(super) fn write<W: Write>(
    layout: &Layout<'_>,
    newcomer: &Newcomer,
    answer: &Answer,
    rows: &mut Rows<'_, W>,
) -> io::Result<()> {
    let csv = match rows {
        Rows::Json(_) => return rows.row(&[], &layout.object(newcomer, answer)),
        csv => csv,
    };
    let id = &newcomer.id[..];
    if layout.factors {
        let numbers = std::iter::once(&answer.row.bias).chain(&answer.row.factors);
        let numbers: Vec<String> = numbers.map(ToString::to_string).collect();
        let cells: Vec<&[u8]> = std::iter::once(id).chain(numbers.iter().map(String::as_bytes)).collect();
        return csv.row(&cells, &());
    }
    let others = if layout.side == Side::Users { &layout.model.items } else { &layout.model.users };
    for (at, &Scored { index, score }) in answer.best.iter().enumerate() {
        let (rank, score) = ((at + 1).to_string(), (score as f32).to_string());
        let name = layout.name(index).map(Option::unwrap_or_default);
        let cells = [id, others.get(index), rank.as_bytes(), score.as_bytes()];
        let cells: Vec<&[u8]> = cells.into_iter().chain(name.as_deref().map(str::as_bytes)).collect();
        csv.row(&cells, &())?;
    }
    Ok(())
}
