//! The kernels of who rated what, one at a time: on every device against the
//! definition in f64.

use deltav::backend::{alloc_f32, alloc_u32, read_f32};
use deltav::kernel::Element;
use deltav::kernel::mask_alpha::MaskAlpha;
use deltav::kernel::mask_direction::{BLOCK, MaskDirection, blocks};
use deltav::kernel::mask_residual::MaskResidual;
use deltav::kernel::mask_squares::MaskSquares;
use deltav::kernel::mask_step::MaskStep;
use deltav::kernel::pattern_sum::PatternSum;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::compare::{ONE_SUM, assert_close};
use crate::support::devices;
use crate::support::inputs::{each, play, uniform};

const NOISE: f32 = 0.6;

/// Random matrices of one shape; the last two columns stand for biases where there is room.
struct Shape {
    rows: usize,
    width: usize,
    rank: usize,
    a: Vec<f32>,
    b: Vec<f32>,
    counts: Vec<f32>,
    prior: Vec<f32>,
    inverse: Vec<f32>,
}

fn shapes() -> Vec<Shape> {
    [(1usize, 1usize), (63, 3), (64, 5), (200, 66)]
        .into_iter()
        .map(|(rows, width)| {
            let mut rng = ChaCha8Rng::seed_from_u64((rows + width) as u64);
            let mut positive =
                |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(0.2..3.0)).collect() };
            let (prior, inverse) = (positive(width), positive(width));
            Shape {
                rows,
                width,
                rank: if width > 2 { width - 2 } else { width },
                a: uniform(&mut rng, rows * width),
                b: uniform(&mut rng, rows * width),
                counts: (0..rows).map(|row| ((row + 1) % 5) as f32).collect(),
                prior,
                inverse,
            }
        })
        .collect()
}

impl Shape {
    fn n(&self, element: usize) -> f64 {
        f64::from(self.counts[element / self.width])
    }

    /// 1/p of the element's column.
    fn inverse_p(&self, element: usize) -> f64 {
        f64::from(self.prior[element % self.width]) / f64::from(NOISE)
    }
}

#[test]
fn pattern_sum_adds_up_the_rows_of_the_mask() {
    each(|what, inputs, backend| {
        let k = inputs.rank;
        for accumulate in [false, true] {
            let mut expected: Vec<f64> =
                inputs.u.iter().map(|&u| if accumulate { f64::from(u) } else { 0.0 }).collect();
            for (&i, &j) in inputs.rows.iter().zip(&inputs.columns) {
                for f in 0..k {
                    expected[i as usize * k + f] += f64::from(inputs.v[j as usize * k + f]);
                }
            }
            let call = PatternSum {
                offsets: alloc_u32(backend, "offsets", &inputs.user_offsets).unwrap(),
                columns: alloc_u32(backend, "columns", &inputs.columns).unwrap(),
                factors: alloc_f32(backend, "v", &inputs.v).unwrap(),
                sums: alloc_f32(backend, "sums", &inputs.u).unwrap(),
                width: k,
                accumulate,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.sums);
            assert_close(what, &actual, &expected, ONE_SUM * inputs.rows.len() as f64);
        }
    });
}

#[test]
fn mask_residual_weighs_the_distance_to_the_prior_mean() {
    for shape in shapes() {
        let expected: Vec<f64> = (0..shape.a.len())
            .map(|e| {
                if e % shape.width >= shape.rank || shape.n(e) == 0.0 {
                    return 0.0;
                }
                (f64::from(shape.a[e]) - f64::from(shape.b[e])) * shape.inverse_p(e) / shape.n(e).sqrt()
            })
            .collect();
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            let call = MaskResidual {
                factors: alloc_f32(backend, "w", &shape.a).unwrap(),
                means: alloc_f32(backend, "m", &shape.b).unwrap(),
                counts: alloc_f32(backend, "counts", &shape.counts).unwrap(),
                prior: alloc_f32(backend, "prior", &shape.prior).unwrap(),
                residuals: backend.alloc("residuals", Element::F32, shape.a.len()).unwrap(),
                width: shape.width,
                rank: shape.rank,
                noise: NOISE,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.residuals);
            assert_close(&device, &actual, &expected, 1e-5);
        }
    }
}

