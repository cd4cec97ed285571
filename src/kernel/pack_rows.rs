//! Rows of factors, packed to be gathered: whole lanes first, what is left behind them.
//!
//! `[rows, lanes]` factors, zeros beyond the rank; with variances `[rows, 2, lanes]`. Then
//! `[rows, 2]`: each row's bias and its variance.

use rayon::prelude::*;

use super::fused::{Columns, Packing, TAIL};
use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/pack_rows.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "pack_rows",
    wgsl: include_str!("../../shaders/pack_rows.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("factors", Element::F32),
        Binding::read("variances", Element::F32),
        Binding::read_write("packed", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `pack_rows`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// Columns that are factors.
        pub rank: u32,
        /// Elements of a packed row of factors.
        pub lanes: u32,
        /// The column of the bias; ≥ width: none.
        pub bias: u32,
        /// 1: there are variances.
        pub spread: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct PackRows {
    /// Factors, `[rows, width]`.
    pub factors: Buffer,
    /// Their variances, `[rows, width]`.
    pub variances: Option<Buffer>,
    /// Receives the packed rows, at least `packing.len()`.
    pub packed: Buffer,
    /// How.
    pub packing: Packing,
    /// The matrix' columns.
    pub columns: Columns,
}

impl PackRows {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let Columns { width, rank, bias, .. } = self.columns;
        let Packing { rows, lanes, spread } = self.packing;
        let variances = self.variances.unwrap_or(self.factors);
        require(
            &KERNEL,
            self.factors.len() == rows * width && variances.len() == self.factors.len(),
            "factors and variances differ",
        )?;
        require(&KERNEL, self.packed.len() >= self.packing.len(), "the packed buffer is too small")?;
        require(&KERNEL, rank <= lanes && rank <= width, "columns contradict each other")?;
        require(&KERNEL, spread == self.variances.is_some(), "variances are there or not")?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, width)?,
            rank: dimension(&KERNEL, rank)?,
            lanes: dimension(&KERNEL, lanes)?,
            bias: dimension(&KERNEL, bias.unwrap_or(width))?,
            spread: u32::from(spread),
        };
        let workgroups = (self.packing.len() as u64).div_ceil(u64::from(WORKGROUP));
        Dispatch::new(&KERNEL, params, &[self.factors, variances, self.packed], workgroups)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [factors, variances, packed] = slots else { unreachable!("the dispatch was checked") };
    let params = bytemuck::pod_read_unaligned(params);
    pack_rows(&params, factors.f32(), variances.f32(), packed.f32_mut());
}

/// The twin: rows in parallel.
pub fn pack_rows(params: &Params, factors: &[f32], variances: &[f32], packed: &mut [f32]) {
    let (rows, width, lanes) = (params.rows as usize, params.width as usize, params.lanes as usize);
    let packing = Packing { rows, lanes, spread: params.spread != 0 };
    let stride = packing.stride();
    let (packed, tails) = packed[..packing.len()].split_at_mut(rows * stride);
    let tails = tails.par_chunks_mut(TAIL);
    packed.par_chunks_mut(stride).zip(tails).with_min_len(256).enumerate().for_each(
        |(row, (packed, tail))| {
            let own = row * width..(row + 1) * width;
            let parts = [&factors[own.clone()], &variances[own]];
            for (part, packed) in parts.into_iter().zip(packed.chunks_mut(lanes)) {
                let (values, beyond) = packed.split_at_mut(params.rank as usize);
                values.copy_from_slice(&part[..values.len()]);
                beyond.fill(0.0);
            }
            for (i, (tail, part)) in tail.iter_mut().zip(parts).enumerate() {
                let there = i == 0 || packing.spread;
                *tail = part.get(params.bias as usize).copied().filter(|_| there).unwrap_or(0.0);
            }
        },
    );
}
