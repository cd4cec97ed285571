// The other side's rows as pack_rows leaves them: 16 bytes a load.

// Which block of a row is a lane's i-th.
fn block_of(i: u32, part: u32) -> u32 {
    return i * GROUP + part;
}

// Plane 0: factors; plane 1: their variances.
fn gather(other: u32, plane: u32, part: u32) -> Row {
    let row = (other * PLANES + plane) * BLOCKS;
    var x = Row();
    if WHOLE || block_of(0u, part) < BLOCKS { x.b0 = bitcast<vec4<f32>>(packed[row + block_of(0u, part)]); } // each block
    return x;
}

// The bias and its variance.
fn tail(other: u32) -> vec2<f32> {
    let pair = packed[params.others * PLANES * BLOCKS + other / 2u];
    return bitcast<vec2<f32>>(select(pair.xy, pair.zw, other % 2u == 1u));
}
