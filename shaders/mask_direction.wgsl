// The direction in which the mask's factors Y move: their gradient over a
// bound of its curvature. With s the row's sum of weighted residuals, n its
// ratings, 1/p_f = prior[f] / noise, 1/p⁰_f = inverse_width[f]:
//
//   h = n/p_f + 1/p⁰_f;  d = (s − y/p⁰_f) / h
//   partials[g, 0, f] = Σ_{r in block g} h·d²     (gradient · direction)
//   partials[g, 1, f] = Σ_{r in block g} d²/p⁰_f  (the prior's part of the curvature)
//
// BLOCK rows a block, one workgroup a block, columns spread over the lanes.
// Columns from `rank` on, and rows without ratings, have d = 0.
// Writes: sums[r] = d of the block's rows, partials[g], by workgroup g.

override WORKGROUP: u32 = 64u;
override BLOCK: u32 = 64u;

struct Params {
    rows: u32,
    width: u32, // columns of a factor matrix
    rank: u32,  // columns that have prior means
    first: u32, // the block of `partials` where this call begins
    noise: f32, // σ²
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> mask_factors: array<f32>;  // y, [rows, width]
@group(1) @binding(1) var<storage, read> counts: array<f32>;        // n, [rows]
@group(1) @binding(2) var<storage, read> prior: array<f32>;         // [width]
@group(1) @binding(3) var<storage, read> inverse_width: array<f32>; // 1/p⁰, [width]
@group(1) @binding(4) var<storage, read_write> sums: array<f32>;     // s, then d, [rows, width]
@group(1) @binding(5) var<storage, read_write> partials: array<f32>; // [blocks, 2, width]

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
        let inverse_p = prior[f] / params.noise;
        let own = inverse_width[f];
        var top = 0.0;
        var bottom = 0.0;
        for (var row = start; row < end; row++) {
            let n = counts[row];
            var d = 0.0;
            if f < params.rank && n > 0.0 {
                let h = n * inverse_p + own;
                d = (sums[row * width + f] - mask_factors[row * width + f] * own) / h;
                top += h * d * d;
                bottom += own * d * d;
            }
            sums[row * width + f] = d;
        }
        let place = (params.first + block) * 2u * width + f;
        partials[place] = top;
        partials[place + width] = bottom;
    }
}
