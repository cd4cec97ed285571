//! What an adapter must have, and what its kind can take at a time.

use crate::backend::Residence;
use crate::kernel::template::Mapping;
use crate::kernel::{KERNELS, WORKGROUP};

/// Bytes of workgroup memory that the kernels need at most: what WebGPU promises.
const WORKGROUP_BYTES: u32 = 16 << 10;

/// Mesa's llvmpipe ends every loop after 65,535 iterations, nested ones counted
/// together, and says nothing.
const SOFTWARE_LOOP: u64 = 60_000;

/// Work of a submission: 0.2 s on an integrated GPU that gathers at a quarter of its 40 GB/s.
const WORK: u64 = 1 << 31;

/// The same on a slow GPU with memory of its own, which has four times that, and most far more.
const DISCRETE_WORK: u64 = 1 << 33;

/// Loop iterations that one invocation may run.
pub(super) fn max_loop(kind: wgpu::DeviceType) -> u64 {
    if kind == wgpu::DeviceType::Cpu { SOFTWARE_LOOP } else { u64::MAX }
}

/// Work of a submission. Systems reset a GPU that shows no picture for long, Windows after 2 s.
pub(super) fn max_work(kind: wgpu::DeviceType) -> u64 {
    if kind == wgpu::DeviceType::DiscreteGpu { DISCRETE_WORK } else { WORK }
}

/// Whose memory buffers are in.
pub(super) fn residence(kind: wgpu::DeviceType) -> Residence {
    match kind {
        wgpu::DeviceType::Cpu | wgpu::DeviceType::IntegratedGpu => Residence::Computer,
        _ => Residence::Device,
    }
}

/// The most cells of a row that none of a workgroup's groups takes too many loops for: it walks
/// twice over its part, and adds up what the others found.
pub(super) fn max_row(max_loop: u64, groups: u32) -> u64 {
    const JOINS: u64 = 4096;
    (max_loop / 2).saturating_sub(JOINS).saturating_mul(u64::from(groups))
}

/// How a device's lanes share the rows of a fused kernel: a CPU that plays a GPU has few lanes, to
/// which exchanges among them are dear.
pub(super) fn mapping(kind: wgpu::DeviceType, subgroups: bool) -> Mapping {
    match kind {
        wgpu::DeviceType::Cpu => Mapping::Rows,
        _ if subgroups => Mapping::Lanes,
        _ => Mapping::SharedLanes,
    }
}

/// What the kernels need and an adapter lacks, if it does, in words.
pub(super) fn missing(limits: &wgpu::Limits) -> Option<String> {
    let buffers = KERNELS.iter().map(|kernel| kernel.bindings.len()).max().unwrap_or(0) as u32;
    let needs = [
        ("storage buffers a shader", buffers, limits.max_storage_buffers_per_shader_stage),
        ("bind groups", 2, limits.max_bind_groups),
        ("invocations a workgroup", WORKGROUP, limits.max_compute_invocations_per_workgroup),
        ("invocations a workgroup's first dimension", WORKGROUP, limits.max_compute_workgroup_size_x),
        ("bytes of workgroup memory", WORKGROUP_BYTES, limits.max_compute_workgroup_storage_size),
        ("uniform buffers with an offset", 1, limits.max_dynamic_uniform_buffers_per_pipeline_layout),
        ("workgroups a dimension", 1, limits.max_compute_workgroups_per_dimension),
    ];
    let (what, needed, has) = needs.into_iter().find(|(_, needed, has)| has < needed)?;
    Some(format!("the kernels need {needed} {what}, this adapter has {has}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_webgpu_promises_is_enough_and_less_is_named() {
        assert_eq!(missing(&wgpu::Limits::default()), None);
        let fewer = wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..wgpu::Limits::default() };
        assert_eq!(
            missing(&fewer).unwrap(),
            "the kernels need 8 storage buffers a shader, this adapter has 4"
        );
        // WebGL 2 has no compute shaders at all.
        assert!(missing(&wgpu::Limits::downlevel_webgl2_defaults()).is_some());
    }
}
