// The exact step of each factor along the mask's direction, from the partial
// sums of mask_direction and mask_squares, added up in order:
//
//   alphas[f] = Σ_g directions[g, 0, f] / (Σ_g directions[g, 1, f] + Σ_g squares[g, f])
//
// One workgroup, columns spread over the lanes.
// Writes: alphas.

override WORKGROUP: u32 = 64u;

struct Params {
    width: u32,      // columns of a factor matrix
    directions: u32, // blocks of `directions`
    squares: u32,    // blocks of `squares`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> directions: array<f32>; // [blocks, 2, width]
@group(1) @binding(1) var<storage, read> squares: array<f32>;    // [blocks, width]
@group(1) @binding(2) var<storage, read_write> alphas: array<f32>; // [width]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if group.x + group.y > 0u {
        return;
    }
    let width = params.width;
    for (var f = lane; f < width; f += WORKGROUP) {
        var top = 0.0;
        var bottom = 0.0;
        for (var g = 0u; g < params.directions; g++) {
            top += directions[g * 2u * width + f];
            bottom += directions[(g * 2u + 1u) * width + f];
        }
        for (var g = 0u; g < params.squares; g++) {
            bottom += squares[g * width + f];
        }
        var alpha = 0.0;
        if bottom > 0.0 {
            alpha = top / bottom;
        }
        alphas[f] = alpha;
    }
}
