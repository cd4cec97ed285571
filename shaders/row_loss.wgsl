// The squared errors of each row: with e = target − w·x − κ(b + c),
//
//   squares[r] = Σ e²
//
// A template: see lib/rows.wgsl.
// Writes: squares[r], by the row's group. An empty row gives 0.

struct Params {
    count: u32,  // rows of the chunk
    first: u32,  // the chunk's first row
    others: u32, // rows of the other side
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
    bias: u32,   // the column of the row's bias; ≥ width: none
    unit: f32,   // what the constant column holds
    long: u32,   // rows that have a workgroup each
    half: u32,   // 1: packed rows are f16, as the template knows
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;         // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<vec2<u32>>;  // [cells]
@group(1) @binding(2) var<storage, read> packed: array<vec4<u32>>;  // see pack_rows
@group(1) @binding(3) var<storage, read> factors: array<f32>;       // w, [rows, width]
@group(1) @binding(4) var<storage, read_write> squares: array<f32>; // [rows]

fn work(group: u32, lane: u32) {
    if first_place(group) >= params.count {
        return;
    }
    let place = place_of(group, lane);
    let w = own_row(place);
    let b = own_bias(place);
    var sum = 0.0;
    for (var i = 0u; i < place.steps; i += UNROLL) {
        let c0 = cell_at(place, i + 0u); // each cell
        let e0 = c0.weight * (c0.rating - params.unit * (b + c0.tail.x) - total(dot_rows(w, c0.x), lane)); // each cell
        sum = fma(e0, e0, sum); // each cell
    }
    if place.joined {
        sum = join(vec4<f32>(sum), lane).x;
    }
    if place.writes && place.part == 0u {
        squares[place.row] = sum;
    }
}
