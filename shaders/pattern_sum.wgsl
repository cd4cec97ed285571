// Sums over who rated what: the gradient product with 1 for every Δ,
//
//   sums[r, f] (+)= Σ_{p in row r} factors[columns[p], f]
//
// One invocation an element of the result.
// Writes: sums[r, f], each by its own invocation; an empty row gives 0.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,      // columns of a factor matrix
    accumulate: u32, // 1: add to what stands in `sums`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> offsets: array<u32>; // [rows + 1]
@group(1) @binding(1) var<storage, read> columns: array<u32>; // [cells]
@group(1) @binding(2) var<storage, read> factors: array<f32>; // [columns, width]
@group(1) @binding(3) var<storage, read_write> sums: array<f32>; // [rows, width]

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
    let row = element / params.width;
    let f = element % params.width;
    var sum = 0.0;
    if params.accumulate != 0u {
        sum = sums[element];
    }
    for (var p = offsets[row]; p < offsets[row + 1u]; p++) {
        sum += factors[columns[p] * params.width + f];
    }
    sums[element] = sum;
}
