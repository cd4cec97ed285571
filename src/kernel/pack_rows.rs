//! Rows of factors, packed to be gathered: whole lanes first, what is left behind them.
//!
//! `[rows, lanes]` factors, zeros beyond the rank; with variances `[rows, 2, lanes]`. Then
//! `[rows, 2]`: each row's bias and its variance. All are bits of f32, or factors and variances
//! are f16, two a word: see [`pack_halves`].

use rayon::prelude::*;

use super::fused::{Columns, Packing, TAIL};
use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, pack_halves, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/pack_rows.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "pack_rows",
    wgsl: include_str!("../../shaders/pack_rows.wgsl"),
    params: Params::FIELDS,
    bindings: BINDINGS,
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

/// The buffers of either packing.
pub(super) const BINDINGS: &[Binding] = &[
    Binding::read("factors", Element::F32),
    Binding::read("variances", Element::F32),
    Binding::read_write("packed", Element::U32),
];

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
        let Packing { rows, lanes, spread, half } = self.packing;
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
        let kernel = if half { &pack_halves::KERNEL } else { &KERNEL };
        Dispatch::new(kernel, params, &[self.factors, variances, self.packed], workgroups)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [factors, variances, packed] = slots else { unreachable!("the dispatch was checked") };
    let params = bytemuck::pod_read_unaligned(params);
    pack_rows(&params, factors.f32(), variances.f32(), packed.u32_mut());
}

/// The twin: rows in parallel.
pub fn pack_rows(params: &Params, factors: &[f32], variances: &[f32], packed: &mut [u32]) {
    pack(params, false, factors, variances, packed, |part, packed| {
        let (values, beyond) = packed.split_at_mut(part.len());
        values.copy_from_slice(bytemuck::cast_slice(part));
        beyond.fill(0);
    });
}

/// Packs each row's factors, and its variances if there are, with `plane`, and what is left behind them.
pub(super) fn pack(
    params: &Params,
    half: bool,
    factors: &[f32],
    variances: &[f32],
    packed: &mut [u32],
    plane: impl Fn(&[f32], &mut [u32]) + Sync,
) {
    let (rows, width, lanes) = (params.rows as usize, params.width as usize, params.lanes as usize);
    let packing = Packing { rows, lanes, spread: params.spread != 0, half };
    let stride = packing.stride();
    let words = if packing.spread { stride / 2 } else { stride };
    let (packed, tails) = packed[..packing.len()].split_at_mut(rows * stride);
    let tails = tails.par_chunks_mut(TAIL);
    packed.par_chunks_mut(stride).zip(tails).with_min_len(256).enumerate().for_each(
        |(row, (packed, tail))| {
            let own = row * width..(row + 1) * width;
            let parts = [&factors[own.clone()], &variances[own]];
            for (part, packed) in parts.into_iter().zip(packed.chunks_mut(words)) {
                plane(&part[..params.rank as usize], packed);
            }
            for (i, (tail, part)) in tail.iter_mut().zip(parts).enumerate() {
                let there = i == 0 || packing.spread;
                let value = part.get(params.bias as usize).copied().filter(|_| there).unwrap_or(0.0);
                *tail = value.to_bits();
            }
        },
    );
}
