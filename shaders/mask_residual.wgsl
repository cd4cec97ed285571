// How far rows lie from their prior means, weighted for the mask's gradient:
//
//   residuals[r, f] = n^(−½) · (w − m) / p_f,  f < rank;  0 in the bias columns
//
// n the row's ratings, 1/p_f = prior[f] / noise. A row without ratings gives 0.
// Writes: residuals[r, f], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32, // columns of a factor matrix
    rank: u32,  // columns that have prior means
    noise: f32, // σ²
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> factors: array<f32>; // w, [rows, width]
@group(1) @binding(1) var<storage, read> means: array<f32>;   // m, [rows, width]
@group(1) @binding(2) var<storage, read> counts: array<f32>;  // n, [rows]
@group(1) @binding(3) var<storage, read> prior: array<f32>;   // [width]
@group(1) @binding(4) var<storage, read_write> residuals: array<f32>; // [rows, width]

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
    let n = counts[element / params.width];
    let f = element % params.width;
    var x = 0.0;
    if f < params.rank && n > 0.0 {
        x = (factors[element] - means[element]) * prior[f] / (params.noise * sqrt(n));
    }
    residuals[element] = x;
}
