// One step of gradient descent on a factor matrix, in place, with L2:
//
//   factors[r, f] += rate · (gradient[r, f] − penalty[r] · factors[r, f])
//
// `gradient` holds ΔV (or ΔᵀU), the descent direction. A constant column
// (`frozen`) is left as it is.
// Writes: factors[r, f], each by its own invocation.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,  // columns of a factor matrix
    frozen: u32, // a column that must not move; ≥ width: none
    rate: f32,   // 2η/N for the mean loss, η for the sum
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> gradient: array<f32>; // [rows, width]
@group(1) @binding(1) var<storage, read> penalty: array<f32>;  // [rows]
@group(1) @binding(2) var<storage, read_write> factors: array<f32>; // [rows, width]

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
    factors[element] = w + params.rate * (gradient[element] - penalty[element / params.width] * w);
}
