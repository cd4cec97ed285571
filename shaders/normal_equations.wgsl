// The normal equations of the rows of a batch, Σ x xᵀ · w = Σ y·x over each
// row's cells, x the other side's rows: row r = first + b of the matrix is
// system b. With x extended by y, a system is the lower triangle of Σ x xᵀ,
// row behind row, and Σ y·x as one row more:
//
//   systems[b](i, k) (+)= Σ x_i · x_k,   k ≤ i ≤ width, k < width, x_width = y
//
// (i, k) stands at i(i + 1)/2 + k. A constant column (`frozen`) is no unknown:
// its part of the prediction is taken from y, and x is 0 there.
// One workgroup a row: cells are staged in shared memory, as many as it holds,
// then each lane sums its elements of the triangle over them.
// Hu, Koren & Volinsky 2008, and Zhou et al. 2008, have the equations.
// Writes: systems[b], by workgroup b. A row without cells gives 0.

override WORKGROUP: u32 = 64u;
override SIDE: u32 = 8u;      // lanes are a square, SIDE · SIDE = WORKGROUP
override STAGE: u32 = 3840u;  // floats of shared memory, ≥ width + 1

struct Params {
    first: u32,      // row of the batch's first system
    rows: u32,       // rows of the batch
    width: u32,      // columns of a factor matrix
    frozen: u32,     // the constant column; ≥ width: none
    ordered: u32,    // 1: read ratings through `order`
    accumulate: u32, // 1: add to what stands in `systems`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> offsets: array<u32>; // [all rows + 1]
@group(1) @binding(1) var<storage, read> columns: array<u32>; // [cells]
@group(1) @binding(2) var<storage, read> order: array<u32>;   // [cells]
@group(1) @binding(3) var<storage, read> ratings: array<f32>; // y, [cells]
@group(1) @binding(4) var<storage, read> factors: array<f32>; // w, [all rows, width]
@group(1) @binding(5) var<storage, read> others: array<f32>;  // x, [columns, width]
@group(1) @binding(6) var<storage, read_write> systems: array<f32>; // [≥ rows, width(width + 3)/2]

var<workgroup> stage: array<f32, STAGE>;

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
    let width = params.width;
    let row = params.first + system;
    let base = system * (width * (width + 3u) / 2u);
    if params.accumulate == 0u {
        for (var i = lane / SIDE; i <= width; i += SIDE) {
            for (var k = lane % SIDE; k <= min(i, width - 1u); k += SIDE) {
                systems[base + i * (i + 1u) / 2u + k] = 0.0;
            }
        }
    }
    var constant = 0.0;
    if params.frozen < width {
        constant = factors[row * width + params.frozen];
    }
    let extended = width + 1u;
    let capacity = STAGE / extended;
    let end = offsets[row + 1u];
    for (var start = offsets[row]; start < end; start += capacity) {
        let count = min(capacity, end - start);
        for (var e = lane; e < count * extended; e += WORKGROUP) {
            let p = start + e / extended;
            let f = e % extended;
            let other = columns[p] * width;
            var x = 0.0;
            if f == width {
                var place = p;
                if params.ordered != 0u {
                    place = order[p];
                }
                x = ratings[place];
                if params.frozen < width {
                    x -= constant * others[other + params.frozen];
                }
            } else if f != params.frozen {
                x = others[other + f];
            }
            stage[e] = x;
        }
        workgroupBarrier();
        for (var i = lane / SIDE; i <= width; i += SIDE) {
            for (var k = lane % SIDE; k <= min(i, width - 1u); k += SIDE) {
                var sum = 0.0;
                for (var c = 0u; c < count; c++) {
                    sum += stage[c * extended + i] * stage[c * extended + k];
                }
                systems[base + i * (i + 1u) / 2u + k] += sum;
            }
        }
        workgroupBarrier();
    }
}
