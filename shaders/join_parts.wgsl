// The sums of rows from those of their parts, in the parts' order, from 0:
//
//   totals[first + r, to(c)] = Σ_b parts[b, r, c],  to(c) = c below `body`, else tail + (c − body)
//
// Writes: each of these totals, by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    blocks: u32,  // parts of a row
    rows: u32,    // rows
    columns: u32, // elements of a part
    body: u32,    // those that keep their place
    tail: u32,    // where the others stand from
    stride: u32,  // elements of a row of totals
    first: u32,   // the first row of totals
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> parts: array<f32>;        // [blocks, rows, columns]
@group(1) @binding(1) var<storage, read_write> totals: array<f32>; // [first + rows or more, stride]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + lane;
    let elements = params.rows * params.columns;
    if i >= elements {
        return;
    }
    var sum = 0.0;
    for (var block = 0u; block < params.blocks; block++) {
        sum += parts[block * elements + i];
    }
    let row = params.first + i / params.columns;
    let column = i % params.columns;
    let to = select(params.tail + column - params.body, column, column < params.body);
    totals[row * params.stride + to] = sum;
}
