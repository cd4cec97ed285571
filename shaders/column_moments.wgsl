// Second moments of each column about the prior means, a block of rows at a
// time; the host adds the blocks up in f64:
//
//   partials[g, f] = Σ_{r in block g, counts[r] > 0} (w − m)² + variances[r, f]
//
// BLOCK rows a block, one workgroup a block, columns spread over the lanes.
// Writes: partials[g, f], by workgroup g.

override WORKGROUP: u32 = 64u;
override BLOCK: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,    // columns of a factor matrix
    centered: u32, // 1: there are prior means m
    first: u32,    // the block of `partials` where this call begins
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> factors: array<f32>;   // w, [rows, width]
@group(1) @binding(1) var<storage, read> means: array<f32>;     // m, [rows, width]
@group(1) @binding(2) var<storage, read> variances: array<f32>; // [rows, width]
@group(1) @binding(3) var<storage, read> counts: array<f32>;    // ratings of a row, [rows]
@group(1) @binding(4) var<storage, read_write> partials: array<f32>; // [blocks, width]

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
            if counts[row] > 0.0 {
                var x = factors[row * width + f];
                if params.centered != 0u {
                    x -= means[row * width + f];
                }
                sum += x * x + variances[row * width + f];
            }
        }
        partials[(params.first + block) * width + f] = sum;
    }
}
