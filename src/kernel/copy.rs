//! A copy that stays on the device: what is best so far, kept or brought back.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/copy.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "copy",
    wgsl: include_str!("../../shaders/copy.wgsl"),
    params: Params::FIELDS,
    bindings: &[Binding::read("values", Element::F32), Binding::read_write("copied", Element::F32)],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `copy`.
    pub struct Params {
        /// Elements.
        pub count: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct CopyValues {
    /// What to copy, `[count]`.
    pub values: Buffer,
    /// Receives it, `[count]`.
    pub copied: Buffer,
}

impl CopyValues {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let count = self.values.len();
        require(&KERNEL, self.copied.len() == count, "the lengths differ")?;
        let params = Params { count: dimension(&KERNEL, count)? };
        let buffers = [self.values, self.copied];
        Dispatch::new(&KERNEL, params, &buffers, count.div_ceil(WORKGROUP as usize) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [values, copied] = slots else { unreachable!("the dispatch was checked") };
    copy(&bytemuck::pod_read_unaligned(params), values.f32(), copied.f32_mut());
}

/// The twin: a piece at a time, in parallel.
pub fn copy(params: &Params, values: &[f32], copied: &mut [f32]) {
    const PIECE: usize = 1 << 16;
    let count = params.count as usize;
    let pieces = copied[..count].par_chunks_mut(PIECE).zip(values[..count].par_chunks(PIECE));
    pieces.for_each(|(copied, values)| copied.copy_from_slice(values));
}
