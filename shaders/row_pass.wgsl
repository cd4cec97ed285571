// The line search of every row in one walk over its cells: row_sums,
// row_direction, row_curvature and row_step with a fixed penalty ρ, fused.
// With x the other side's packed row of a cell and e = target − w·x − κ(b + c):
//
//   H = Σ x² + ρ;  d = (Σ e·x − ρ·w) / H;  α = Σ H·d² / (Σ (x·d)² + Σ ρ·d²)
//   energy[r] = Σ e² + Σ ρ·w²;  w ← w + α·d;  cost[r] = Σ ρ·w²
//
// the bias is one more column, whose x is κ in every cell. A template: see lib/rows.wgsl.
// Writes: factors[r], energy[r], cost[r], by the row's group.

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
    block: u32,  // orders the sums of the twin
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;         // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<vec2<u32>>;  // [cells]
@group(1) @binding(2) var<storage, read> packed: array<vec4<u32>>;  // see pack_rows
@group(1) @binding(3) var<storage, read> penalty: array<f32>;      // [rows]
@group(1) @binding(4) var<storage, read_write> factors: array<f32>; // w, [rows, width]
@group(1) @binding(5) var<storage, read_write> energy: array<f32>;  // [rows]
@group(1) @binding(6) var<storage, read_write> cost: array<f32>;    // [rows]

struct Sums {
    rho: f32,
    above: vec4<f32>, // Σ H·d²
    below: vec4<f32>, // Σ d²
    size: vec4<f32>,  // Σ w²
}

// One block of the direction, and what it adds to the sums over columns.
fn direction(g: vec4<f32>, h: vec4<f32>, w: vec4<f32>, sums: ptr<function, Sums>) -> vec4<f32> {
    let d = select(vec4<f32>(), (g - (*sums).rho * w) / h, h > vec4<f32>());
    (*sums).above = fma(h * d, d, (*sums).above);
    (*sums).below = fma(d, d, (*sums).below);
    (*sums).size = fma(w, w, (*sums).size);
    return d;
}

fn work(group: u32, lane: u32) {
    if first_place(group) >= params.count {
        return;
    }
    let place = place_of(group, lane);
    var w = own_row(place);
    var b = own_bias(place);
    var g = Row();
    var h = Row();
    var errors = vec4<f32>(); // Σ e, Σ e²
    for (var i = 0u; i < place.steps; i += UNROLL) {
        let c0 = cell_at(place, i + 0u); // each cell
        let e0 = c0.weight * (c0.rating - params.unit * (b + c0.tail.x) - total(dot_rows(w, c0.x), lane)); // each cell
        add_scaled(&g, e0, c0.x); // each cell
        add_squares(&h, c0.x); // each cell
        errors += vec4<f32>(e0, e0 * e0, 0.0, 0.0); // each cell
    }
    if place.joined {
        g = join_row(g, lane);
        h = join_row(h, lane);
        errors = join(errors, lane);
    }
    var sums = Sums();
    if place.live {
        sums.rho = penalty[place.row];
    }
    let rho = sums.rho;
    var d = Row();
    d.b0 = direction(g.b0, h.b0 + rho, w.b0, &sums); // each block
    // The bias: a factor whose other side is the unit in every cell.
    let h_bias = f32(place.count) * params.unit * params.unit + rho;
    var d_bias = 0.0;
    if params.bias < params.width && h_bias > 0.0 {
        d_bias = (params.unit * errors.x - rho * b) / h_bias;
    }
    let above = total(sum_of(sums.above), lane) + h_bias * d_bias * d_bias;
    let below = rho * (total(sum_of(sums.below), lane) + d_bias * d_bias);
    let before = rho * (total(sum_of(sums.size), lane) + b * b);

    var bent = 0.0; // Σ (x·d)²
    for (var i = 0u; i < place.steps; i += UNROLL) {
        let c0 = cell_at(place, i + 0u); // each cell
        let q0 = c0.weight * (params.unit * d_bias + total(dot_rows(d, c0.x), lane)); // each cell
        bent = fma(q0, q0, bent); // each cell
    }
    if place.joined {
        bent = join(vec4<f32>(bent), lane).x;
    }
    var alpha = 0.0;
    if bent + below > 0.0 {
        alpha = above / (bent + below);
    }
    add_scaled(&w, alpha, d);
    b += alpha * d_bias;
    let after = rho * (total(dot_rows(w, w), lane) + b * b);
    if place.writes {
        store_block(place.row, block_of(0u, place.part), w.b0); // each block
        if place.part == 0u {
            if params.bias < params.width {
                factors[place.row * params.width + params.bias] = b;
            }
            energy[place.row] = errors.y + before;
            cost[place.row] = after;
        }
    }
}
