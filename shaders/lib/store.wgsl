// A row's results: the `rank` first of `width` columns of RESULT, the first matrix that the kernel writes.

fn store(row: u32, f: u32, x: f32) {
    if f < params.rank {
        RESULT[row * params.width + f] = x;
    }
}

fn store_block(row: u32, block: u32, x: vec4<f32>) {
    let f = 4u * block;
    store(row, f, x.x);
    store(row, f + 1u, x.y);
    store(row, f + 2u, x.z);
    store(row, f + 3u, x.w);
}
