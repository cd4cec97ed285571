// The curvature of a row's loss along its direction d:
//
//   sums[r, 4].1 (+)= Σ (x·d)²  over the row's cells, x the other side's rows
//
// One workgroup a row, one lane a cell, then a tree in shared memory.
// Writes: sums[r, 4].1, by workgroup r.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,      // columns of a factor matrix
    accumulate: u32, // 1: add to what stands there
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> offsets: array<u32>; // [rows + 1]
@group(1) @binding(1) var<storage, read> columns: array<u32>; // [cells]
@group(1) @binding(2) var<storage, read> others: array<f32>;  // x, [columns, width]
@group(1) @binding(3) var<storage, read_write> sums: array<f32>; // [rows, 4·width + 2]

var<workgroup> parts: array<f32, WORKGROUP>;

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
    let direction = base + 3u * width;
    var sum = 0.0;
    for (var p = offsets[row] + lane; p < offsets[row + 1u]; p += WORKGROUP) {
        let other = columns[p] * width;
        var dot = 0.0;
        for (var f = 0u; f < width; f++) {
            dot += sums[direction + f] * others[other + f];
        }
        sum += dot * dot;
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
        let place = base + 4u * width + 1u;
        sums[place] = select(0.0, sums[place], params.accumulate != 0u) + parts[0];
    }
}
