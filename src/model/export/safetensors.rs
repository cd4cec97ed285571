//! Safetensors in rating units: as the model file, but ready to multiply.

use std::io::Write;

use super::super::Model;
use super::super::tensors::{self, Tensor};
use super::npy::{no_nul_at_the_end, no_padding_without_end};
use super::table::Table;
use super::{Failure, Written};
use crate::data::Ids;

/// Writes both sides.
///
/// | tensor | type | shape |
/// |---|---|---|
/// | `user_factors`, `item_factors` | F32 | `[m, k]`, `[n, k]` |
/// | `user_bias`, `item_bias` | F32 | `[m]`, `[n]` |
/// | `global_mean` | F64 | scalar |
/// | `user_ids`, `item_ids`, and `item_names` if the model has them | U8 | `[rows, w]` |
///
/// Texts are bytes, filled up with NULs to the length w of the longest.
pub(super) fn write(
    model: &Model,
    [users, items]: [&Table<'_>; 2],
    mut out: &mut (dyn Write + Send),
) -> Written {
    let (user, item) = (Arrays::of(users), Arrays::of(items));
    let (user_ids, item_ids) = (Padded::of(users.ids)?, Padded::of(items.ids)?);
    let item_names = items.names.map(Padded::of).transpose()?;
    let mut tensors = vec![
        Tensor::new("user_factors", &[users.len(), users.rank], &user.factors),
        Tensor::new("item_factors", &[items.len(), items.rank], &item.factors),
        Tensor::new("user_bias", &[users.len()], &user.biases),
        Tensor::new("item_bias", &[items.len()], &item.biases),
        Tensor::new("global_mean", &[], std::slice::from_ref(&model.mean)),
        user_ids.tensor("user_ids"),
        item_ids.tensor("item_ids"),
    ];
    tensors.extend(item_names.as_ref().map(|names| names.tensor("item_names")));
    let document = serde_json::json!({
        "export": "safetensors",
        "formula": "global_mean + user_bias[u] + item_bias[i] + user_factors[u] @ item_factors[i]",
        "version": model.metadata.version,
    });
    Ok(tensors::write(&mut out, document.to_string(), tensors)?)
}

struct Arrays {
    factors: Vec<f32>, // [rows, k]
    biases: Vec<f32>,  // [rows]
}

impl Arrays {
    fn of(table: &Table<'_>) -> Self {
        Self {
            factors: (0..table.len()).flat_map(|row| table.factors(row)).collect(),
            biases: (0..table.len()).map(|row| table.bias(row)).collect(),
        }
    }
}

/// Texts of fixed width: safetensors knows no strings.
struct Padded {
    bytes: Vec<u8>, // [rows, width]
    rows: usize,
    width: usize,
}

impl Padded {
    fn of(texts: &Ids) -> Result<Self, Failure> {
        no_nul_at_the_end(texts, "NumPy")?;
        let (rows, width) = (texts.len(), texts.iter().map(<[u8]>::len).max().unwrap_or(0).max(1));
        no_padding_without_end(texts, width as u64)?;
        let mut bytes = vec![0; rows * width];
        for (cell, text) in bytes.chunks_exact_mut(width).zip(texts.iter()) {
            // No text is longer than the longest.
            cell.iter_mut().zip(text).for_each(|(cell, byte)| *cell = *byte);
        }
        Ok(Self { bytes, rows, width })
    }

    fn tensor(&self, name: &'static str) -> Tensor<'_> {
        Tensor::new(name, &[self.rows, self.width], &self.bytes)
    }
}
