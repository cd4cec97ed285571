// The curvature of the prior means along the mask's direction: with s the sum
// of directions over the row's n ratings, its mean moves by n^(−½)·s a unit step:
//
//   partials[g, f] = Σ_{r in block g} s²/n · prior[f] / noise
//
// BLOCK rows a block, one workgroup a block, columns spread over the lanes.
// Writes: partials[g], by workgroup g.

override WORKGROUP: u32 = 64u;
override BLOCK: u32 = 64u;

struct Params {
    rows: u32,
    width: u32, // columns of a factor matrix
    first: u32, // the block of `partials` where this call begins
    noise: f32, // σ²
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> sums: array<f32>;   // s, [rows, width]
@group(1) @binding(1) var<storage, read> counts: array<f32>; // n, [rows]
@group(1) @binding(2) var<storage, read> prior: array<f32>;  // [width]
@group(1) @binding(3) var<storage, read_write> partials: array<f32>; // [blocks, width]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let start = block * BLOCK;
    if start >= params.rows {
        return;
    }
    let end = min(start + BLOCK, params.rows);
    let width = params.width;
    for (var f = lane; f < width; f += WORKGROUP) {
        var sum = 0.0;
        for (var row = start; row < end; row++) {
            let n = counts[row];
            if n > 0.0 {
                let s = sums[row * width + f];
                sum += s * s / n;
            }
        }
        partials[(params.first + block) * width + f] = sum * prior[f] / params.noise;
    }
}
