//! Rows of factors, packed to be gathered in half precision: half as much to load.
//!
//! As [`pack_rows`](super::pack_rows), whose calls these are, with factors and variances as f16.

use half::f16;

use super::pack_rows::{BINDINGS, Params, pack};
use super::{Kernel, Slot, WORKGROUP};

/// `shaders/pack_halves.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "pack_halves",
    wgsl: include_str!("../../shaders/pack_halves.wgsl"),
    params: Params::FIELDS,
    bindings: BINDINGS,
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [factors, variances, packed] = slots else { unreachable!("the dispatch was checked") };
    let params = bytemuck::pod_read_unaligned(params);
    pack_halves(&params, factors.f32(), variances.f32(), packed.u32_mut());
}

/// The twin: rows in parallel.
pub fn pack_halves(params: &Params, factors: &[f32], variances: &[f32], packed: &mut [u32]) {
    pack(params, true, factors, variances, packed, |part, packed| {
        let pairs = part.chunks(2).map(|pair| narrow(pair[0], pair.get(1).copied().unwrap_or(0.0)));
        packed.iter_mut().zip(pairs.chain(std::iter::repeat(0))).for_each(|(word, pair)| *word = pair);
    });
}

/// Two f16 in a word, the first in its low bits. What f16 can't hold becomes its largest number:
/// infinity would spread to whatever it meets.
fn narrow(low: f32, high: f32) -> u32 {
    let bits = |x: f32| {
        // Not clamp's NaN: that must be seen.
        let bound = f16::MAX.to_f32();
        u32::from(
            f16::from_f32(if x > bound {
                bound
            } else if x < -bound {
                -bound
            } else {
                x
            })
            .to_bits(),
        )
    };
    bits(low) | bits(high) << 16
}
