//! Sixteen lanes on every processor: AVX-512 at once, AVX2 in two halves, and
//! plain code (NEON, or whatever else the compiler has) for the rest. The
//! lanes, the fused multiply-adds and the order of a sum's tree are the same
//! everywhere, and so are the bits.
//!
//! What runs vectorised is a [`WithSimd`] whose `with_simd` and all that it
//! calls is `#[inline(always)]`: only then does the compiler use the
//! instructions that the processor was found to have.

use pulp::Scalar512b;
pub(crate) use pulp::{Simd, WithSimd};

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Whether fused multiply-adds are instructions here; where they are not, each is a call.
pub(crate) fn fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        !matches!(pulp::Arch::new(), pulp::Arch::Scalar)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        cfg!(target_arch = "aarch64")
    }
}

/// Runs a task with the widest instructions that this processor has.
#[inline]
pub(crate) fn run<T: WithSimd>(task: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    match pulp::Arch::new() {
        pulp::Arch::V4(simd) => return Simd::vectorize(simd, task),
        pulp::Arch::V3(simd) => return simd.vectorize(InHalves(simd, task)),
        _ => {}
    }
    Simd::vectorize(Scalar512b, task)
}

/// A task for vectors of two registers each.
#[cfg(target_arch = "x86_64")]
struct InHalves<T>(pulp::x86::V3, T);

#[cfg(target_arch = "x86_64")]
impl<T: WithSimd> pulp::NullaryFnOnce for InHalves<T> {
    type Output = T::Output;

    #[inline(always)]
    fn call(self) -> T::Output {
        self.1.with_simd(pulp::x86::V3_512b(self.0))
    }
}

/// `Σ a·b` of equally long slices, lane by lane and then over the lanes.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[S::f32s], b: &[S::f32s]) -> f32 {
    let mut sums = simd.splat_f32s(0.0);
    for (&a, &b) in a.iter().zip(b) {
        sums = simd.mul_add_f32s(a, b, sums);
    }
    simd.reduce_sum_f32s(sums)
}

/// A slice as vectors; what is left of a multiple of [`LANES`] is left out.
#[inline(always)]
pub(crate) fn vectors<S: Simd>(elements: &[f32]) -> &[S::f32s] {
    S::as_simd_f32s(elements).0
}

/// An instruction set, so that tests can compare their bits.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) enum InstructionSet {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
}

#[cfg(test)]
impl InstructionSet {
    /// Those that this processor has, the plain one first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V3::try_new().map(Self::Avx2));
            all.extend(pulp::x86::V4::try_new().map(Self::Avx512));
        }
        all
    }

    pub(crate) fn run<T: WithSimd>(self, task: T) -> T::Output {
        match self {
            Self::Plain => Simd::vectorize(Scalar512b, task),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.vectorize(InHalves(simd, task)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sums<'a>(&'a [f32], &'a [f32]);

    impl WithSimd for Sums<'_> {
        type Output = Vec<u32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<u32> {
            assert_eq!(S::F32_LANES, LANES);
            let (a, b) = (vectors::<S>(self.0), vectors::<S>(self.1));
            (0..=a.len()).map(|n| dot(simd, &a[..n], &b[..n]).to_bits()).collect()
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let element = |i: usize| (i as f32 * 0.7).sin() * 1.3f32.powi(i as i32 % 17);
        let a: Vec<f32> = (0..160).map(element).collect();
        let b: Vec<f32> = (0..160).map(|i| element(i + 31)).collect();
        let expected = InstructionSet::Plain.run(Sums(&a, &b));
        assert_eq!(run(Sums(&a, &b)), expected);
        for set in InstructionSet::all() {
            assert_eq!(set.run(Sums(&a, &b)), expected, "{set:?}");
        }
        let last = f32::from_bits(expected[10]);
        let exact: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        assert!((f64::from(last) - exact).abs() < 1e-3 * exact.abs().max(1.0), "{last} for {exact}");
    }
}
