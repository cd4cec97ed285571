//! Momentum between epochs.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/extrapolate.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "extrapolate",
    wgsl: include_str!("../../shaders/extrapolate.wgsl"),
    params: Params::FIELDS,
    bindings: &[Binding::read_write("factors", Element::F32), Binding::read_write("previous", Element::F32)],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `extrapolate`.
    pub struct Params {
        /// Elements.
        pub count: u32,
        /// How far to go on.
        pub beta: f32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct Extrapolate {
    /// w, moved in place, `[count]`.
    pub factors: Buffer,
    /// The factors of the epoch before; receives w, `[count]`.
    pub previous: Buffer,
    /// How far to go on: 0 only copies.
    pub beta: f32,
}

impl Extrapolate {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let count = self.factors.len();
        require(&KERNEL, self.previous.len() == count, "the lengths differ")?;
        let params = Params { count: dimension(&KERNEL, count)?, beta: self.beta };
        let buffers = [self.factors, self.previous];
        Dispatch::new(&KERNEL, params, &buffers, count.div_ceil(WORKGROUP as usize) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [factors, previous] = slots else { unreachable!("the dispatch was checked") };
    extrapolate(&bytemuck::pod_read_unaligned(params), factors.f32_mut(), previous.f32_mut());
}

/// The twin: elements in parallel.
pub fn extrapolate(params: &Params, factors: &mut [f32], previous: &mut [f32]) {
    let count = params.count as usize;
    let pairs = factors[..count].par_iter_mut().zip(previous[..count].par_iter_mut());
    pairs.with_min_len(4096).for_each(|(w, previous)| {
        let old = *w;
        *w = old + params.beta * (old - *previous);
        *previous = old;
    });
}
