// The line search of every row in one walk over its cells, with learned priors:
// row_sums, row_direction, row_curvature and row_step, fused. With x, t the other
// side's packed row of a cell and its variances, ρ = noise / prior variance,
// S1 = Σ x², S2 = Σ t and e = target − w·x − κ(b + c):
//
//   H = S1 + S2 + ρ;  d = (Σ e·x − S2·w − ρ·(w − m)) / H
//   α = Σ H·d² / (Σ (x·d)² + Σ (S2 + ρ)·d²);  w ← w + α·d
//   variances[r] = noise / H
//   energy[r] = Σ e² + Σ (noise/H · (S1 + S2) + w²·S2) + κ²·Σ (variance of c): E[e²]
//
// the bias is one more column, whose x is κ in every cell. One workgroup a row.
// Writes: factors[r], variances[r], energy[r], by workgroup r.

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
    centered: u32, // 1: there are prior means m
    noise: f32,    // σ²
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;   // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<u32>;  // [cells, 2]
@group(1) @binding(2) var<storage, read> packed: array<f32>; // see pack_rows
@group(1) @binding(3) var<storage, read> means: array<f32>;  // m, [rows, width]
@group(1) @binding(4) var<storage, read> prior: array<f32>;  // ρ, [width]
@group(1) @binding(5) var<storage, read_write> factors: array<f32>;   // w, [rows, width]
@group(1) @binding(6) var<storage, read_write> variances: array<f32>; // [rows, width]
@group(1) @binding(7) var<storage, read_write> energy: array<f32>;    // [rows]

var<workgroup> parts: array<f32, WORKGROUP>;
var<workgroup> others: array<u32, WORKGROUP>;
var<workgroup> w: array<f32, MAX_LANES>;
var<workgroup> first: array<f32, MAX_LANES>;
var<workgroup> second: array<f32, MAX_LANES>;
var<workgroup> third: array<f32, MAX_LANES>;

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

fn mean(place: u32) -> f32 {
    if params.centered == 0u {
        return 0.0;
    }
    return means[place];
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
    let stride = 2u * lanes;
    let tails = params.others * stride;
    let has_bias = params.bias < params.width;
    var b = 0.0;
    if has_bias {
        b = factors[base + params.bias];
    }
    for (var f = lane; f < params.rank; f += WORKGROUP) {
        w[f] = factors[base + f];
        first[f] = 0.0;
        second[f] = 0.0;
        third[f] = 0.0;
    }
    workgroupBarrier();
    var errors = 0.0;
    var squares = 0.0;
    var tail_variances = 0.0;
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
            squares += e * e;
            tail_variances += packed[tail + 1u];
            parts[lane] = e;
            others[lane] = other * stride;
        }
        workgroupBarrier();
        let here = min(WORKGROUP, end - start);
        for (var f = lane; f < params.rank; f += WORKGROUP) {
            var g = first[f];
            var h = second[f];
            var s = third[f];
            for (var c = 0u; c < here; c++) {
                let x = packed[others[c] + f];
                g += parts[c] * x;
                h += x * x;
                s += packed[others[c] + lanes + f];
            }
            first[f] = g;
            second[f] = h;
            third[f] = s;
        }
        workgroupBarrier();
    }
    errors = total(lane, errors);
    squares = total(lane, squares);
    tail_variances = total(lane, tail_variances);
    var part = 0.0;
    var above = 0.0;
    var below = 0.0;
    for (var f = lane; f < params.width; f += WORKGROUP) {
        var variance = 0.0;
        if f < params.rank {
            let h = second[f] + third[f] + prior[f];
            var d = 0.0;
            if h > 0.0 {
                d = (first[f] - third[f] * w[f] - prior[f] * (w[f] - mean(base + f))) / h;
                variance = params.noise / h;
            }
            first[f] = d;
            part += variance * (second[f] + third[f]) + w[f] * w[f] * third[f];
            above += h * d * d;
            below += (third[f] + prior[f]) * d * d;
        }
        variances[base + f] = variance;
    }
    let data = f32(end - begin) * params.unit * params.unit;
    var d_bias = 0.0;
    var variance = 0.0;
    var rho = 1.0;
    if has_bias {
        rho = prior[params.bias];
    }
    let h_bias = data + rho;
    if has_bias && h_bias > 0.0 {
        d_bias = (params.unit * errors - rho * (b - mean(base + params.bias))) / h_bias;
        variance = params.noise / h_bias;
    }
    part = total(lane, part) + variance * data + params.unit * params.unit * tail_variances;
    above = total(lane, above) + h_bias * d_bias * d_bias;
    below = total(lane, below) + rho * d_bias * d_bias;

    var bent = 0.0;
    for (var p = begin + lane; p < end; p += WORKGROUP) {
        let other = cells[2u * p] * stride;
        var product = params.unit * d_bias;
        for (var f = 0u; f < params.rank; f++) {
            product += first[f] * packed[other + f];
        }
        bent += product * product;
    }
    bent = total(lane, bent);
    var alpha = 0.0;
    if bent + below > 0.0 {
        alpha = above / (bent + below);
    }
    for (var f = lane; f < params.rank; f += WORKGROUP) {
        factors[base + f] = w[f] + alpha * first[f];
    }
    // Column `bias` of the variances was zeroed above, perhaps by another lane.
    storageBarrier();
    if lane == 0u {
        if has_bias {
            factors[base + params.bias] = b + alpha * d_bias;
            variances[base + params.bias] = variance;
        }
        energy[row] = squares + part;
    }
}
