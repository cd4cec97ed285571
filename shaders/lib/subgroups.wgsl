// A group is neighbouring lanes of a subgroup, at most 8: no subgroup is smaller
// where this runs. They exchange what they have by shuffles, whose masks stay
// below GROUP, so that the size of a subgroup changes no bit.

const TOGETHER = true; // all lanes of a workgroup walk in step

// The sum over the group: a tree, the same for every lane.
fn total(x: f32, lane: u32) -> f32 {
    var sum = x;
    if GROUP >= 2u {
        sum += subgroupShuffleXor(sum, 1u);
    }
    if GROUP >= 4u {
        sum += subgroupShuffleXor(sum, 2u);
    }
    if GROUP >= 8u {
        sum += subgroupShuffleXor(sum, 4u);
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // Not the local index: how a driver cuts that into subgroups is its own affair.
    work(group.y * groups.x + group.x, subgroup * size + lane);
}
