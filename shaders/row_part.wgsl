// What a row's line search needs of some of its cells, those of a block of the
// other side's rows: row_sums where rows are gathered, its sums packed together.
// With x, t the other side's packed row of a cell and its variances and
// e = target − w·x − κ(b + c), a row of parts is
//
//   g = Σ e·x | h = Σ x² | s = Σ t, if there are variances | Σ e²
//
// the bias is one more column, whose x is κ in every cell, and the constant column
// has the variances of c in s. A template: see lib/rows.wgsl.
// Writes: parts[place + r], by the row's group. An empty row gives 0.

struct Params {
    count: u32,  // rows of the chunk
    first: u32,  // the chunk's first row
    others: u32, // rows of the other side
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
    bias: u32,   // the column of the row's bias; ≥ width: none
    frozen: u32, // the constant column; ≥ width: none
    unit: f32,   // what the constant column holds
    place: u32,  // where the chunk's first row of parts stands
    spread: u32, // 1: there are variances, as the template knows
    long: u32,   // rows that have a workgroup each
    half: u32,   // 1: packed rows are f16, as the template knows
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;         // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<vec2<u32>>;  // [cells]
@group(1) @binding(2) var<storage, read> packed: array<vec4<u32>>;  // see pack_rows
@group(1) @binding(3) var<storage, read> factors: array<f32>;      // w, [rows, width]
@group(1) @binding(4) var<storage, read_write> sums: array<f32>;   // [parts, (PLANES + 1)·width + 1]

fn put(base: u32, f: u32, x: f32) {
    if f < params.rank {
        sums[base + f] = x;
    }
}

fn put_block(base: u32, block: u32, x: vec4<f32>) {
    let f = 4u * block;
    put(base, f, x.x);
    put(base, f + 1u, x.y);
    put(base, f + 2u, x.z);
    put(base, f + 3u, x.w);
}

fn work(group: u32, lane: u32) {
    if first_place(group) >= params.count {
        return;
    }
    let place = place_of(group, lane);
    let w = own_row(place);
    let b = own_bias(place);
    var g = Row();
    var h = Row();
    var s = Row();
    var errors = vec4<f32>(); // Σ e, Σ e², Σ variance of c
    for (var i = 0u; i < place.steps; i += UNROLL) {
        let c0 = cell_at(place, i + 0u); // each cell
        let e0 = c0.weight * (c0.rating - params.unit * (b + c0.tail.x) - total(dot_rows(w, c0.x), lane)); // each cell
        add_scaled(&g, e0, c0.x); // each cell
        add_squares(&h, c0.x); // each cell
        if PLANES == 2u { add_row(&s, c0.t); } // each cell
        errors += vec4<f32>(e0, e0 * e0, c0.tail.y, 0.0); // each cell
    }
    if place.joined {
        g = join_row(g, lane);
        h = join_row(h, lane);
        if PLANES == 2u {
            s = join_row(s, lane);
        }
        errors = join(errors, lane);
    }
    if !place.writes {
        return;
    }
    let width = params.width;
    let base = (params.place + place.row - params.first) * ((PLANES + 1u) * width + 1u);
    put_block(base, block_of(0u, place.part), g.b0); // each block
    put_block(base + width, block_of(0u, place.part), h.b0); // each block
    if PLANES == 2u {
        put_block(base + 2u * width, block_of(0u, place.part), s.b0); // each block
    }
    if place.part == 0u {
        for (var f = params.rank; f < width; f++) {
            let biased = f == params.bias;
            sums[base + f] = select(0.0, params.unit * errors.x, biased);
            sums[base + width + f] = select(0.0, f32(place.count) * params.unit * params.unit, biased);
            if PLANES == 2u {
                sums[base + 2u * width + f] = select(0.0, errors.z, f == params.frozen);
            }
        }
        sums[base + (PLANES + 1u) * width] = errors.y;
    }
}
