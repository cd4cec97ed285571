// Sums over who rated what, from packed rows:
//
//   sums[r] = Σ x over the row's cells, 0 in the columns that are no factors
//
// One invocation an element of the result.
// Writes: sums[r, f], each by its own invocation; an empty row gives 0.

override WORKGROUP: u32 = 64u;

struct Params {
    count: u32,  // rows of the chunk
    first: u32,  // the chunk's first row
    others: u32, // rows of the other side
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;   // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<u32>;  // [cells, 2]
@group(1) @binding(2) var<storage, read> packed: array<f32>; // see pack_rows
@group(1) @binding(3) var<storage, read_write> sums: array<f32>; // [rows, width]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let element = (group.y * groups.x + group.x) * WORKGROUP + lane;
    if element >= params.count * params.width {
        return;
    }
    let local = rows[params.count + 1u + element / params.width];
    let f = element % params.width;
    var sum = 0.0;
    if f < params.rank {
        for (var p = rows[local]; p < rows[local + 1u]; p++) {
            sum += packed[cells[2u * p] * params.lanes + f];
        }
    }
    sums[(params.first + local) * params.width + f] = sum;
}
