// The exact minimum of a row's quadratic loss along its direction d, and the
// step to it. With H, ρ, S2 as in row_direction and q = Σ (x·d)²:
//
//   α = Σ_f H·d² / (q + Σ_f (S2 + ρ)·d²);  w ← w + α·d
//   energy[r] = Σ_f ρ·w², the row's penalty after the step
//
// Writes: factors[r], energy[r], by workgroup r.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,      // columns of a factor matrix
    fixed: u32,      // 1: ρ is the row's penalty; 0: ρ is the column's `prior`
    frozen: u32,     // a constant column, without penalty; ≥ width: none
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> sums: array<f32>;    // [rows, 4·width + 2]
@group(1) @binding(1) var<storage, read> penalty: array<f32>; // [rows]
@group(1) @binding(2) var<storage, read> prior: array<f32>;   // [width]
@group(1) @binding(3) var<storage, read_write> factors: array<f32>; // w, [rows, width]
@group(1) @binding(4) var<storage, read_write> energy: array<f32>;  // [rows]

var<workgroup> above: array<f32, WORKGROUP>;
var<workgroup> below: array<f32, WORKGROUP>;

fn rho_of(row: u32, f: u32) -> f32 {
    if params.fixed == 0u {
        return prior[f];
    }
    return penalty[row];
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let width = params.width;
    let base = row * (4u * width + 2u);
    var top = 0.0;
    var bottom = 0.0;
    for (var f = lane; f < width; f += WORKGROUP) {
        let d = sums[base + 3u * width + f];
        let rest = sums[base + 2u * width + f] + rho_of(row, f);
        top += (sums[base + width + f] + rest) * d * d;
        bottom += rest * d * d;
    }
    above[lane] = top;
    below[lane] = bottom;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            above[lane] += above[lane + half];
            below[lane] += below[lane + half];
        }
        workgroupBarrier();
    }
    let curvature = sums[base + 4u * width + 1u] + below[0];
    var alpha = 0.0;
    if curvature > 0.0 {
        alpha = above[0] / curvature;
    }
    // Everyone has read above[0] before it is used again.
    workgroupBarrier();
    var size = 0.0;
    for (var f = lane; f < width; f += WORKGROUP) {
        let w = factors[row * width + f] + alpha * sums[base + 3u * width + f];
        factors[row * width + f] = w;
        if f != params.frozen {
            size += rho_of(row, f) * w * w;
        }
    }
    above[lane] = size;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            above[lane] += above[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        energy[row] = above[0];
    }
}
