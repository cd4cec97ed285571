// The other side's rows as pack_rows leaves them: 16 bytes, two blocks, a load.

// Which block of a row is a lane's i-th.
fn block_of(i: u32, part: u32) -> u32 {
    return 2u * ((i / 2u) * GROUP + part) + i % 2u;
}

// Plane 0: factors; plane 1: their variances.
fn gather(other: u32, plane: u32, part: u32) -> Row {
    let row = (other * PLANES + plane) * (BLOCKS / 2u);
    var x = Row();
    if WHOLE || block_of(0u, part) < BLOCKS { let two = packed[row + block_of(0u, part) / 2u]; x.b0 = vec4<f32>(unpack2x16float(two.x), unpack2x16float(two.y)); x.b1 = vec4<f32>(unpack2x16float(two.z), unpack2x16float(two.w)); } // each pair
    return x;
}

// The bias and its variance: these stay f32.
fn tail(other: u32) -> vec2<f32> {
    let pair = packed[params.others * PLANES * (BLOCKS / 2u) + other / 2u];
    return bitcast<vec2<f32>>(select(pair.xy, pair.zw, other % 2u == 1u));
}
