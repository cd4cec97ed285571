// Partial sums of squares, for the loss: one f32 a workgroup, which the host
// adds up in f64.
//
//   partials[first + g] = Σ_{p in chunk g} values[p]²,  CHUNK values a chunk
//
// Each lane sums every WORKGROUP-th value of the chunk, then a tree in shared
// memory adds the lanes: the order is fixed, so the bits are too.
// Writes: partials[first + g], by the first lane of workgroup g.

override WORKGROUP: u32 = 64u;
override CHUNK: u32 = 64u; // a multiple of WORKGROUP

struct Params {
    count: u32, // values
    first: u32, // where this call's partials begin
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> values: array<f32>; // [count]
@group(1) @binding(1) var<storage, read_write> partials: array<f32>; // [≥ first + ⌈count / CHUNK⌉]

var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunk = group.y * groups.x + group.x;
    let start = chunk * CHUNK;
    let end = min(start + CHUNK, params.count);
    var sum = 0.0;
    for (var p = start + lane; p < end; p += WORKGROUP) {
        sum += values[p] * values[p];
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u && start < params.count {
        partials[params.first + chunk] = sums[0];
    }
}
