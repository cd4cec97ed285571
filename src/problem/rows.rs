//! Factors on their way from the device and to it.

use super::Problem;
use crate::backend::{Backend, Buffer, read_f32};
use crate::data::Side;
use crate::error::Result;

/// A row that is put in.
#[derive(Debug, Clone)]
pub struct Row {
    /// Index of the user or item.
    pub index: usize,
    /// Its factors, `[rank]`.
    pub factors: Vec<f32>,
    /// Its bias in units of the target; left out where there are no biases.
    pub bias: f32,
}

impl Problem {
    /// The factors as they are, with their bias columns and the unknown's row: `[rows + 1, width]`.
    ///
    /// # Errors
    /// As [`Backend::read`].
    pub fn read_factors(&self, role: Side, backend: &mut dyn Backend) -> Result<Vec<f32>> {
        let buffers = self.side(role).shards.iter().map(|shard| shard.factors);
        read_shards(buffers, backend)
    }

    /// Replaces the factors, in the form of [`Problem::read_factors`].
    ///
    /// # Errors
    /// As [`Backend::write`].
    pub fn write_factors(&self, role: Side, factors: &[f32], backend: &mut dyn Backend) -> Result<()> {
        let mut rest = factors;
        for shard in &self.side(role).shards {
            let (mine, others) = rest.split_at(shard.factors.len());
            backend.write(shard.factors, bytemuck::cast_slice(mine))?;
            rest = others;
        }
        Ok(())
    }

    /// Cuts an array like [`Problem::read_factors`]' into the latent columns
    /// `[rows, rank]` and the bias `[rows]` in units of the target, without the
    /// unknown's row.
    pub fn split_bias(&self, role: Side, wide: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let rows = wide.len() / self.width - 1;
        let mut factors = Vec::with_capacity(rows * self.rank);
        let mut biases = Vec::with_capacity(rows);
        for row in wide.chunks_exact(self.width).take(rows) {
            factors.extend_from_slice(&row[..self.rank]);
            biases.push(self.side(role).bias.map_or(0.0, |bias| row[bias] * self.bias_unit));
        }
        (factors, biases)
    }

    /// Replaces rows of a side's factors; the others stay as they are.
    ///
    /// # Errors
    /// As [`Backend::read`] and [`Backend::write`].
    pub fn replace_rows(
        &self,
        role: Side,
        rows: impl IntoIterator<Item = Row>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let mut wide = self.read_factors(role, backend)?;
        let bias = self.side(role).bias;
        for Row { index, factors, bias: value } in rows {
            let row = &mut wide[index * self.width..][..self.width];
            row[..self.rank].copy_from_slice(&factors);
            if let Some(column) = bias {
                row[column] = value / self.bias_unit;
            }
        }
        self.write_factors(role, &wide, backend)
    }
}

/// The elements of a side's buffers, shard after shard.
///
/// # Errors
/// As [`Backend::read`].
pub fn read_shards(buffers: impl IntoIterator<Item = Buffer>, backend: &mut dyn Backend) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for buffer in buffers {
        all.extend(read_f32(backend, buffer)?);
    }
    Ok(all)
}
