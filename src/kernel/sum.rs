//! Partial sums, as `sum_squares` but of the values themselves.

use rayon::prelude::*;

use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, lanes, params, require,
    sum_squares::{CHUNK, MIN_CHUNKS, partials},
};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/sum.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "sum",
    wgsl: include_str!("../../shaders/sum.wgsl"),
    params: Params::FIELDS,
    bindings: &[Binding::read("values", Element::F32), Binding::read_write("partials", Element::F32)],
    constants: &[("WORKGROUP", WORKGROUP), ("CHUNK", CHUNK)],
    twin,
};

params! {
    /// Parameters of `sum`.
    pub struct Params {
        /// Values.
        pub count: u32,
        /// Where this call's partial sums begin.
        pub first: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct Sum {
    /// What to add up, `[count]`.
    pub values: Buffer,
    /// Receives `partials(count)` sums from `first` on.
    pub partials: Buffer,
    /// Where this call's partial sums begin.
    pub first: usize,
}

impl Sum {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let count = self.values.len();
        require(&KERNEL, self.first + partials(count) <= self.partials.len(), "the partial sums don't fit")?;
        let params = Params { count: dimension(&KERNEL, count)?, first: dimension(&KERNEL, self.first)? };
        let buffers = [self.values, self.partials];
        Dispatch::new(&KERNEL, params, &buffers, partials(count) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [values, partials] = slots else { unreachable!("the dispatch was checked") };
    sum(&bytemuck::pod_read_unaligned(params), values.f32(), partials.f32_mut());
}

/// The twin: chunks in parallel.
pub fn sum(params: &Params, values: &[f32], partials: &mut [f32]) {
    let values = &values[..params.count as usize];
    partials[params.first as usize..]
        .par_iter_mut()
        .zip(values.par_chunks(CHUNK as usize))
        .with_min_len(MIN_CHUNKS)
        .for_each(|(partial, chunk)| *partial = lanes::sum(chunk));
}
