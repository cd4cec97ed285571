// A group is one invocation: it has the whole row to itself.

const TOGETHER = false; // lanes needn't walk in step

fn total(x: f32, lane: u32) -> f32 {
    return x;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    work(group.y * groups.x + group.x, lane);
}
