// Sums over who rated what, from packed rows:
//
//   sums[r] = Σ x over the row's cells, 0 in the columns that are no factors
//
// A template: see lib/rows.wgsl.
// Writes: sums[r], by the row's group; an empty row gives 0.

struct Params {
    count: u32,  // rows of the chunk
    first: u32,  // the chunk's first row
    others: u32, // rows of the other side
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
    long: u32,   // rows that have a workgroup each
    half: u32,   // 1: packed rows are f16, as the template knows
    block: u32,  // orders the sums of the twin
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;         // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<vec2<u32>>;  // [cells]
@group(1) @binding(2) var<storage, read> packed: array<vec4<u32>>;  // see pack_rows
@group(1) @binding(3) var<storage, read_write> sums: array<f32>;  // [rows, width]

fn work(group: u32, lane: u32) {
    if first_place(group) >= params.count {
        return;
    }
    let place = place_of(group, lane);
    var total_row = Row();
    for (var i = 0u; i < place.steps; i += UNROLL) {
        let c0 = cell_at(place, i + 0u); // each cell
        add_row(&total_row, c0.x); // each cell
    }
    if place.joined {
        total_row = join_row(total_row, lane);
    }
    if place.writes {
        store_block(place.row, block_of(0u, place.part), total_row.b0); // each block
        if place.part == 0u {
            for (var f = params.rank; f < params.width; f++) {
                sums[place.row * params.width + f] = 0.0;
            }
        }
    }
}
