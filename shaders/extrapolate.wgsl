// Momentum between epochs, and the copy that the next one needs:
//
//   factors ← w + beta·(w − previous);  previous ← w
//
// Writes: factors[i], previous[i], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    count: u32, // elements
    beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read_write> factors: array<f32>;  // [count]
@group(1) @binding(1) var<storage, read_write> previous: array<f32>; // [count]

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
    let w = factors[i];
    factors[i] = w + params.beta * (w - previous[i]);
    previous[i] = w;
}
