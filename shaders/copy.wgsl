// A copy that stays on the device: what is best so far, kept or brought back.
//
//   copied[i] = values[i]
//
// Writes: copied[i], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    count: u32, // elements
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> values: array<f32>;       // [count]
@group(1) @binding(1) var<storage, read_write> copied: array<f32>; // [count]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + lane;
    if i >= params.count {
        return;
    }
    copied[i] = values[i];
}
