// The row's own factors: a row of `width` columns, of which `rank` are gathered likewise.

fn own(row: u32, f: u32) -> f32 {
    if f < params.rank {
        return factors[row * params.width + f];
    }
    return 0.0;
}

fn own_block(row: u32, block: u32) -> vec4<f32> {
    let f = 4u * block;
    return vec4<f32>(own(row, f), own(row, f + 1u), own(row, f + 2u), own(row, f + 3u));
}

fn own_row(place: Place) -> Row {
    var w = Row();
    if place.live {
        w.b0 = own_block(place.row, block_of(0u, place.part)); // each block
    }
    return w;
}

fn own_bias(place: Place) -> f32 {
    if place.live && params.bias < params.width {
        return factors[place.row * params.width + params.bias];
    }
    return 0.0;
}
