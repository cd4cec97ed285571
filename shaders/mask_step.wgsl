// A step along the mask's direction, for Y and for the prior means alike:
//
//   values[r, f] += alphas[f] · scale · directions[r, f]
//
// scale = n^(−½) where `means` is 1 (n the row's ratings; 0 without any), else 1.
// Writes: values[r, f], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32, // columns of a factor matrix
    means: u32, // 1: scale by n^(−½)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> directions: array<f32>; // [rows, width]
@group(1) @binding(1) var<storage, read> alphas: array<f32>;     // [width]
@group(1) @binding(2) var<storage, read> counts: array<f32>;     // n, [rows]
@group(1) @binding(3) var<storage, read_write> values: array<f32>; // [rows, width]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let element = (group.y * groups.x + group.x) * WORKGROUP + lane;
    if element >= params.rows * params.width {
        return;
    }
    var scale = 1.0;
    if params.means != 0u {
        let n = counts[element / params.width];
        scale = select(0.0, inverseSqrt(max(n, 1.0)), n > 0.0);
    }
    values[element] += alphas[element % params.width] * scale * directions[element];
}
