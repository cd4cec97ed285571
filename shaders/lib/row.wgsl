// A lane's part of a row: every GROUP-th block of four columns, from its own on.
// What ends in `each block` stands there once for each of them.

struct Row {
    b0: vec4<f32>, // each block
}

fn sum_of(x: vec4<f32>) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}

// Σ a·b of this lane's columns.
fn dot_rows(a: Row, b: Row) -> f32 {
    var sum = vec4<f32>();
    sum = fma(a.b0, b.b0, sum); // each block
    return sum_of(sum);
}

// sums += scale · x
fn add_scaled(sums: ptr<function, Row>, scale: f32, x: Row) {
    (*sums).b0 = fma(vec4<f32>(scale), x.b0, (*sums).b0); // each block
}

// sums += x²
fn add_squares(sums: ptr<function, Row>, x: Row) {
    (*sums).b0 = fma(x.b0, x.b0, (*sums).b0); // each block
}

// sums += x
fn add_row(sums: ptr<function, Row>, x: Row) {
    (*sums).b0 += x.b0; // each block
}
