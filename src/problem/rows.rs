//! Factors on their way from the device and to it.

use nalgebra::DMatrix;

use super::{Problem, gauge};
use crate::backend::{Backend, Buffer};
use crate::data::Side;
use crate::error::Result;
use crate::world::Alone;

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
        write_shards(self.side(role).shards.iter().map(|shard| shard.factors), factors, backend)
    }

    /// The number of the first of a side's rows that are here, among those of all processes.
    pub fn first_row(&self, role: Side) -> usize {
        match role {
            Side::Users => self.first_user,
            Side::Items => 0,
        }
    }

    /// Rows that are added up apart in sums over a side's rows, see [`blocks`](crate::world::blocks).
    fn rows_of_part(&self, role: Side) -> usize {
        match role {
            Side::Users => self.block,
            Side::Items => gauge::BLOCK,
        }
    }

    /// What the parts of a side's rows come to over all rows: items are the same everywhere.
    fn over_all(&self, role: Side, parts: &[f64], len: usize, backend: &dyn Backend) -> Result<Vec<f64>> {
        match role {
            Side::Users => gauge::sum_over(backend.world(), parts, len),
            Side::Items => gauge::sum_over(&Alone, parts, len),
        }
    }

    /// Turns factors as [`balance`](super::balance) does, those of all users.
    ///
    /// # Errors
    /// As [`World::all_gather`](crate::world::World::all_gather).
    pub(crate) fn balance(
        &self,
        users: &mut [f32],
        items: &mut [f32],
        rank: usize,
        c: f64,
        backend: &dyn Backend,
    ) -> Result<()> {
        let mut grams = [&*users, &*items].map(|_| DMatrix::zeros(0, 0));
        for (role, factors) in [(Side::Users, &*users), (Side::Items, &*items)] {
            let parts = gauge::gram_parts(factors, self.width, rank, self.rows_of_part(role));
            let sum = self.over_all(role, &parts, gauge::gram_len(rank), backend)?;
            grams[role as usize] = gauge::gram_of(&sum, rank);
        }
        gauge::balance_by(&grams, users, items, self.width, c);
        Ok(())
    }

    /// Σ x² of each column over all rows of a side, `[width]`.
    ///
    /// # Errors
    /// As [`World::all_gather`](crate::world::World::all_gather).
    pub(crate) fn column_squares(
        &self,
        role: Side,
        factors: &[f32],
        backend: &dyn Backend,
    ) -> Result<Vec<f64>> {
        let parts = gauge::column_squares(factors, self.width, self.rows_of_part(role));
        self.over_all(role, &parts, self.width, backend)
    }

    /// Cuts an array like [`Problem::read_factors`]' into the latent columns
    /// `[rows, rank]` and the bias `[rows]` in units of the target, without the
    /// unknown's row.
    pub fn split_bias(&self, role: Side, mut wide: Vec<f32>) -> (Vec<f32>, Vec<f32>) {
        let rows = wide.len() / self.width - 1;
        let bias = |row: &[f32]| self.side(role).bias.map_or(0.0, |bias| row[bias] * self.bias_unit);
        let biases = wide.chunks_exact(self.width).take(rows).map(bias).collect();
        // In place: as much memory again would take longer to get than to fill.
        for row in 1..rows {
            let first = row * self.width;
            wide.copy_within(first..first + self.rank, row * self.rank);
        }
        wide.truncate(rows * self.rank);
        (wide, biases)
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

/// Writes the elements of a side's buffers, shard after shard.
///
/// # Errors
/// As [`Backend::write`].
pub fn write_shards(
    buffers: impl IntoIterator<Item = Buffer>,
    elements: &[f32],
    backend: &mut dyn Backend,
) -> Result<()> {
    let mut rest = elements;
    for buffer in buffers {
        let (mine, others) = rest.split_at(buffer.len());
        backend.write(buffer, bytemuck::cast_slice(mine))?;
        rest = others;
    }
    Ok(())
}

/// The elements of a side's buffers, shard after shard.
///
/// # Errors
/// As [`Backend::read`].
pub fn read_shards(buffers: impl IntoIterator<Item = Buffer>, backend: &mut dyn Backend) -> Result<Vec<f32>> {
    let buffers: Vec<Buffer> = buffers.into_iter().collect();
    let mut all = vec![0.0f32; buffers.iter().map(Buffer::len).sum()];
    let mut rest = &mut all[..];
    for buffer in buffers {
        let (part, behind) = rest.split_at_mut(buffer.len());
        backend.read(buffer, bytemuck::cast_slice_mut(part))?;
        rest = behind;
    }
    Ok(all)
}
