//! Rows of factors at random places, added up: nothing but the gather that the
//! fused kernels can't do without. `deltav bench` and `scripts/gpu-bench` hold
//! those against what it reaches.

use rayon::prelude::*;

use super::simd::{self, Simd, WithSimd};
use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, gathered, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// Rows under way at a time: [`GatherRows::each`] is a multiple of it.
pub const AT_ONCE: usize = 8;

/// `shaders/gather_rows.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "gather_rows",
    wgsl: include_str!("../../shaders/gather_rows.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("indices", Element::U32),
        Binding::read("factors", Element::F32),
        Binding::read_write("sums", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `gather_rows`.
    pub struct Params {
        /// Sums.
        pub groups: u32,
        /// Rows of a sum, a multiple of [`AT_ONCE`].
        pub each: u32,
        /// Columns of a factor matrix.
        pub width: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct GatherRows {
    /// The rows of each sum, `[groups, each]`.
    pub indices: Buffer,
    /// x, `[rows, width]`.
    pub factors: Buffer,
    /// Receives `Σ x` of each group, `[groups, width]`.
    pub sums: Buffer,
    /// Rows of a sum, a multiple of [`AT_ONCE`].
    pub each: usize,
    /// Columns of a factor matrix.
    pub width: usize,
}

impl GatherRows {
    /// Bytes that a call gathers: the rows, without what it streams.
    pub fn gathered_bytes(&self) -> u64 {
        gathered(self.indices.len(), self.width)
    }

    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let Self { indices, factors, sums, each, width } = *self;
        require(&KERNEL, each > 0 && each.is_multiple_of(AT_ONCE), "an odd number of rows a sum")?;
        require(&KERNEL, width > 0 && factors.len().is_multiple_of(width), "factors are no rows")?;
        let groups = sums.len() / width;
        require(
            &KERNEL,
            sums.len() == groups * width && indices.len() == groups * each,
            "sums and indices differ",
        )?;
        let params = Params {
            groups: dimension(&KERNEL, groups)?,
            each: dimension(&KERNEL, each)?,
            width: dimension(&KERNEL, width)?,
        };
        let workgroups = sums.len().div_ceil(WORKGROUP as usize) as u64;
        let call = Dispatch::new(&KERNEL, params, &[indices, factors, sums], workgroups)?;
        Ok(call.and_work(self.gathered_bytes()))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [indices, factors, sums] = slots else { unreachable!("the dispatch was checked") };
    gather_rows(&bytemuck::pod_read_unaligned(params), indices.u32(), factors.f32(), sums.f32_mut());
}

/// The twin: sums in parallel.
pub fn gather_rows(params: &Params, indices: &[u32], factors: &[f32], sums: &mut [f32]) {
    let (each, width) = (params.each as usize, params.width as usize);
    let groups = sums.par_chunks_mut(width).zip(indices.par_chunks(each));
    groups.with_min_len(16).for_each(|(sums, indices)| simd::run(Group { indices, factors, sums }));
}

/// One sum.
struct Group<'a> {
    indices: &'a [u32],
    factors: &'a [f32],
    sums: &'a mut [f32],
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Group { indices, factors, sums } = self;
        let width = sums.len();
        let (blocks, rest) = S::as_mut_simd_f32s(sums);
        let (fours, others) = blocks.as_chunks_mut::<4>();
        let (twos, ones) = others.as_chunks_mut::<2>();
        let rows = Rows { indices, factors, width };
        let mut from = 0;
        for four in fours {
            *four = rows.sum::<S, 4>(simd, &mut from);
        }
        for two in twos {
            *two = rows.sum::<S, 2>(simd, &mut from);
        }
        for one in ones {
            [*one] = rows.sum::<S, 1>(simd, &mut from);
        }
        for (f, sum) in (from..).zip(rest) {
            *sum = indices.iter().fold(0.0, |sum, &index| sum + factors[index as usize * width + f]);
        }
    }
}

/// The rows of one sum.
struct Rows<'a> {
    indices: &'a [u32],
    factors: &'a [f32],
    width: usize,
}

impl Rows<'_> {
    /// The sums of the next `N` vectors of columns, in registers; `from` moves behind them.
    #[inline(always)]
    fn sum<S: Simd, const N: usize>(&self, simd: S, from: &mut usize) -> [S::f32s; N] {
        let mut sums = [simd.splat_f32s(0.0); N];
        for &index in self.indices {
            let begin = index as usize * self.width + *from;
            let row = simd::vectors::<S>(&self.factors[begin..begin + N * simd::LANES]);
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum = simd.add_f32s(*sum, x);
            }
        }
        *from += N * simd::LANES;
        sums
    }
}
