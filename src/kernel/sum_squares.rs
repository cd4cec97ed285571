//! Partial sums of squares, for the loss.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, lanes, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// Values that one workgroup adds up, the `CHUNK` constant of the shader: a group of rows, where
/// they are sums of rows, so that no chunk has rows of two [user blocks](crate::world::blocks).
pub const CHUNK: u32 = crate::world::BLOCK_ROWS as u32;

/// Chunks that are worth a thread of their own.
pub(super) const MIN_CHUNKS: usize = 64;

/// `shaders/sum_squares.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "sum_squares",
    wgsl: include_str!("../../shaders/sum_squares.wgsl"),
    params: Params::FIELDS,
    bindings: &[Binding::read("values", Element::F32), Binding::read_write("partials", Element::F32)],
    constants: &[("WORKGROUP", WORKGROUP), ("CHUNK", CHUNK)],
    twin,
};

params! {
    /// Parameters of `sum_squares`.
    pub struct Params {
        /// Values.
        pub count: u32,
        /// Where this call's partial sums begin.
        pub first: u32,
    }
}

/// How many partial sums `count` values give.
pub fn partials(count: usize) -> usize {
    count.div_ceil(CHUNK as usize)
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct SumSquares {
    /// What to square and add, `[count]`.
    pub values: Buffer,
    /// Receives `partials(count)` sums from `first` on.
    pub partials: Buffer,
    /// Where this call's partial sums begin.
    pub first: usize,
}

impl SumSquares {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the partial sums don't fit.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let count = self.values.len();
        let fits = self.first + partials(count) <= self.partials.len();
        require(&KERNEL, fits, "the partial sums don't fit")?;
        let params = Params { count: dimension(&KERNEL, count)?, first: dimension(&KERNEL, self.first)? };
        Dispatch::new(&KERNEL, params, &[self.values, self.partials], partials(count) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [values, partials] = slots else { unreachable!("the dispatch was checked") };
    sum_squares(&bytemuck::pod_read_unaligned(params), values.f32(), partials.f32_mut());
}

/// The twin: chunks in parallel.
pub fn sum_squares(params: &Params, values: &[f32], partials: &mut [f32]) {
    let values = &values[..params.count as usize];
    partials[params.first as usize..]
        .par_iter_mut()
        .zip(values.par_chunks(CHUNK as usize))
        .with_min_len(MIN_CHUNKS)
        .for_each(|(partial, chunk)| *partial = lanes::dot(chunk, chunk));
}
