//! A warm start: the first factors are those of a model.
//!
//! The model predicts `μ₀ + s₀·(b + c + u·v)` and the run targets `(r − μ)/s`. The same prediction is
//! `√(s₀/s)·u · √(s₀/s)·v + s₀/s·b + (s₀/s·c + (μ₀ − μ)/s)`. Without biases the difference of
//! the means is left to the first epochs.

use crate::backend::Backend;
use crate::config::Checked;
use crate::data::{IdMap, Ids, Ratings, Side};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::problem::{Problem, Row};
use crate::world::together::any;

/// Puts a model's rows in the place of the drawn ones, for whoever it knows by training ratings.
///
/// # Errors
/// [`Error::Usage`] if rank or kind of bias differ, or if the model knows nobody of these ratings.
pub(super) fn start(
    problem: &Problem,
    train: &Ratings,
    config: &Checked,
    model: &Model,
    backend: &mut dyn Backend,
) -> Result<()> {
    if model.rank != problem.rank {
        return Err(Error::usage(
            format!("the initial model has rank {}, not {}", model.rank, problem.rank),
            format!("pass --rank {}, or another --init-model", model.rank),
        ));
    }
    if model.kind.has_bias() != config.model.has_bias() {
        return Err(Error::usage(
            format!(
                "the initial model is {}, and --model {} is to be trained",
                model.kind.name(),
                config.model.name()
            ),
            format!("pass --model {}, or another --init-model", model.kind.name()),
        ));
    }
    let standard = problem.standard;
    // Where all ratings are equal there is nothing to carry over.
    let ratio = if standard.scale > 0.0 { model.scale / standard.scale } else { 0.0 };
    let shift = if standard.scale > 0.0 { (model.mean - standard.mean) / standard.scale } else { 0.0 };
    let known = model.known();
    let users = Old {
        ids: &model.users,
        factors: &model.user_factors,
        bias: &model.user_bias,
        counts: &known.user_counts,
    };
    let items = Old {
        ids: &model.items,
        factors: &model.item_factors,
        bias: &model.item_bias,
        counts: &known.item_counts,
    };
    let mut taken = 0;
    for (side, ids, old, shift) in
        [(Side::Users, &train.users, users, 0.0), (Side::Items, &train.items, items, shift)]
    {
        let rows = old.rows(ids, model.rank, ratio, shift);
        taken += rows.len();
        problem.replace_rows(side, rows, backend)?;
    }
    // Others may have all the users that it knows.
    if !any(backend.world(), taken > 0)? {
        return Err(Error::usage(
            "the initial model knows no user and no item of these ratings",
            "pass a model of the same ids, or leave --init-model out",
        ));
    }
    Ok(())
}

/// One side of the model.
struct Old<'a> {
    ids: &'a Ids,
    factors: &'a [f32],
    bias: &'a [f32],
    counts: &'a [u64],
}

impl Old<'_> {
    /// The rows of those of `ids` that it knows, in other units.
    fn rows(&self, ids: &Ids, rank: usize, ratio: f64, shift: f64) -> Vec<Row> {
        let known = IdMap::from(self.ids.clone());
        let root = ratio.sqrt();
        let mut rows = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let Some(old) = known.get(id).map(|old| old as usize).filter(|&old| self.counts[old] > 0) else {
                continue;
            };
            let factors = &self.factors[old * rank..][..rank];
            rows.push(Row {
                index,
                factors: factors.iter().map(|&x| (f64::from(x) * root) as f32).collect(),
                bias: (f64::from(self.bias[old]) * ratio + shift) as f32,
            });
        }
        rows
    }
}
