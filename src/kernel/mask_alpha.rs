//! The exact step of each factor along the mask's direction.

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/mask_alpha.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "mask_alpha",
    wgsl: include_str!("../../shaders/mask_alpha.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("directions", Element::F32),
        Binding::read("squares", Element::F32),
        Binding::read_write("alphas", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `mask_alpha`.
    pub struct Params {
        /// Columns of a factor matrix.
        pub width: u32,
        /// Blocks of `directions`.
        pub directions: u32,
        /// Blocks of `squares`.
        pub squares: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct MaskAlpha {
    /// Partial sums of `mask_direction`, `[blocks, 2, width]`.
    pub directions: Buffer,
    /// Partial sums of `mask_squares`, `[blocks, width]`.
    pub squares: Buffer,
    /// Receives a step a column, `[width]`.
    pub alphas: Buffer,
}

impl MaskAlpha {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let width = self.alphas.len();
        require(
            &KERNEL,
            self.directions.len().is_multiple_of(2 * width) && self.squares.len().is_multiple_of(width),
            "the partial sums have another width",
        )?;
        let params = Params {
            width: dimension(&KERNEL, width)?,
            directions: dimension(&KERNEL, self.directions.len() / (2 * width))?,
            squares: dimension(&KERNEL, self.squares.len() / width)?,
        };
        let buffers = [self.directions, self.squares, self.alphas];
        Dispatch::new(&KERNEL, params, &buffers, 1)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [directions, squares, alphas] = slots else { unreachable!("the dispatch was checked") };
    mask_alpha(&bytemuck::pod_read_unaligned(params), directions.f32(), squares.f32(), alphas.f32_mut());
}

/// The twin: columns in turn, blocks in order.
pub fn mask_alpha(params: &Params, directions: &[f32], squares: &[f32], alphas: &mut [f32]) {
    let width = params.width as usize;
    for (f, alpha) in alphas.iter_mut().enumerate() {
        let (mut above, mut below) = (0.0, 0.0);
        for sums in directions.chunks_exact(2 * width) {
            above += sums[f];
            below += sums[width + f];
        }
        below += squares.chunks_exact(width).map(|sums| sums[f]).sum::<f32>();
        *alpha = if below > 0.0 { above / below } else { 0.0 };
    }
}
