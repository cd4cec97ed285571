//! One step of gradient descent on a factor matrix.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/step_gd.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "step_gd",
    wgsl: include_str!("../../shaders/step_gd.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("gradient", Element::F32),
        Binding::read("penalty", Element::F32),
        Binding::read_write("factors", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `step_gd`.
    pub struct Params {
        /// Rows of the matrix.
        pub rows: u32,
        /// Columns of the matrix.
        pub width: u32,
        /// A column that must not move; ≥ width: none.
        pub frozen: u32,
        /// What is multiplied with the descent direction.
        pub rate: f32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct StepGd {
    /// ΔV or ΔᵀU, `[rows, width]`.
    pub gradient: Buffer,
    /// L2 penalty of each row, `[rows]`.
    pub penalty: Buffer,
    /// The matrix, `[rows, width]`, changed in place.
    pub factors: Buffer,
    /// Columns of the matrix.
    pub width: usize,
    /// A column that must not move.
    pub frozen: Option<usize>,
    /// `2η/N` for the mean loss, `η` for the sum.
    pub rate: f32,
}

impl StepGd {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let elements = self.factors.len();
        let rows = self.penalty.len();
        let same = elements == rows * self.width && self.gradient.len() == elements;
        require(&KERNEL, same, "factors and gradient are not [rows, width]")?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            frozen: dimension(&KERNEL, self.frozen.unwrap_or(self.width))?,
            rate: self.rate,
        };
        let buffers = [self.gradient, self.penalty, self.factors];
        Dispatch::new(&KERNEL, params, &buffers, elements.div_ceil(WORKGROUP as usize) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [gradient, penalty, factors] = slots else { unreachable!("the dispatch was checked") };
    step_gd(&bytemuck::pod_read_unaligned(params), gradient.f32(), penalty.f32(), factors.f32_mut());
}

/// The twin: rows in parallel.
pub fn step_gd(params: &Params, gradient: &[f32], penalty: &[f32], factors: &mut [f32]) {
    let width = params.width as usize;
    factors.par_chunks_mut(width).with_min_len(256).enumerate().for_each(|(row, weights)| {
        for (f, w) in weights.iter_mut().enumerate() {
            if f != params.frozen as usize {
                *w += params.rate * (gradient[row * width + f] - penalty[row] * *w);
            }
        }
    });
}
