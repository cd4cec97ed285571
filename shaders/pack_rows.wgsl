// Rows of factors, packed to be gathered: whole lanes first, then what is left,
//
//   packed[r] = factors[r, 0..rank], zeros up to `lanes`, and the variances likewise
//   tails[r]  = the bias and its variance, behind all rows
//
// all as the bits of f32. One invocation a word of the result.
// Writes: packed, each word by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
    bias: u32,   // the column of the bias; ≥ width: none
    spread: u32, // 1: there are variances
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> factors: array<f32>;   // [rows, width]
@group(1) @binding(1) var<storage, read> variances: array<f32>; // [rows, width]
@group(1) @binding(2) var<storage, read_write> packed: array<u32>; // [rows, 1 or 2, lanes], [rows, 2]

fn value(row: u32, f: u32, limit: u32, variance: bool) -> f32 {
    if f >= limit || (variance && params.spread == 0u) {
        return 0.0;
    }
    if variance {
        return variances[row * params.width + f];
    }
    return factors[row * params.width + f];
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let word = (group.y * groups.x + group.x) * WORKGROUP + lane;
    let plane = params.lanes;
    let stride = plane * (1u + params.spread);
    let body = params.rows * stride;
    if word >= body + 2u * params.rows {
        return;
    }
    if word >= body {
        let tail = word - body;
        packed[word] = bitcast<u32>(value(tail / 2u, params.bias, params.width, tail % 2u == 1u));
        return;
    }
    let row = word / stride;
    let variance = word % stride >= plane;
    packed[word] = bitcast<u32>(value(row, word % plane, params.rank, variance));
}
