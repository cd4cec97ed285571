//! One side of a model, row by row, in rating units.

use super::super::{Model, Side};
use super::Failure;
use crate::data::{Ids, Known};

/// One side of a model in rating units.
#[derive(Debug)]
pub(super) struct Table<'a> {
    /// One id a row.
    pub(super) ids: &'a Ids,
    /// One name a row, where the model has names of this side.
    pub(super) names: Option<&'a Ids>,
    /// Number k of factors.
    pub(super) rank: usize,
    factors: &'a [f32], // [rows, k]
    biases: &'a [f32],  // [rows]
    /// Training ratings of a row; without any it is zero.
    ratings: &'a [u64],
    factor_scale: f64,
    bias_scale: f64,
}

impl<'a> Table<'a> {
    /// Refuses a model whose numbers in rating units don't fit into f32.
    pub(super) fn new(model: &'a Model, known: &'a Known, side: Side) -> Result<Self, Failure> {
        let table = match side {
            Side::Users => Table {
                ids: &model.users,
                names: None,
                rank: model.rank,
                factors: &model.user_factors,
                biases: &model.user_bias,
                ratings: &known.user_counts,
                factor_scale: model.scale,
                bias_scale: model.scale,
            },
            Side::Items => Table {
                ids: &model.items,
                names: model.item_names.as_ref(),
                rank: model.rank,
                factors: &model.item_factors,
                biases: &model.item_bias,
                ratings: &known.item_counts,
                factor_scale: 1.0,
                bias_scale: model.scale,
            },
        };
        let largest = |values: &[f32]| values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        for (values, scale) in [(table.factors, table.factor_scale), (table.biases, table.bias_scale)] {
            let largest = largest(values);
            if !((f64::from(largest) * scale) as f32).is_finite() {
                return Err(Failure::Refused(
                    format!("{largest} times the scale {scale} does not fit into f32"),
                    "read the model file itself, which is safetensors",
                ));
            }
        }
        Ok(table)
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The rows with training ratings.
    pub(super) fn known(&self) -> impl Iterator<Item = usize> {
        self.ratings.iter().enumerate().filter(|(_, n)| **n > 0).map(|(row, _)| row)
    }

    /// Number of training ratings of a row.
    #[cfg(feature = "parquet")]
    pub(super) fn ratings(&self, row: usize) -> u64 {
        self.ratings.get(row).copied().unwrap_or(0)
    }

    /// The factors of a row, `[k]`.
    #[expect(clippy::indexing_slicing, reason = "a checked model has them for each row")]
    pub(super) fn factors(&self, row: usize) -> impl Iterator<Item = f32> {
        let (known, scale) = (self.ratings[row] > 0, self.factor_scale);
        let factors = &self.factors[row * self.rank..(row + 1) * self.rank];
        factors.iter().map(move |&value| scaled(value, known, scale))
    }

    /// The bias of a row.
    #[expect(clippy::indexing_slicing, reason = "a checked model has one for each row")]
    pub(super) fn bias(&self, row: usize) -> f32 {
        scaled(self.biases[row], self.ratings[row] > 0, self.bias_scale)
    }
}

fn scaled(value: f32, known: bool, scale: f64) -> f32 {
    // Not times 0, which would keep signs.
    if known { (f64::from(value) * scale) as f32 } else { 0.0 }
}
