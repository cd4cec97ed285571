// What a row's line search needs of its cells, in one walk: with x the other
// side's row of a cell, t its variances and e = rating − w·x,
//
//   sums[r, 0] (+)= Σ e·x      sums[r, 1] (+)= Σ x²      sums[r, 2] (+)= Σ t
//   sums[r, 4].0 (+)= Σ e²
//
// sums[r] is four rows of `width` (the last of them is not written here) and
// two scalars. One workgroup a row: lanes take a cell each to find e, then a
// column each to add up, a workgroup's worth of cells at a time.
// Writes: sums[r], by workgroup r. An empty row gives 0.

override WORKGROUP: u32 = 64u;
override MAX_WIDTH: u32 = 514u;

struct Params {
    rows: u32,
    width: u32,      // columns of a factor matrix
    ordered: u32,    // 1: read ratings through `order`
    accumulate: u32, // 1: add to what stands in `sums`
    spread: u32,     // 1: there are variances
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> offsets: array<u32>;   // [rows + 1]
@group(1) @binding(1) var<storage, read> columns: array<u32>;   // [cells]
@group(1) @binding(2) var<storage, read> order: array<u32>;     // [cells]
@group(1) @binding(3) var<storage, read> ratings: array<f32>;   // [cells]
@group(1) @binding(4) var<storage, read> factors: array<f32>;   // w, [rows, width]
@group(1) @binding(5) var<storage, read> others: array<f32>;    // x, [columns, width]
@group(1) @binding(6) var<storage, read> variances: array<f32>; // t, [columns, width]
@group(1) @binding(7) var<storage, read_write> sums: array<f32>; // [rows, 4·width + 2]

var<workgroup> errors: array<f32, WORKGROUP>;
var<workgroup> places: array<u32, WORKGROUP>;
var<workgroup> first: array<f32, MAX_WIDTH>;
var<workgroup> second: array<f32, MAX_WIDTH>;
var<workgroup> third: array<f32, MAX_WIDTH>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let width = params.width;
    let base = row * (4u * width + 2u);
    for (var f = lane; f < width; f += WORKGROUP) {
        first[f] = 0.0;
        second[f] = 0.0;
        third[f] = 0.0;
    }
    let end = offsets[row + 1u];
    var squares = 0.0;
    for (var start = offsets[row]; start < end; start += WORKGROUP) {
        let p = start + lane;
        if p < end {
            var place = p;
            if params.ordered != 0u {
                place = order[p];
            }
            let other = columns[p] * width;
            var dot = 0.0;
            for (var f = 0u; f < width; f++) {
                dot += factors[row * width + f] * others[other + f];
            }
            let e = ratings[place] - dot;
            squares += e * e;
            errors[lane] = e;
            places[lane] = other;
        }
        workgroupBarrier();
        let count = min(WORKGROUP, end - start);
        for (var f = lane; f < width; f += WORKGROUP) {
            var g = first[f];
            var h = second[f];
            var s = third[f];
            for (var c = 0u; c < count; c++) {
                let x = others[places[c] + f];
                g += errors[c] * x;
                h += x * x;
                if params.spread != 0u {
                    s += variances[places[c] + f];
                }
            }
            first[f] = g;
            second[f] = h;
            third[f] = s;
        }
        workgroupBarrier();
    }
    errors[lane] = squares;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            errors[lane] += errors[lane + half];
        }
        workgroupBarrier();
    }
    let adds = params.accumulate != 0u;
    for (var f = lane; f < width; f += WORKGROUP) {
        sums[base + f] = select(0.0, sums[base + f], adds) + first[f];
        sums[base + width + f] = select(0.0, sums[base + width + f], adds) + second[f];
        sums[base + 2u * width + f] = select(0.0, sums[base + 2u * width + f], adds) + third[f];
    }
    if lane == 0u {
        sums[base + 4u * width] = select(0.0, sums[base + 4u * width], adds) + errors[0];
    }
}
