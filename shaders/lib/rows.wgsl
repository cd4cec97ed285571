// Which row a group of lanes works on, and on which of its cells. The `long`
// longest rows have a workgroup each: its groups take the cells in turns, and
// what they add up is joined in a fixed order. Of the others, a group has one each.

const UNITS = WORKGROUP / GROUP; // groups of a workgroup

struct Place {
    row: u32,     // the row
    count: u32,   // its cells
    first: u32,   // the group's first cell
    end: u32,     // past the row's last cell
    stride: u32,  // from one cell of the group to its next
    steps: u32,   // cells to walk over, those past the end included
    part: u32,    // the lane's number in its group
    joined: bool, // the row has the whole workgroup
    live: bool,   // there is a row
    writes: bool, // the group writes the row's results
}

// A cell and what it gathers; zeros past the row's end.
struct Cell {
    x: Row,          // the other side's factors
    t: Row,          // their variances
    tail: vec2<f32>, // the other side's bias and its variance
    rating: f32,     // the target
    weight: f32,     // 1: there is a cell
}

// The place, among the rows by length, of a workgroup's first row.
fn first_place(group: u32) -> u32 {
    return select(params.long + (group - params.long) * UNITS, group, group < params.long);
}

fn cells_of(place: u32) -> vec2<u32> {
    let local = rows[params.count + 1u + place];
    return vec2<u32>(rows[local], rows[local + 1u]);
}

fn place_of(group: u32, lane: u32) -> Place {
    var place = Place();
    let unit = lane / GROUP;
    place.part = lane % GROUP;
    place.joined = group < params.long;
    let first = first_place(group);
    let longest = cells_of(first);
    var at = first;
    place.steps = longest.y - longest.x;
    place.stride = 1u;
    place.writes = true;
    if place.joined {
        place.steps = (place.steps + UNITS - 1u) / UNITS;
        place.stride = UNITS;
        place.first = unit;
        place.writes = unit == 0u;
    } else {
        at += unit;
    }
    place.live = at < params.count;
    if place.live {
        let cells_here = cells_of(at);
        place.row = params.first + rows[params.count + 1u + at];
        place.first += cells_here.x;
        place.end = cells_here.y;
        place.count = cells_here.y - cells_here.x;
    }
    place.writes = place.writes && place.live;
    if !TOGETHER {
        place.steps = 0u;
        if place.first < place.end {
            place.steps = (place.end - place.first + place.stride - 1u) / place.stride;
        }
    }
    return place;
}

fn cell_at(place: Place, step: u32) -> Cell {
    let p = place.first + step * place.stride;
    var cell = Cell();
    if EXACT || p < place.end {
        let found = cells[p];
        cell.x = gather(found.x, 0u, place.part);
        if PLANES == 2u {
            cell.t = gather(found.x, PLANES - 1u, place.part);
        }
        cell.tail = tail(found.x);
        cell.rating = bitcast<f32>(found.y);
        cell.weight = 1.0;
    }
    return cell;
}

var<workgroup> parts: array<vec4<f32>, WORKGROUP>;

// The sum over the workgroup's groups, lane by lane, for all of them.
fn join(x: vec4<f32>, lane: u32) -> vec4<f32> {
    workgroupBarrier();
    parts[lane] = x;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half >= GROUP; half /= 2u) {
        if lane < half {
            parts[lane] += parts[lane + half];
        }
        workgroupBarrier();
    }
    return parts[lane % GROUP];
}

fn join_row(x: Row, lane: u32) -> Row {
    var sums = Row();
    sums.b0 = join(x.b0, lane); // each block
    return sums;
}
