//! One Adam step on a factor matrix.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/step_adam.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "step_adam",
    wgsl: include_str!("../../shaders/step_adam.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("gradient", Element::F32),
        Binding::read("penalty", Element::F32),
        Binding::read_write("first", Element::F32),
        Binding::read_write("second", Element::F32),
        Binding::read_write("factors", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `step_adam`.
    pub struct Params {
        /// Rows of the matrix.
        pub rows: u32,
        /// Columns of the matrix.
        pub width: u32,
        /// A column that must not move; ≥ width: none.
        pub frozen: u32,
        /// `1 − β₁`.
        pub rest1: f32,
        /// `1 − β₂`.
        pub rest2: f32,
        /// `η/(1 − β₁ᵗ)`.
        pub rate: f32,
        /// `1/(1 − β₂ᵗ)`.
        pub unbias: f32,
        /// What keeps the divisor above 0, in units of the gradient.
        pub epsilon: f32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct StepAdam {
    /// ΔV or ΔᵀU, `[rows, width]`.
    pub gradient: Buffer,
    /// L2 penalty of each row, `[rows]`.
    pub penalty: Buffer,
    /// Running mean m of the gradient, `[rows, width]`, changed in place.
    pub first: Buffer,
    /// Running mean v of its square, `[rows, width]`, changed in place.
    pub second: Buffer,
    /// The matrix, `[rows, width]`, changed in place.
    pub factors: Buffer,
    /// Columns of the matrix.
    pub width: usize,
    /// A column that must not move.
    pub frozen: Option<usize>,
    /// Step t, from 1.
    pub step: u32,
    /// Learning rate η, in units of a factor.
    pub rate: f64,
    /// β₁ and β₂, from 0 to below 1.
    pub betas: [f64; 2],
    /// What keeps the divisor above 0, in units of the gradient of `½Σe²`.
    pub epsilon: f64,
}

impl StepAdam {
    /// Records the call. The bias corrections are worked out here, in f64.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let elements = self.factors.len();
        let rows = self.penalty.len();
        let same = [self.gradient, self.first, self.second].iter().all(|b| b.len() == elements);
        require(&KERNEL, same && elements == rows * self.width, "a matrix is not [rows, width]")?;
        require(&KERNEL, self.step > 0, "steps count from 1")?;
        let [beta1, beta2] = self.betas;
        let after = |beta: f64| 1.0 - beta.powf(f64::from(self.step));
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            frozen: dimension(&KERNEL, self.frozen.unwrap_or(self.width))?,
            rest1: (1.0 - beta1) as f32,
            rest2: (1.0 - beta2) as f32,
            rate: (self.rate / after(beta1)) as f32,
            unbias: (1.0 / after(beta2)) as f32,
            // Below the smallest normal f32 a GPU may take it for 0.
            epsilon: (self.epsilon as f32).max(f32::MIN_POSITIVE),
        };
        let buffers = [self.gradient, self.penalty, self.first, self.second, self.factors];
        Dispatch::new(&KERNEL, params, &buffers, elements.div_ceil(WORKGROUP as usize) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [gradient, penalty, first, second, factors] = slots else { unreachable!("the dispatch was checked") };
    step_adam(
        &bytemuck::pod_read_unaligned(params),
        gradient.f32(),
        penalty.f32(),
        first.f32_mut(),
        second.f32_mut(),
        factors.f32_mut(),
    );
}

/// The twin: rows in parallel.
pub fn step_adam(
    params: &Params,
    gradient: &[f32],
    penalty: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    factors: &mut [f32],
) {
    let width = params.width as usize;
    let moments = first.par_chunks_mut(width).zip(second.par_chunks_mut(width));
    let rows = factors.par_chunks_mut(width).zip(moments);
    rows.with_min_len(256).enumerate().for_each(|(row, (weights, (firsts, seconds)))| {
        for (f, (w, (m, v))) in weights.iter_mut().zip(firsts.iter_mut().zip(seconds)).enumerate() {
            if f != params.frozen as usize {
                let g = gradient[row * width + f] - penalty[row] * *w;
                *m += params.rest1 * (g - *m);
                *v += params.rest2 * (g * g - *v);
                *w += params.rate * *m / ((params.unbias * *v).sqrt() + params.epsilon);
            }
        }
    });
}