#[test]
fn mask_direction_is_the_gradient_over_its_bound() {
    for shape in shapes() {
        let width = shape.width;
        let mut direction = vec![0.0; shape.a.len()];
        let mut sums = vec![0.0; (blocks(shape.rows) + 1) * 2 * width];
        for e in 0..shape.a.len() {
            let (row, f) = (e / width, e % width);
            if f < shape.rank && shape.n(e) > 0.0 {
                let own = f64::from(shape.inverse[f]);
                let h = shape.n(e) * shape.inverse_p(e) + own;
                let d = (f64::from(shape.a[e]) - f64::from(shape.b[e]) * own) / h;
                direction[e] = d;
                let block = (1 + row / BLOCK as usize) * 2 * width;
                sums[block + f] += h * d * d;
                sums[block + width + f] += own * d * d;
            }
        }
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            let call = MaskDirection {
                mask_factors: alloc_f32(backend, "y", &shape.b).unwrap(),
                counts: alloc_f32(backend, "counts", &shape.counts).unwrap(),
                prior: alloc_f32(backend, "prior", &shape.prior).unwrap(),
                inverse_width: alloc_f32(backend, "inverse", &shape.inverse).unwrap(),
                sums: alloc_f32(backend, "sums", &shape.a).unwrap(),
                partials: backend.alloc("partials", Element::F32, sums.len()).unwrap(),
                width,
                rank: shape.rank,
                noise: NOISE,
                first: 1,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.sums);
            assert_close(&format!("direction, {device}"), &actual, &direction, 1e-5);
            let actual = read_f32(backend, call.partials).unwrap();
            assert_close(&format!("sums, {device}"), &actual, &sums, 1e-4);
        }
    }
}

#[test]
fn mask_squares_and_alpha_give_the_exact_step() {
    for shape in shapes() {
        let width = shape.width;
        let mut squares = vec![0.0; blocks(shape.rows) * width];
        for e in (0..shape.a.len()).filter(|&e| shape.n(e) > 0.0) {
            let place = e / width / BLOCK as usize * width + e % width;
            squares[place] += f64::from(shape.a[e]).powi(2) / shape.n(e) * shape.inverse_p(e);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let directions: Vec<f32> = (0..3 * 2 * width).map(|_| rng.random_range(0.1..1.0)).collect();
        let alphas: Vec<f64> = (0..width)
            .map(|f| {
                let sum = |part: usize| {
                    (0..3).map(|g| f64::from(directions[(g * 2 + part) * width + f])).sum::<f64>()
                };
                sum(0) / (sum(1) + squares.iter().skip(f).step_by(width).sum::<f64>())
            })
            .collect();
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            let call = MaskSquares {
                sums: alloc_f32(backend, "s", &shape.a).unwrap(),
                counts: alloc_f32(backend, "counts", &shape.counts).unwrap(),
                prior: alloc_f32(backend, "prior", &shape.prior).unwrap(),
                partials: backend.alloc("partials", Element::F32, squares.len()).unwrap(),
                width,
                noise: NOISE,
                first: 0,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.partials);
            assert_close(&format!("squares, {device}"), &actual, &squares, 1e-4);
            let call = MaskAlpha {
                directions: alloc_f32(backend, "directions", &directions).unwrap(),
                squares: call.partials,
                alphas: backend.alloc("alphas", Element::F32, width).unwrap(),
            };
            let actual = play(backend, call.dispatch().unwrap(), call.alphas);
            assert_close(&format!("alphas, {device}"), &actual, &alphas, 1e-5);
        }
    }
}

#[test]
fn mask_step_moves_factors_and_means() {
    for shape in shapes() {
        for means in [false, true] {
            let expected: Vec<f64> = (0..shape.a.len())
                .map(|e| {
                    let n = shape.n(e);
                    let scale = if !means {
                        1.0
                    } else if n > 0.0 {
                        1.0 / n.sqrt()
                    } else {
                        0.0
                    };
                    f64::from(shape.b[e])
                        + f64::from(shape.prior[e % shape.width]) * scale * f64::from(shape.a[e])
                })
                .collect();
            for (device, mut backend) in devices::all() {
                let backend = &mut *backend;
                let call = MaskStep {
                    directions: alloc_f32(backend, "d", &shape.a).unwrap(),
                    alphas: alloc_f32(backend, "alphas", &shape.prior).unwrap(),
                    counts: alloc_f32(backend, "counts", &shape.counts).unwrap(),
                    values: alloc_f32(backend, "values", &shape.b).unwrap(),
                    means,
                };
                let actual = play(backend, call.dispatch().unwrap(), call.values);
                assert_close(&device, &actual, &expected, 1e-5);
            }
        }
    }
}
