// The squared errors of each row: with e = target − w·x − κ(b + c),
//
//   squares[r] = Σ e²
//
// One workgroup a row.
// Writes: squares[r], by workgroup r. An empty row gives 0.

override WORKGROUP: u32 = 64u;

struct Params {
    count: u32,  // rows of the chunk
    first: u32,  // the chunk's first row
    others: u32, // rows of the other side
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
    bias: u32,   // the column of the row's bias; ≥ width: none
    unit: f32,   // what the constant column holds
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;   // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<u32>;  // [cells, 2]
@group(1) @binding(2) var<storage, read> packed: array<f32>; // see pack_rows
@group(1) @binding(3) var<storage, read> factors: array<f32>; // w, [rows, width]
@group(1) @binding(4) var<storage, read_write> squares: array<f32>; // [rows]

var<workgroup> parts: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = group.y * groups.x + group.x;
    if place >= params.count {
        return;
    }
    let local = rows[params.count + 1u + place];
    let row = params.first + local;
    let begin = rows[local];
    let end = rows[local + 1u];
    let base = row * params.width;
    let lanes = params.lanes;
    let tails = params.others * lanes;
    var b = 0.0;
    if params.bias < params.width {
        b = factors[base + params.bias];
    }
    var sum = 0.0;
    for (var p = begin + lane; p < end; p += WORKGROUP) {
        let other = cells[2u * p];
        var product = 0.0;
        for (var f = 0u; f < params.rank; f++) {
            product += factors[base + f] * packed[other * lanes + f];
        }
        let c = packed[tails + 2u * other];
        let e = bitcast<f32>(cells[2u * p + 1u]) - product - params.unit * (b + c);
        sum += e * e;
    }
    parts[lane] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            parts[lane] += parts[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        squares[row] = parts[0];
    }
}
