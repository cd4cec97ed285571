// Nothing but the gather that the fused kernels can't do without: rows of
// factors at random places, added up. What it reaches bounds what they can.
//
//   sums[g, f] = Σ_{p < each} factors[indices[g·each + p], f]
//
// One invocation a column of a group, so that neighbours read neighbours;
// eight rows are under way at a time. Added up in the order of the indices.
// Writes: sums[g, f], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    groups: u32, // sums
    each: u32,   // rows of a sum, a multiple of 8
    width: u32,  // columns of a factor matrix
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> indices: array<u32>;    // [groups, each]
@group(1) @binding(1) var<storage, read> factors: array<f32>;    // [rows, width]
@group(1) @binding(2) var<storage, read_write> sums: array<f32>; // [groups, width]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + lane;
    if i >= params.groups * params.width {
        return;
    }
    let f = i % params.width;
    let begin = i / params.width * params.each;
    var sum = 0.0;
    for (var p = begin; p < begin + params.each; p += 8u) {
        let a = factors[indices[p] * params.width + f];
        let b = factors[indices[p + 1u] * params.width + f];
        let c = factors[indices[p + 2u] * params.width + f];
        let d = factors[indices[p + 3u] * params.width + f];
        let e = factors[indices[p + 4u] * params.width + f];
        let g = factors[indices[p + 5u] * params.width + f];
        let h = factors[indices[p + 6u] * params.width + f];
        let j = factors[indices[p + 7u] * params.width + f];
        sum = sum + a + b + c + d + e + g + h + j;
    }
    sums[i] = sum;
}
