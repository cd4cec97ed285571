// Stochastic descent over one diagonal of a tile cut into B × B blocks: block
// (r, (r + diagonal) mod B) for every r. They share no row and no column, so a
// workgroup takes a block each and visits its cells one after another. A visit
// of y at (u, v), from the old u and v, λ the row's penalty of one visit:
//
//   e = y − (u·v + κb + κc);  g_u = e·v − λ_u·u;  g_v = e·u − λ_v·v
//   u ← u + η·g_u/√G_u, then G_u ← G_u + ‖g_u‖²/rank;  v the same
//   g_b = e·κ − λ_u·b;  G_b ← G_b + g_b², then b ← b + η·g_b/√G_b;  c the same
//
// or u ← u + η·g_u and so on where `adagrad` is 0. The norms come from u·v, u·u
// and v·v, so that one reduction a visit is enough. Cell i of n in a block is
// the one at (start + i·stride) mod n: every one once, as stride and n have no
// common divisor.
//
// Writes: rows and columns of block r, by workgroup r. A lane reads only the
// columns of the factors that it writes, and lane 0 alone the state and biases.
// Source: Gemulla et al. 2011 (the diagonals); Chin et al. 2015 (one rate a row).

override WORKGROUP: u32 = 64u;

struct Params {
    diagonal: u32, // < blocks
    blocks: u32,   // B
    width: u32,    // columns of a factor matrix: the rank, or rank + 2 with biases
    rank: u32,
    stride: u32,   // a prime above every block's cells, or 1
    start: u32,
    rate: f32,     // η
    adagrad: u32,  // 1: divide the rate by √G
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> rows: array<u32>;    // [cells], block by block
@group(1) @binding(1) var<storage, read> columns: array<u32>; // [cells]
@group(1) @binding(2) var<storage, read> ratings: array<f32>; // [cells]
@group(1) @binding(3) var<storage, read> blocks: array<u32>;  // first rows [B + 1], first columns [B + 1], first cells [B·B + 1]
@group(1) @binding(4) var<storage, read_write> row_factors: array<f32>;    // [rows, width]
@group(1) @binding(5) var<storage, read_write> column_factors: array<f32>; // [columns, width]
@group(1) @binding(6) var<storage, read_write> row_state: array<f32>;      // λ, G, G_b: [rows, 3]
@group(1) @binding(7) var<storage, read_write> column_state: array<f32>;   // [columns, 3]

// Parts of u·v, u·u and v·v; two of each, so that one barrier a visit is enough.
var<workgroup> parts: array<vec3<f32>, 2u * WORKGROUP>;
// What lane 0 has read: λ and the factors' rate of the row, then of the column.
var<workgroup> rows_seen: array<vec4<f32>, 2>;
var<workgroup> biases: array<f32, 2>; // κb + κc, κ what the constant columns hold

fn rate_of(sum: f32) -> f32 {
    if params.adagrad == 0u {
        return params.rate;
    }
    return params.rate / sqrt(sum);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    if block >= params.blocks {
        return;
    }
    let place = 2u * (params.blocks + 1u) + block * params.blocks + (block + params.diagonal) % params.blocks;
    let first = blocks[place];
    let count = blocks[place + 1u] - first;
    if count == 0u {
        return;
    }
    let rank = params.rank;
    let share = 1.0 / f32(rank);
    let biased = params.width > rank;
    let step = params.stride % count;
    var at = params.start % count;
    for (var i = 0u; i < count; i++) {
        let row = rows[first + at];
        let column = columns[first + at];
        let u = row * params.width;
        let v = column * params.width;
        let half = i % 2u;
        var part = vec3<f32>();
        for (var f = lane; f < rank; f += WORKGROUP) {
            let x = row_factors[u + f];
            let y = column_factors[v + f];
            part += vec3<f32>(x * y, x * x, y * y);
        }
        parts[half * WORKGROUP + lane] = part;
        if lane == 0u {
            rows_seen[half] = vec4<f32>(
                row_state[3u * row],
                rate_of(row_state[3u * row + 1u]),
                column_state[3u * column],
                rate_of(column_state[3u * column + 1u]),
            );
            biases[half] = 0.0;
            if biased {
                biases[half] = row_factors[u + rank] * column_factors[v + rank]
                    + row_factors[u + rank + 1u] * column_factors[v + rank + 1u];
            }
        }
        workgroupBarrier();
        // Every lane adds up in the same order.
        var sums = vec3<f32>();
        for (var l = 0u; l < min(rank, WORKGROUP); l++) {
            sums += parts[half * WORKGROUP + l];
        }
        let e = ratings[first + at] - (sums.x + biases[half]);
        let seen = rows_seen[half];
        for (var f = lane; f < rank; f += WORKGROUP) {
            let x = row_factors[u + f];
            let y = column_factors[v + f];
            row_factors[u + f] = x + seen.y * (e * y - seen.x * x);
            column_factors[v + f] = y + seen.w * (e * x - seen.z * y);
        }
        if lane == 0u {
            let g_u = e * e * sums.z - 2.0 * e * seen.x * sums.x + seen.x * seen.x * sums.y;
            let g_v = e * e * sums.y - 2.0 * e * seen.z * sums.x + seen.z * seen.z * sums.z;
            row_state[3u * row + 1u] += max(g_u, 0.0) * share;
            column_state[3u * column + 1u] += max(g_v, 0.0) * share;
            if biased {
                let b = row_factors[u + rank];
                let c = column_factors[v + rank + 1u];
                let g_b = e * column_factors[v + rank] - seen.x * b;
                let g_c = e * row_factors[u + rank + 1u] - seen.z * c;
                let sum_b = row_state[3u * row + 2u] + g_b * g_b;
                let sum_c = column_state[3u * column + 2u] + g_c * g_c;
                row_state[3u * row + 2u] = sum_b;
                column_state[3u * column + 2u] = sum_c;
                row_factors[u + rank] = b + rate_of(sum_b) * g_b;
                column_factors[v + rank + 1u] = c + rate_of(sum_c) * g_c;
            }
        }
        at += step;
        if at >= count {
            at -= count;
        }
    }
}
