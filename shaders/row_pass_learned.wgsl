// The line search of every row in one walk over its cells, with learned priors:
// row_sums, row_direction, row_curvature and row_step, fused. With x, t the other
// side's packed row of a cell and its variances, ρ = noise / prior variance,
// S1 = Σ x², S2 = Σ t and e = target − w·x − κ(b + c):
//
//   H = S1 + S2 + ρ;  d = (Σ e·x − S2·w − ρ·(w − m)) / H
//   α = Σ H·d² / (Σ (x·d)² + Σ (S2 + ρ)·d²);  w ← w + α·d
//   variances[r] = noise / H
//   energy[r] = Σ e² + Σ (noise/H · (S1 + S2) + w²·S2) + κ²·Σ (variance of c): E[e²]
//
// the bias is one more column, whose x is κ in every cell. A template: see lib/rows.wgsl.
// Writes: factors[r], variances[r], energy[r], by the row's group.

struct Params {
    count: u32,  // rows of the chunk
    first: u32,  // the chunk's first row
    others: u32, // rows of the other side
    width: u32,  // columns of a factor matrix
    rank: u32,   // those that are factors
    lanes: u32,  // elements of a packed row of factors
    bias: u32,   // the column of the row's bias; ≥ width: none
    unit: f32,   // what the constant column holds
    centered: u32, // 1: there are prior means m
    noise: f32,    // σ²
    long: u32,   // rows that have a workgroup each
    half: u32,   // 1: packed rows are f16, as the template knows
    block: u32,  // orders the sums of the twin
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;        // offsets [count + 1], order [count]
@group(1) @binding(1) var<storage, read> cells: array<vec2<u32>>; // [cells]
@group(1) @binding(2) var<storage, read> packed: array<vec4<u32>>;  // see pack_rows
@group(1) @binding(3) var<storage, read> means: array<f32>;       // m, [rows, width]
@group(1) @binding(4) var<storage, read> prior: array<f32>;       // ρ, [width]
@group(1) @binding(5) var<storage, read_write> factors: array<f32>;   // w, [rows, width]
@group(1) @binding(6) var<storage, read_write> variances: array<f32>; // [rows, width]
@group(1) @binding(7) var<storage, read_write> energy: array<f32>;    // [rows]

struct Sums {
    row: u32,
    above: vec4<f32>, // Σ H·d²
    below: vec4<f32>, // Σ (S2 + ρ)·d²
    part: vec4<f32>,  // Σ noise/H · (S1 + S2) + w²·S2
}

fn rho(f: u32) -> f32 {
    // Columns beyond the rank hold nothing: any precision will do.
    if f < params.rank {
        return prior[f];
    }
    return 1.0;
}

fn mean(row: u32, f: u32) -> f32 {
    if params.centered != 0u && f < params.width {
        return means[row * params.width + f];
    }
    return 0.0;
}

fn mean_block(row: u32, f: u32) -> vec4<f32> {
    return vec4<f32>(mean(row, f), mean(row, f + 1u), mean(row, f + 2u), mean(row, f + 3u));
}

fn store_variance(row: u32, f: u32, variance: f32) {
    if f < params.rank {
        variances[row * params.width + f] = variance;
    }
}

fn store_variances(row: u32, block: u32, x: vec4<f32>) {
    let f = 4u * block;
    store_variance(row, f, x.x);
    store_variance(row, f + 1u, x.y);
    store_variance(row, f + 2u, x.z);
    store_variance(row, f + 3u, x.w);
}

// One block of the direction, and what it adds to the sums over columns.
fn direction(g: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, w: vec4<f32>, block: u32, writes: bool, sums: ptr<function, Sums>) -> vec4<f32> {
    let f = 4u * block;
    let rhos = vec4<f32>(rho(f), rho(f + 1u), rho(f + 2u), rho(f + 3u));
    // Padding has no mean: what `means` holds there is the bias.
    let factor = vec4<u32>(f, f + 1u, f + 2u, f + 3u) < vec4<u32>(params.rank);
    let m = select(vec4<f32>(), mean_block((*sums).row, f), factor);
    let h = s1 + s2 + rhos;
    let bent = h > vec4<f32>();
    let d = select(vec4<f32>(), (g - s2 * w - rhos * (w - m)) / h, bent);
    let variance = select(vec4<f32>(), params.noise / h, bent);
    (*sums).above = fma(h * d, d, (*sums).above);
    (*sums).below = fma((s2 + rhos) * d, d, (*sums).below);
    (*sums).part += variance * (s1 + s2) + w * w * s2;
    if writes {
        store_variances((*sums).row, block, variance);
    }
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
    var s = Row();
    var errors = vec4<f32>(); // Σ e, Σ e², Σ variance of c
    for (var i = 0u; i < place.steps; i += UNROLL) {
        let c0 = cell_at(place, i + 0u); // each cell
        let e0 = c0.weight * (c0.rating - params.unit * (b + c0.tail.x) - total(dot_rows(w, c0.x), lane)); // each cell
        add_scaled(&g, e0, c0.x); // each cell
        add_squares(&h, c0.x); // each cell
        add_row(&s, c0.t); // each cell
        errors += vec4<f32>(e0, e0 * e0, c0.tail.y, 0.0); // each cell
    }
    if place.joined {
        g = join_row(g, lane);
        h = join_row(h, lane);
        s = join_row(s, lane);
        errors = join(errors, lane);
    }
    var sums = Sums();
    sums.row = place.row;
    var d = Row();
    d.b0 = direction(g.b0, h.b0, s.b0, w.b0, block_of(0u, place.part), place.writes, &sums); // each block
    // The bias: a factor whose other side is the unit in every cell.
    let data = f32(place.count) * params.unit * params.unit;
    var rho_bias = 1.0;
    var d_bias = 0.0;
    var variance = 0.0;
    if params.bias < params.width {
        rho_bias = prior[params.bias];
        let h_bias = data + rho_bias;
        if h_bias > 0.0 {
            d_bias = (params.unit * errors.x - rho_bias * (b - mean(place.row, params.bias))) / h_bias;
            variance = params.noise / h_bias;
        }
    }
    let above = total(sum_of(sums.above), lane) + (data + rho_bias) * d_bias * d_bias;
    let below = total(sum_of(sums.below), lane) + rho_bias * d_bias * d_bias;
    let part = total(sum_of(sums.part), lane) + variance * data + params.unit * params.unit * errors.z;

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
    if place.writes {
        store_block(place.row, block_of(0u, place.part), w.b0); // each block
        if place.part == 0u {
            let base = place.row * params.width;
            for (var f = params.rank; f < params.width; f++) {
                variances[base + f] = select(0.0, variance, f == params.bias);
            }
            if params.bias < params.width {
                factors[base + params.bias] = b;
            }
            energy[place.row] = errors.y + part;
        }
    }
}
