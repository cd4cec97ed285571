//! The answers' rows.

use std::borrow::Cow;

use serde::Serialize;

use super::super::rows::{Cell, Column, Form, Kind, Rows};
use super::newcomers::Newcomer;
use crate::data::Side;
use crate::error::Result;
use crate::model::{FoldedIn, Model, Scored};

/// A new row's factors and what is best for it.
pub(super) struct Answer {
    pub(super) row: FoldedIn,
    pub(super) best: Vec<Scored>,
}

/// Which columns there are.
pub(super) struct Layout<'m> {
    pub(super) model: &'m Model,
    pub(super) side: Side,
    /// Factors rather than lists, where it is a table.
    pub(super) factors: bool,
    pub(super) form: Form,
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
    factors: Vec<f32>,
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
    /// The columns of a table; JSON has objects of its own.
    pub(super) fn columns(&self) -> Vec<Column> {
        let [own, other] = match self.side {
            Side::Users => ["user", "item"],
            Side::Items => ["item", "user"],
        };
        let mut columns = vec![Column::text(own)];
        if self.factors {
            columns.push(Column::number("bias"));
            columns.extend((1..=self.model.rank).map(|f| Column(format!("f{f}").into(), Kind::Number)));
        } else {
            columns.extend([Column::text(other), Column::count("rank"), Column::number("score")]);
            columns.extend(self.has_names().then(|| Column::text("name")));
        }
        columns
    }

    /// Whether what is listed has names: items alone do.
    fn has_names(&self) -> bool {
        self.side == Side::Users && self.model.item_names.is_some()
    }

    fn name(&self, index: u32) -> Option<Option<Cow<'m, str>>> {
        self.has_names().then(|| self.model.item_name(index))
    }

    /// Bias and factors in rating units, as exports have them: the scale is in the biases and in
    /// the factors of users.
    fn numbers(&self, row: &FoldedIn) -> Vec<f32> {
        let scale = self.model.scale;
        let scaled = |x: f32, scale: f64| (f64::from(x) * scale) as f32;
        let factors = if row.side == Side::Users { scale } else { 1.0 };
        std::iter::once(scaled(row.bias, scale))
            .chain(row.factors.iter().map(|&x| scaled(x, factors)))
            .collect()
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
        let mut numbers = self.numbers(&answer.row).into_iter();
        let bias = numbers.next().unwrap_or_default();
        Object { user, item, ratings, unknown, bias, factors: numbers.collect(), items, users: best_users }
    }
}

/// Writes an answer: one object, or a row of factors, or a row for each of the list.
pub(super) fn write(
    layout: &Layout<'_>,
    newcomer: &Newcomer,
    answer: &Answer,
    rows: &mut Rows<'_>,
) -> Result<()> {
    if layout.form == Form::Json {
        let others = if layout.side == Side::Users { &layout.model.items } else { &layout.model.users };
        let listed = answer.best.iter().map(|best| others.get(best.index));
        rows.check_text(listed.chain([&newcomer.id[..]]))?;
        return rows.object(&layout.object(newcomer, answer));
    }
    let id = Cell::id(&newcomer.id);
    if layout.factors {
        let numbers = layout.numbers(&answer.row).into_iter().map(|x| Cell::Number(Some(x)));
        let cells: Vec<Cell<'_>> = std::iter::once(id).chain(numbers).collect();
        return rows.row(&cells);
    }
    let others = if layout.side == Side::Users { &layout.model.items } else { &layout.model.users };
    for (rank, &Scored { index, score }) in (1..).zip(&answer.best) {
        let name = layout.name(index);
        let mut cells =
            vec![id, Cell::id(others.get(index)), Cell::Count(rank), Cell::Number(Some(score as f32))];
        cells.extend(name.as_ref().map(|name| Cell::Text(name.as_deref().map(str::as_bytes))));
        rows.row(&cells)?;
    }
    Ok(())
}
