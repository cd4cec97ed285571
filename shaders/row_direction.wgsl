// The direction of a row's line search: the gradient over the diagonal of the
// curvature, from the row's sums (see row_sums). With ρ the row's precision
// (the fixed penalty, or noise / prior variance), S1 = Σ x², S2 = Σ t:
//
//   H = S1 + S2 + ρ;  d = (Σ e·x − S2·w − ρ·(w − m)) / H
//   variances[r] = noise / H
//   energy[r] = Σ e² + Σ_f ρ·w²                          with a fixed penalty
//             = Σ e² + Σ_f (noise/H · (S1 + S2) + w²·S2)  else: E[e²] of the ratings
//
// A constant column has d = 0, no variance and no penalty.
// Writes: sums[r, 3] = d, variances[r], energy[r], by workgroup r.

override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,      // columns of a factor matrix
    frozen: u32,     // a column that must not move; ≥ width: none
    fixed: u32,      // 1: ρ is the row's penalty; 0: ρ is the column's `prior`
    centered: u32,   // 1: there are prior means m
    noise: f32,      // σ²; 0: no variances
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> factors: array<f32>; // w, [rows, width]
@group(1) @binding(1) var<storage, read> means: array<f32>;   // m, [rows, width]
@group(1) @binding(2) var<storage, read> penalty: array<f32>; // [rows]
@group(1) @binding(3) var<storage, read> prior: array<f32>;   // [width]
@group(1) @binding(4) var<storage, read_write> sums: array<f32>;      // [rows, 4·width + 2]
@group(1) @binding(5) var<storage, read_write> variances: array<f32>; // [rows, width]
@group(1) @binding(6) var<storage, read_write> energy: array<f32>;    // [rows]

var<workgroup> parts: array<f32, WORKGROUP>;

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
    var part = 0.0;
    for (var f = lane; f < width; f += WORKGROUP) {
        let s1 = sums[base + width + f];
        let s2 = sums[base + 2u * width + f];
        var rho = prior[f];
        if params.fixed != 0u {
            rho = penalty[row];
        }
        let w = factors[row * width + f];
        var m = 0.0;
        if params.centered != 0u {
            m = means[row * width + f];
        }
        let h = s1 + s2 + rho;
        var d = 0.0;
        var variance = 0.0;
        if f != params.frozen && h > 0.0 {
            d = (sums[base + f] - s2 * w - rho * (w - m)) / h;
            variance = params.noise / h;
            part += select(variance * (s1 + s2), rho * w * w, params.fixed != 0u);
        }
        part += w * w * s2;
        sums[base + 3u * width + f] = d;
        variances[row * width + f] = variance;
    }
    parts[lane] = part;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            parts[lane] += parts[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        energy[row] = sums[base + 4u * width] + parts[0];
    }
}
