// One step of gradient descent with momentum on a factor matrix, in place:
//
//   s = rate · (gradient[r, f] − penalty[r] · w)
//   v ← beta · v + s
//   w ← w + v              heavy ball
//   w ← w + beta · v + s   Nesterov: w is the look-ahead point, where the gradient is taken
//
// `gradient` holds ΔV (or ΔᵀU), the descent direction. A constant column
// (`frozen`) is left as it is.
// Polyak 1964; Sutskever, Martens, Dahl & Hinton 2013.
// Writes: velocity[r, f] and factors[r, f], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,    // columns of a factor matrix
    frozen: u32,   // a column that must not move; ≥ width: none
    nesterov: u32, // 1: look ahead
    rate: f32,     // 2η/N for the mean loss, η for the sum
    beta: f32,     // how much of the last step is kept
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> gradient: array<f32>; // [rows, width]
@group(1) @binding(1) var<storage, read> penalty: array<f32>;  // [rows]
@group(1) @binding(2) var<storage, read_write> velocity: array<f32>; // [rows, width]
@group(1) @binding(3) var<storage, read_write> factors: array<f32>;  // [rows, width]

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
    let s = params.rate * (gradient[element] - penalty[element / params.width] * w);
    let v = params.beta * velocity[element] + s;
    velocity[element] = v;
    factors[element] = w + select(v, params.beta * v + s, params.nesterov != 0u);
}
