// The row of ΔV in one walk over the row's cells, Δ recomputed: with x the other
// side's packed row of a cell and e = target − w·x − κ(b + c),
//
//   gradient[r] = Σ e·x, κ·Σ e for the bias, 0 for the constant column
//
// One workgroup a row.
// Writes: gradient[r], by workgroup r. An empty row gives 0.

override WORKGROUP: u32 = 64u;
override MAX_LANES: u32 = 512u;

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
@group(1) @binding(4) var<storage, read_write> gradient: array<f32>; // [rows, width]

var<workgroup> parts: array<f32, WORKGROUP>;
var<workgroup> others: array<u32, WORKGROUP>;
var<workgroup> w: array<f32, MAX_LANES>;
var<workgroup> first: array<f32, MAX_LANES>;

// The sum of `value` over the workgroup, in a fixed order.
fn total(lane: u32, value: f32) -> f32 {
    workgroupBarrier();
    parts[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            parts[lane] += parts[lane + half];
        }
        workgroupBarrier();
    }
    return parts[0];
}

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
    let stride = lanes;
    let tails = params.others * stride;
    let has_bias = params.bias < params.width;
    var b = 0.0;
    if has_bias {
        b = factors[base + params.bias];
    }
    for (var f = lane; f < params.rank; f += WORKGROUP) {
        w[f] = factors[base + f];
        first[f] = 0.0;
    }
    workgroupBarrier();
    var errors = 0.0;
    for (var start = begin; start < end; start += WORKGROUP) {
        let p = start + lane;
        if p < end {
            let other = cells[2u * p];
            var product = 0.0;
            for (var f = 0u; f < params.rank; f++) {
                product += w[f] * packed[other * stride + f];
            }
            let tail = tails + 2u * other;
            let e = bitcast<f32>(cells[2u * p + 1u]) - product - params.unit * (b + packed[tail]);
            errors += e;
            parts[lane] = e;
            others[lane] = other * stride;
        }
        workgroupBarrier();
        let here = min(WORKGROUP, end - start);
        for (var f = lane; f < params.rank; f += WORKGROUP) {
            var g = first[f];
            for (var c = 0u; c < here; c++) {
                let x = packed[others[c] + f];
                g += parts[c] * x;
            }
            first[f] = g;
        }
        workgroupBarrier();
    }
    errors = total(lane, errors);
    for (var f = lane; f < params.width; f += WORKGROUP) {
        var g = 0.0;
        if f < params.rank {
            g = first[f];
        } else if f == params.bias {
            g = params.unit * errors;
        }
        gradient[base + f] = g;
    }
}
