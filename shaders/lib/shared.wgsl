// A group is neighbouring lanes of a workgroup. They exchange what they have
// through its memory: for adapters without subgroups.

const TOGETHER = true; // all lanes of a workgroup walk in step

var<workgroup> lanes: array<f32, WORKGROUP>;

// What another lane has.
fn exchanged(x: f32, lane: u32, mask: u32) -> f32 {
    workgroupBarrier();
    lanes[lane] = x;
    workgroupBarrier();
    return lanes[lane ^ mask];
}

// The sum over the group: a tree, the same for every lane.
fn total(x: f32, lane: u32) -> f32 {
    var sum = x;
    if GROUP >= 2u {
        sum += exchanged(sum, lane, 1u);
    }
    if GROUP >= 4u {
        sum += exchanged(sum, lane, 2u);
    }
    if GROUP >= 8u {
        sum += exchanged(sum, lane, 4u);
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    work(group.y * groups.x + group.x, lane);
}
