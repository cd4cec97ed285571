// Rows of factors, packed to be gathered: whole lanes first, then what is left,
//
//   packed[r] = factors[r, 0..rank], zeros up to `lanes`, and the variances likewise
//   tails[r]  = the bias and its variance, behind all rows
//
// One invocation an element of the result.
// Writes: packed, each element by its own invocation.

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
@group(1) @binding(2) var<storage, read_write> packed: array<f32>; // [rows, 1 or 2, lanes], [rows, 2]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let element = (group.y * groups.x + group.x) * WORKGROUP + lane;
    let stride = params.lanes * (1u + params.spread);
    let body = params.rows * stride;
    if element >= body + 2u * params.rows {
        return;
    }
    var row = element / stride;
    var f = element % params.lanes;
    var part = (element % stride) / params.lanes;
    var limit = params.rank;
    if element >= body {
        row = (element - body) / 2u;
        part = (element - body) % 2u;
        f = params.bias;
        limit = params.width;
    }
    var value = 0.0;
    if f < limit && part <= params.spread {
        let place = row * params.width + f;
        if part == 0u {
            value = factors[place];
        } else {
            value = variances[place];
        }
    }
    packed[element] = value;
}
