// Solves the normal equations of a batch, one row each, by Cholesky's
// factorisation without square roots, A = L D Lᵀ:
//
//   (A + ρI) · w_new = b + (ρ − λ) · w_old,   ρ = max(λ, ridge · trace A, TINY)
//
// λ is the row's penalty. Where it is next to nothing, A can be singular (fewer
// ratings than columns): the ridge then holds the row to where it was, so that
// no step is undefined and none raises the loss. It moves no minimum: at one,
// w_new = w_old.
//
// `systems` is as normal_equations leaves it, and is used up. Elimination of
// column j, for k > j, with column j left undivided:
//
//   A(i, k) −= A(i, j) · A(k, j) / d_j,   d_j = max(A(j, j), ρ)
//
// where i = width is the right-hand side b. In exact arithmetic no pivot is
// below ρ. Then, from the last column back: w_k = b_k/d_k; b_j −= A(k, j) · w_k.
//
// One workgroup a row. A row without ratings and a constant column (`frozen`)
// stay as they are.
// Golub & Van Loan 2013, 4.1.2.
// Writes: systems[b] and factors[first + b], by workgroup b.

override WORKGROUP: u32 = 64u;
override SIDE: u32 = 8u; // lanes are a square, SIDE · SIDE = WORKGROUP

const TINY = 0x1p-100; // a power of 2: (TINY · w) / TINY is w

struct Params {
    first: u32,  // row of the batch's first system
    rows: u32,   // rows of the batch
    width: u32,  // columns of a factor matrix
    frozen: u32, // the constant column; ≥ width: none
    ridge: f32,  // the least ρ, as a part of the trace
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> penalty: array<f32>; // λ, [all rows]
@group(1) @binding(1) var<storage, read> counts: array<f32>;  // ratings of each row, [all rows]
@group(1) @binding(2) var<storage, read_write> systems: array<f32>; // [≥ rows, width(width + 3)/2]
@group(1) @binding(3) var<storage, read_write> factors: array<f32>; // [all rows, width]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let system = group.y * groups.x + group.x;
    if system >= params.rows {
        return;
    }
    let row = params.first + system;
    if counts[row] == 0.0 {
        return;
    }
    let width = params.width;
    let base = system * (width * (width + 3u) / 2u);
    let right = base + width * (width + 1u) / 2u;
    var trace = 0.0;
    for (var f = 0u; f < width; f++) {
        trace += systems[base + f * (f + 3u) / 2u];
    }
    let lambda = penalty[row];
    let rho = max(max(lambda, params.ridge * trace), TINY);
    storageBarrier();
    for (var f = lane; f < width; f += WORKGROUP) {
        systems[base + f * (f + 3u) / 2u] += rho;
        if f != params.frozen {
            systems[right + f] += (rho - lambda) * factors[row * width + f];
        }
    }
    storageBarrier();
    for (var j = 0u; j + 1u < width; j++) {
        let d = max(systems[base + j * (j + 3u) / 2u], rho);
        for (var i = j + 1u + lane / SIDE; i <= width; i += SIDE) {
            let scaled = systems[base + i * (i + 1u) / 2u + j] / d;
            for (var k = j + 1u + lane % SIDE; k <= min(i, width - 1u); k += SIDE) {
                systems[base + i * (i + 1u) / 2u + k] -= scaled * systems[base + k * (k + 1u) / 2u + j];
            }
        }
        storageBarrier();
    }
    for (var next = width; next > 0u; next--) {
        let k = next - 1u;
        let w = systems[right + k] / max(systems[base + k * (k + 3u) / 2u], rho);
        for (var j = lane; j < k; j += WORKGROUP) {
            systems[right + j] -= systems[base + k * (k + 1u) / 2u + j] * w;
        }
        if lane == 0u && k != params.frozen {
            factors[row * width + k] = w;
        }
        storageBarrier();
    }
}
