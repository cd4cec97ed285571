// One Adam step on a factor matrix, in place:
//
//   g = gradient[r, f] − penalty[r] · w
//   m ← m + rest1 · (g − m)      v ← v + rest2 · (g² − v)
//   w ← w + rate · m / (√(unbias · v) + epsilon)
//
// rest1 = 1 − β₁ and rest2 = 1 − β₂: this form rounds neither. At step t the
// host gives rate = η/(1 − β₁ᵗ) and unbias = 1/(1 − β₂ᵗ). `gradient` holds ΔV
// (or ΔᵀU), the descent direction of ½Σe²; `epsilon` is in its units. A
// constant column (`frozen`) is left as it is.
// Kingma & Ba 2015, algorithm 1.
// Writes: first[r, f], second[r, f] and factors[r, f], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,   // columns of a factor matrix
    frozen: u32,  // a column that must not move; ≥ width: none
    rest1: f32,   // 1 − β₁
    rest2: f32,   // 1 − β₂
    rate: f32,    // η/(1 − β₁ᵗ)
    unbias: f32,  // 1/(1 − β₂ᵗ)
    epsilon: f32, // > 0
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> gradient: array<f32>; // [rows, width]
@group(1) @binding(1) var<storage, read> penalty: array<f32>;  // [rows]
@group(1) @binding(2) var<storage, read_write> first: array<f32>;   // m, [rows, width]
@group(1) @binding(3) var<storage, read_write> second: array<f32>;  // v, [rows, width]
@group(1) @binding(4) var<storage, read_write> factors: array<f32>; // w, [rows, width]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let element = (group.y * groups.x + group.x) * WORKGROUP + lane;
    if element >= params.rows * params.width || element % params.width == params.frozen {
        return;
    }
    let w = factors[element];
    let g = gradient[element] - penalty[element / params.width] * w;
    let m = first[element] + params.rest1 * (g - first[element]);
    let v = second[element] + params.rest2 * (g * g - second[element]);
    first[element] = m;
    second[element] = v;
    factors[element] = w + params.rate * m / (sqrt(params.unbias * v) + params.epsilon);
}
