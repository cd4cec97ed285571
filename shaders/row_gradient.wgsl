// The row of ΔV in one walk over the row's cells, Δ recomputed: with x the other
// side's packed row of a cell and e = target − w·x − κ(b + c),
//
//   gradient[place + r] = Σ e·x, κ·Σ e for the bias, 0 for the constant column
//
// A template: see lib/rows.wgsl.
// Writes: gradient[place + r], by the row's group. An empty row gives 0.

struct Params {
    count: u32,  // rows of the chunk
    first: u32,  // the chunk's first row
    others: u32, // rows of the other side
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
    bias: u32,   // the column of the row's bias; ≥ width: none
    unit: f32,   // what the constant column holds
    place: u32,  // where the chunk's first row of the gradient stands
    long: u32,   // rows that have a workgroup each
    half: u32,   // 1: packed rows are f16, as the template knows
    block: u32,  // orders the sums of the twin
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;         // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<vec2<u32>>;  // [cells]
@group(1) @binding(2) var<storage, read> packed: array<vec4<u32>>;  // see pack_rows
@group(1) @binding(3) var<storage, read> factors: array<f32>;      // w, [rows, width]
@group(1) @binding(4) var<storage, read_write> gradient: array<f32>; // [place + count or more, width]

fn work(group: u32, lane: u32) {
    if first_place(group) >= params.count {
        return;
    }
    let place = place_of(group, lane);
    let w = own_row(place);
    let b = own_bias(place);
    var g = Row();
    var errors = 0.0;
    for (var i = 0u; i < place.steps; i += UNROLL) {
        let c0 = cell_at(place, i + 0u); // each cell
        let e0 = c0.weight * (c0.rating - params.unit * (b + c0.tail.x) - total(dot_rows(w, c0.x), lane)); // each cell
        add_scaled(&g, e0, c0.x); // each cell
        errors += e0; // each cell
    }
    if place.joined {
        g = join_row(g, lane);
        errors = join(vec4<f32>(errors), lane).x;
    }
    if place.writes {
        let into = params.place + place.row - params.first;
        store_block(into, block_of(0u, place.part), g.b0); // each block
        if place.part == 0u {
            for (var f = params.rank; f < params.width; f++) {
                gradient[into * params.width + f] = select(0.0, params.unit * errors, f == params.bias);
            }
        }
    }
}
