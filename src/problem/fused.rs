//! Recordings of the fused kernels that every optimiser shares.

use super::chunks::{Chunk, Chunks};
use super::{Problem, Side};
use crate::backend::Buffer;
use crate::error::Result;
use crate::kernel::Dispatch;
use crate::kernel::fused::{Columns, Packing};
use crate::kernel::pack_rows::PackRows;
use crate::kernel::row_gradient::RowGradient;
use crate::kernel::row_loss::RowLoss;
use crate::kernel::row_pattern::RowPattern;

/// What a side's rows gather: the other side, packed.
#[derive(Debug, Clone, Copy)]
pub struct Packed {
    /// The buffer.
    pub buffer: Buffer,
    /// How its rows lie there.
    pub packing: Packing,
}

impl Problem {
    /// The chunks of a side's rows; `None` where textbook kernels train.
    pub fn chunks(&self, role: Side) -> Option<&[Chunk]> {
        self.chunks.as_ref().map(|chunks| &*chunks.sides[role as usize])
    }

    /// The columns of a side's factors.
    pub fn columns(&self, role: Side) -> Columns {
        let bias = self.side(role).bias;
        let unit = if bias.is_some() { self.bias_unit } else { 0.0 };
        Columns { width: self.width, rank: self.rank, bias, unit }
    }

    /// As [`Problem::columns`], with the first factors alone; the others are 0.
    pub fn first_columns(&self, role: Side, rank: usize) -> Columns {
        Columns { rank, ..self.columns(role) }
    }

    /// Records the packing of columns of a side's factors as they are, and perhaps of their variances,
    /// for the other side to gather. Until the side is packed again.
    ///
    /// # Errors
    /// As [`PackRows::dispatch`].
    pub fn record_packed(
        &self,
        role: Side,
        columns: Columns,
        variances: Option<Buffer>,
        recording: &mut Vec<Dispatch>,
    ) -> Result<Option<Packed>> {
        let Some(chunks) = &self.chunks else { return Ok(None) };
        let factors = self.side(role).shards[0].factors;
        self.pack(chunks, role, factors, columns, variances, recording).map(Some)
    }

    /// Records `sums[row] = Σ matrix[other]` over the cells of each of a side's rows.
    ///
    /// `rank`: the first factors, which alone are added up; `matrix`: `[rows of the other side, width]`;
    /// `sums`: `[rows, width]`, 0 in all other columns.
    ///
    /// # Errors
    /// As the kernels' dispatches.
    pub fn record_pattern(
        &self,
        role: Side,
        rank: usize,
        matrix: Buffer,
        sums: Buffer,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let Some(chunks) = &self.chunks else { return Ok(()) };
        let columns = Columns { bias: None, unit: 0.0, ..self.first_columns(role, rank) };
        let packed = self.pack(chunks, role.other(), matrix, columns, None, recording)?;
        let call = |chunk: &Chunk, sums, first| {
            RowPattern {
                rows: chunk.rows,
                cells: chunk.cells,
                packed: packed.buffer,
                sums,
                first,
                long: chunk.long,
                block: chunk.block,
                packing: packed.packing,
                columns,
            }
            .dispatch()
        };
        match self.item_ranges().filter(|_| role == Side::Items) {
            Some(ranges) => {
                for range in ranges {
                    self.record_item_sums(range, &self.item_matrix(sums), recording, call)?;
                }
            }
            None => {
                for chunk in &chunks.sides[role as usize] {
                    recording.push(call(chunk, sums, chunk.first)?);
                }
            }
        }
        Ok(())
    }

    fn pack(
        &self,
        chunks: &Chunks,
        role: Side,
        factors: Buffer,
        columns: Columns,
        variances: Option<Buffer>,
        recording: &mut Vec<Dispatch>,
    ) -> Result<Packed> {
        let packing = chunks.packing(role, columns.rank, variances.is_some());
        let packed = chunks.packed[role as usize];
        recording.push(PackRows { factors, variances, packed, packing, columns }.dispatch()?);
        Ok(Packed { buffer: packed, packing })
    }

    pub(super) fn record_fused_gradient(
        &self,
        chunks: &Chunks,
        role: Side,
        gradients: &[Buffer],
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let other = role.other();
        let others = self.side(other).shards[0].factors;
        let packed = self.pack(chunks, other, others, self.columns(other), None, recording)?;
        let call = |chunk: &Chunk, gradient, place| {
            RowGradient {
                rows: chunk.rows,
                cells: chunk.cells,
                packed: packed.buffer,
                factors: self.side(role).shards[0].factors,
                gradient,
                first: chunk.first,
                place,
                long: chunk.long,
                block: chunk.block,
                packing: packed.packing,
                columns: self.columns(role),
            }
            .dispatch()
        };
        match self.item_ranges().filter(|_| role == Side::Items) {
            Some(ranges) => {
                for range in ranges {
                    self.record_item_sums(range, &self.item_matrix(gradients[0]), recording, call)?;
                }
            }
            None => {
                for chunk in &chunks.sides[role as usize] {
                    recording.push(call(chunk, gradients[0], chunk.first)?);
                }
            }
        }
        Ok(())
    }

    /// Records Σ e² of each user, from the factors as they are.
    pub(super) fn record_row_losses(&self, recording: &mut Vec<Dispatch>) -> Result<()> {
        let Some(chunks) = &self.chunks else { return Ok(()) };
        let items = self.side(Side::Items).shards[0].factors;
        let packed = self.pack(chunks, Side::Items, items, self.columns(Side::Items), None, recording)?;
        for chunk in &chunks.sides[Side::Users as usize] {
            let call = RowLoss {
                rows: chunk.rows,
                cells: chunk.cells,
                packed: packed.buffer,
                factors: self.side(Side::Users).shards[0].factors,
                squares: chunks.squares,
                first: chunk.first,
                long: chunk.long,
                packing: packed.packing,
                columns: self.columns(Side::Users),
            };
            recording.push(call.dispatch()?);
        }
        Ok(())
    }
}
