//! Rows of factors that are put in the place of the drawn ones.

use super::Problem;
use crate::backend::Backend;
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
