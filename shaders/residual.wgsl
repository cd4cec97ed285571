// The masked residual Δ = (Y − U·Vᵀ) ⊗ R, on the observed cells only: a
// sampled dense-dense product, one invocation a cell.
//
//   residuals[p] = ratings[p] − clamp(Σ_f row_factors[rows[p], f] · column_factors[columns[p], f], low, high)
//
// Training passes the widest bounds, so that nothing is clipped; validation
// passes the range of the ratings.
// Writes: residuals[p], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    count: u32, // cells
    width: u32, // columns of a factor matrix
    low: f32,   // bounds of a prediction
    high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;           // [count]
@group(1) @binding(1) var<storage, read> columns: array<u32>;        // [count]
@group(1) @binding(2) var<storage, read> ratings: array<f32>;        // [count]
@group(1) @binding(3) var<storage, read> row_factors: array<f32>;    // [rows, width]
@group(1) @binding(4) var<storage, read> column_factors: array<f32>; // [columns, width]
@group(1) @binding(5) var<storage, read_write> residuals: array<f32>; // [count]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = (group.y * groups.x + group.x) * WORKGROUP + lane;
    if p >= params.count {
        return;
    }
    let u = rows[p] * params.width;
    let v = columns[p] * params.width;
    var dot = 0.0;
    for (var f = 0u; f < params.width; f++) {
        dot += row_factors[u + f] * column_factors[v + f];
    }
    residuals[p] = ratings[p] - clamp(dot, params.low, params.high);
}
