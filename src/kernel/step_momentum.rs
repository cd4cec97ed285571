//! One step of gradient descent with momentum on a factor matrix.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/step_momentum.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "step_momentum",
    wgsl: include_str!("../../shaders/step_momentum.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("gradient", Element::F32),
        Binding::read("penalty", Element::F32),
        Binding::read_write("velocity", Element::F32),
        Binding::read_write("factors", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `step_momentum`.
    pub struct Params {
        /// Rows of the matrix.
        pub rows: u32,
        /// Columns of the matrix.
        pub width: u32,
        /// A column that must not move; ≥ width: none.
        pub frozen: u32,
        /// 1: look ahead.
        pub nesterov: u32,
        /// What is multiplied with the descent direction.
        pub rate: f32,
        /// How much of the last step is kept.
        pub beta: f32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct StepMomentum {
    /// ΔV or ΔᵀU, `[rows, width]`.
    pub gradient: Buffer,
    /// L2 penalty of each row, `[rows]`.
    pub penalty: Buffer,
    /// The last step, `[rows, width]`, replaced by this one.
    pub velocity: Buffer,
    /// The matrix, `[rows, width]`, changed in place.
    pub factors: Buffer,
    /// Columns of the matrix.
    pub width: usize,
    /// A column that must not move.
    pub frozen: Option<usize>,
    /// Whether the factors are Nesterov's look-ahead point.
    pub nesterov: bool,
    /// `2η/N` for the mean loss, `η` for the sum.
    pub rate: f32,
    /// How much of the last step is kept, from 0 to below 1.
    pub beta: f32,
}

impl StepMomentum {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let elements = self.factors.len();
        let rows = self.penalty.len();
        let same = [self.gradient, self.velocity].iter().all(|b| b.len() == elements);
        require(&KERNEL, same && elements == rows * self.width, "a matrix is not [rows, width]")?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            frozen: dimension(&KERNEL, self.frozen.unwrap_or(self.width))?,
            nesterov: u32::from(self.nesterov),
            rate: self.rate,
            beta: self.beta,
        };
        let buffers = [self.gradient, self.penalty, self.velocity, self.factors];
        Dispatch::new(&KERNEL, params, &buffers, elements.div_ceil(WORKGROUP as usize) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [gradient, penalty, velocity, factors] = slots else { unreachable!("the dispatch was checked") };
    step_momentum(
        &bytemuck::pod_read_unaligned(params),
        gradient.f32(),
        penalty.f32(),
        velocity.f32_mut(),
        factors.f32_mut(),
    );
}

/// The twin: rows in parallel.
pub fn step_momentum(
    params: &Params,
    gradient: &[f32],
    penalty: &[f32],
    velocity: &mut [f32],
    factors: &mut [f32],
) {
    let width = params.width as usize;
    let rows = factors.par_chunks_mut(width).zip(velocity.par_chunks_mut(width));
    rows.with_min_len(256).enumerate().for_each(|(row, (weights, velocities))| {
        for (f, (w, v)) in weights.iter_mut().zip(velocities).enumerate() {
            if f != params.frozen as usize {
                let s = params.rate * (gradient[row * width + f] - penalty[row] * *w);
                *v = params.beta * *v + s;
                *w += if params.nesterov != 0 { params.beta * *v + s } else { *v };
            }
        }
    });
}
