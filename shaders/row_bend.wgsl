// The curvature of a row's loss along its direction d over some of its cells, those
// of a block of the other side's rows: row_curvature where rows are gathered. With x
// the other side's packed row of a cell and d_b the bias's direction,
//
//   parts[place + r] = Σ (x·d + κ·d_b)²
//
// A template: see lib/rows.wgsl.
// Writes: parts[place + r], by the row's group. An empty row gives 0.

struct Params {
    count: u32,  // rows of the chunk
    first: u32,  // the chunk's first row
    others: u32, // rows of the other side
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
    bias: u32,   // the column of the row's bias; ≥ width: none
    unit: f32,   // what the constant column holds
    place: u32,  // where the chunk's first part stands
    spread: u32, // 1: there are variances, as the template knows
    long: u32,   // rows that have a workgroup each
    half: u32,   // 1: packed rows are f16, as the template knows
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;         // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<vec2<u32>>;  // [cells]
@group(1) @binding(2) var<storage, read> packed: array<vec4<u32>>;  // see pack_rows
@group(1) @binding(3) var<storage, read> sums: array<f32>;         // with d, [rows, 4·width + 2]
@group(1) @binding(4) var<storage, read_write> bends: array<f32>;  // [parts]

fn along(row: u32, f: u32) -> f32 {
    return sums[row * (4u * params.width + 2u) + 3u * params.width + f];
}

fn along_factor(row: u32, f: u32) -> f32 {
    if f < params.rank {
        return along(row, f);
    }
    return 0.0;
}

fn along_block(row: u32, block: u32) -> vec4<f32> {
    let f = 4u * block;
    return vec4<f32>(
        along_factor(row, f),
        along_factor(row, f + 1u),
        along_factor(row, f + 2u),
        along_factor(row, f + 3u),
    );
}

fn work(group: u32, lane: u32) {
    if first_place(group) >= params.count {
        return;
    }
    let place = place_of(group, lane);
    var d = Row();
    var d_bias = 0.0;
    if place.live {
        d.b0 = along_block(place.row, block_of(0u, place.part)); // each block
        if params.bias < params.width {
            d_bias = along(place.row, params.bias);
        }
    }
    var bent = 0.0;
    for (var i = 0u; i < place.steps; i += UNROLL) {
        let c0 = cell_at(place, i + 0u); // each cell
        let q0 = c0.weight * (params.unit * d_bias + total(dot_rows(d, c0.x), lane)); // each cell
        bent = fma(q0, q0, bent); // each cell
    }
    if place.joined {
        bent = join(vec4<f32>(bent), lane).x;
    }
    if place.writes && place.part == 0u {
        bends[params.place + place.row - params.first] = bent;
    }
}
