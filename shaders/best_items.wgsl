// The `keep` best items of each user among those of a range of panels, merged
// into the lists that earlier calls left:
//
//   score(u, i) = Σ_f user_factors[u, f] · item_factors[i, f]
//
// A list is sorted by score, greatest first, and of equals by position, lowest
// first, whatever the order in which candidates arrive. Positions that stand in
// the user's row of `seen` are left out. Ranges come in ascending order, so a
// candidate goes behind whatever equals it in the list.
//
// Four users a workgroup, an item a lane: a factor of an item is read once for
// all four. Scores above the list's last one gather in workgroup memory; the
// order of arrival (`arrived`) decides only which lane merges which.
// Writes: scores[u] and items[u] by the workgroup of user u.

override WORKGROUP: u32 = 64u; // also the items of a panel

const GROUP = 4u;                // users of a workgroup: a vec4
const LOWEST = -0x1.fffffep+127; // the score of a free place
const NONE = 0xffffffffu;        // and its item

struct Params {
    users: u32,  // users of the block
    width: u32,  // columns of a row
    first: u32,  // first panel of the range
    panels: u32, // panels of the range
    base: u32,   // position of the first item of panel 0
    end: u32,    // positions from here on are padding
    keep: u32,   // places of a list
    fresh: u32,  // 1: the lists start empty
}

@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> user_factors: array<f32>; // [users / 4, width, 4]
@group(1) @binding(1) var<storage, read> item_factors: array<f32>; // [panels, width, 64]
@group(1) @binding(2) var<storage, read> seen_offsets: array<u32>; // [users + 1]
@group(1) @binding(3) var<storage, read> seen: array<u32>;         // positions, ascending by user
@group(1) @binding(4) var<storage, read_write> scores: array<f32>; // [users, keep]
@group(1) @binding(5) var<storage, read_write> items: array<u32>;  // [users, keep], positions

var<workgroup> arrived: array<atomic<u32>, 4>;
var<workgroup> counts: vec4<u32>;
var<workgroup> new_scores: array<f32, 4u * WORKGROUP>;
var<workgroup> new_items: array<u32, 4u * WORKGROUP>;

fn is_seen(user: u32, item: u32) -> bool {
    var low = seen_offsets[user];
    let end = seen_offsets[user + 1u];
    var high = end;
    while low < high {
        let middle = low + (high - low) / 2u;
        if seen[middle] < item {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low < end && seen[low] == item;
}

// Merges the `count` ≤ WORKGROUP new candidates of user `q` of the group into its list.
fn merge(list: u32, q: u32, count: u32, lane: u32) {
    let fresh = q * WORKGROUP;
    var score = 0.0;
    var item = NONE;
    var place = NONE;
    if lane < count {
        score = new_scores[fresh + lane];
        item = new_items[fresh + lane];
        // Before it: what the list has that is no less, and the new ones that are better.
        var low = 0u;
        var high = params.keep;
        while low < high {
            let middle = (low + high) / 2u;
            if scores[list + middle] >= score {
                low = middle + 1u;
            } else {
                high = middle;
            }
        }
        place = low;
        for (var j = 0u; j < count; j++) {
            let other = new_scores[fresh + j];
            if other > score || (other == score && new_items[fresh + j] < item) {
                place += 1u;
            }
        }
    }
    // The list moves apart from its end, so that nothing is overwritten unread.
    for (var chunk = (params.keep + WORKGROUP - 1u) / WORKGROUP; chunk > 0u; chunk--) {
        let p = (chunk - 1u) * WORKGROUP + lane;
        var old_score = 0.0;
        var old_item = NONE;
        var target_place = NONE;
        if p < params.keep {
            old_score = scores[list + p];
            old_item = items[list + p];
            target_place = p;
            for (var j = 0u; j < count; j++) {
                if new_scores[fresh + j] > old_score {
                    target_place += 1u;
                }
            }
        }
        storageBarrier();
        if target_place < params.keep && target_place != p {
            scores[list + target_place] = old_score;
            items[list + target_place] = old_item;
        }
        storageBarrier();
    }
    if place < params.keep {
        scores[list + place] = score;
        items[list + place] = item;
    }
    storageBarrier();
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let first_user = GROUP * block;
    if first_user >= params.users {
        return;
    }
    let members = min(GROUP, params.users - first_user);
    let lists = first_user * params.keep;
    if lane < GROUP {
        atomicStore(&arrived[lane], 0u);
    }
    if params.fresh == 1u {
        for (var p = lane; p < members * params.keep; p += WORKGROUP) {
            scores[lists + p] = LOWEST;
            items[lists + p] = NONE;
        }
    }
    storageBarrier();
    workgroupBarrier();
    // What a candidate must exceed: the last score of each list.
    var bar = vec4<f32>();
    for (var q = 0u; q < members; q++) {
        bar[q] = scores[lists + q * params.keep + params.keep - 1u];
    }
    let u = block * params.width * GROUP;
    for (var i = 0u; i < params.panels; i++) {
        let panel = params.first + i;
        let v = panel * params.width * WORKGROUP + lane;
        var sums = vec4<f32>();
        for (var f = 0u; f < params.width; f++) {
            let at = u + GROUP * f;
            sums += item_factors[v + f * WORKGROUP]
                * vec4<f32>(user_factors[at], user_factors[at + 1u], user_factors[at + 2u], user_factors[at + 3u]);
        }
        let item = params.base + panel * WORKGROUP + lane;
        for (var q = 0u; q < members; q++) {
            if item < params.end && sums[q] > bar[q] && !is_seen(first_user + q, item) {
                let slot = q * WORKGROUP + atomicAdd(&arrived[q], 1u);
                new_scores[slot] = sums[q];
                new_items[slot] = item;
            }
        }
        workgroupBarrier();
        if lane == 0u {
            for (var q = 0u; q < GROUP; q++) {
                counts[q] = atomicExchange(&arrived[q], 0u);
            }
        }
        let found = workgroupUniformLoad(&counts);
        for (var q = 0u; q < members; q++) {
            if found[q] > 0u {
                let list = lists + q * params.keep;
                merge(list, q, found[q], lane);
                bar[q] = scores[list + params.keep - 1u];
            }
        }
        // The next candidates may overwrite these.
        workgroupBarrier();
    }
}
