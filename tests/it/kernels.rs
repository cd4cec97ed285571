//! One kernel at a time: the GPU against the twin, and the twin against the
//! definition in f64.

use deltav::backend::{alloc_f32, alloc_u32};
use deltav::kernel::Element;
use deltav::kernel::copy::CopyValues;
use deltav::kernel::gradient::Gradient;
use deltav::kernel::residual::{Residual, UNCLIPPED};
use deltav::kernel::step_gd::StepGd;
use deltav::kernel::sum_squares::{CHUNK, SumSquares, partials};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::support::compare::{ONE_SUM, assert_close};
use crate::support::devices;
use crate::support::inputs::{Inputs, each, play, uniform};

#[test]
fn residual_is_y_minus_u_dot_v_on_the_cells() {
    each(|what, inputs, backend| {
        for bounds in [UNCLIPPED, (-0.5, 0.75)] {
            let expected: Vec<f64> = (0..inputs.rows.len())
                .map(|p| {
                    let (i, j, k) = (inputs.rows[p] as usize, inputs.columns[p] as usize, inputs.rank);
                    let mut dot = 0.0;
                    for f in 0..k {
                        dot += f64::from(inputs.u[i * k + f]) * f64::from(inputs.v[j * k + f]);
                    }
                    f64::from(inputs.ratings[p]) - dot.clamp(bounds.0.into(), bounds.1.into())
                })
                .collect();
            let call = Residual {
                rows: alloc_u32(backend, "rows", &inputs.rows).unwrap(),
                columns: alloc_u32(backend, "columns", &inputs.columns).unwrap(),
                ratings: alloc_f32(backend, "ratings", &inputs.ratings).unwrap(),
                row_factors: alloc_f32(backend, "u", &inputs.u).unwrap(),
                column_factors: alloc_f32(backend, "v", &inputs.v).unwrap(),
                residuals: backend.alloc("residuals", Element::F32, inputs.rows.len()).unwrap(),
                width: inputs.rank,
                bounds,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.residuals);
            assert_close(what, &actual, &expected, ONE_SUM * inputs.rank.max(5) as f64);
        }
    });
}

#[test]
fn gradient_is_delta_times_factors_on_both_sides() {
    each(|what, inputs, backend| {
        let k = inputs.rank;
        let cells = inputs.rows.len();
        let residuals = alloc_f32(backend, "residuals", &inputs.delta).unwrap();
        let u = alloc_f32(backend, "u", &inputs.u).unwrap();
        let v = alloc_f32(backend, "v", &inputs.v).unwrap();
        let tolerance = ONE_SUM * cells as f64;
        for accumulate in [false, true] {
            // ΔV: what stands in the result is U, so that adding to it shows.
            let mut dv = vec![0.0f64; inputs.u.len()];
            let mut du = vec![0.0f64; inputs.v.len()];
            for p in 0..cells {
                let (i, j) = (inputs.rows[p] as usize, inputs.columns[p] as usize);
                for f in 0..k {
                    dv[i * k + f] += f64::from(inputs.delta[p]) * f64::from(inputs.v[j * k + f]);
                    du[j * k + f] += f64::from(inputs.delta[p]) * f64::from(inputs.u[i * k + f]);
                }
            }
            if accumulate {
                dv.iter_mut().zip(&inputs.u).for_each(|(x, &old)| *x += f64::from(old));
                du.iter_mut().zip(&inputs.v).for_each(|(x, &old)| *x += f64::from(old));
            }
            let over_users = Gradient {
                offsets: alloc_u32(backend, "offsets", &inputs.user_offsets).unwrap(),
                columns: alloc_u32(backend, "columns", &inputs.columns).unwrap(),
                order: None,
                residuals,
                factors: v,
                gradient: alloc_f32(backend, "gradient", &inputs.u).unwrap(),
                width: k,
                accumulate,
            };
            let actual = play(backend, over_users.dispatch().unwrap(), over_users.gradient);
            assert_close(&format!("ΔV, {what}"), &actual, &dv, tolerance);
            let over_items = Gradient {
                offsets: alloc_u32(backend, "offsets", &inputs.item_offsets).unwrap(),
                columns: alloc_u32(backend, "columns", &inputs.item_columns).unwrap(),
                order: Some(alloc_u32(backend, "order", &inputs.item_order).unwrap()),
                residuals,
                factors: u,
                gradient: alloc_f32(backend, "gradient", &inputs.v).unwrap(),
                width: k,
                accumulate,
            };
            let actual = play(backend, over_items.dispatch().unwrap(), over_items.gradient);
            assert_close(&format!("ΔᵀU, {what}"), &actual, &du, tolerance);
        }
    });
}

#[test]
fn step_gd_moves_every_column_but_the_frozen_one() {
    each(|what, inputs, backend| {
        let k = inputs.rank;
        let rows = inputs.u.len() / k;
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let gradient = uniform(&mut rng, inputs.u.len());
        let penalty = uniform(&mut rng, rows);
        for frozen in [None, Some(0), Some(k - 1)] {
            let expected: Vec<f64> = (0..inputs.u.len())
                .map(|e| {
                    let (w, g, l) =
                        (f64::from(inputs.u[e]), f64::from(gradient[e]), f64::from(penalty[e / k]));
                    if frozen == Some(e % k) { w } else { w + 0.25 * (g - l * w) }
                })
                .collect();
            let call = StepGd {
                gradient: alloc_f32(backend, "gradient", &gradient).unwrap(),
                penalty: alloc_f32(backend, "penalty", &penalty).unwrap(),
                factors: alloc_f32(backend, "factors", &inputs.u).unwrap(),
                width: k,
                frozen,
                rate: 0.25,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.factors);
            assert_close(what, &actual, &expected, ONE_SUM);
        }
    });
}

#[test]
fn copy_is_exact_and_refuses_another_length() {
    for count in [1, 63, 64, 65, 4_099] {
        let values: Vec<f32> = (0..count).map(|i| 1.0 / (i as f32 - 7.3)).collect();
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            let call = CopyValues {
                values: alloc_f32(backend, "values", &values).unwrap(),
                copied: backend.alloc("copied", Element::F32, count).unwrap(),
            };
            assert_eq!(play(backend, call.dispatch().unwrap(), call.copied), values, "{device}");
            let longer = backend.alloc("longer", Element::F32, count + 1).unwrap();
            assert!(CopyValues { copied: longer, ..call }.dispatch().is_err());
        }
    }
}

#[test]
fn sum_squares_gives_one_sum_a_chunk() {
    let chunk = CHUNK as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for count in [1, 63, 64, 65, chunk - 1, chunk, chunk + 1, 3 * chunk + 17] {
        let values = uniform(&mut rng, count);
        for (device, mut backend) in devices::all() {
            for first in [0, 2] {
                let before = vec![9.0; first + partials(count) + 1];
                let call = SumSquares {
                    values: alloc_f32(&mut *backend, "values", &values).unwrap(),
                    partials: alloc_f32(&mut *backend, "partials", &before).unwrap(),
                    first,
                };
                let actual = play(&mut *backend, call.dispatch().unwrap(), call.partials);
                let sums = values.chunks(chunk).map(|c| c.iter().map(|&x| f64::from(x).powi(2)).sum());
                let expected: Vec<f64> =
                    std::iter::repeat_n(9.0, first).chain(sums).chain(std::iter::once(9.0)).collect();
                assert_close(
                    &format!("{count} values, {device}"),
                    &actual,
                    &expected,
                    ONE_SUM * chunk as f64,
                );
            }
        }
    }
}

/// The loss is quadratic in each side, so that central differences of any
/// width are exact but for rounding: −∂(½ΣΔ²)/∂U = ΔV, −∂(½ΣΔ²)/∂V = ΔᵀU.
#[test]
fn the_twins_gradient_is_the_slope_of_the_twins_loss() {
    use deltav::kernel::{gradient, residual};
    for case in crate::support::problems::awkward() {
        let inputs = Inputs::new(&case, 3);
        let cells = inputs.rows.len();
        let params = residual::Params { count: cells as u32, width: 3, low: f32::MIN, high: f32::MAX };
        let delta = |u: &[f32], v: &[f32]| {
            let mut delta = vec![0.0; cells];
            residual::residual(&params, &inputs.rows, &inputs.columns, &inputs.ratings, u, v, &mut delta);
            delta
        };
        let loss =
            |u: &[f32], v: &[f32]| -> f64 { delta(u, v).iter().map(|&d| 0.5 * f64::from(d).powi(2)).sum() };
        let at = delta(&inputs.u, &inputs.v);
        let h = 0.25f32;
        for users in [true, false] {
            let (own, other, offsets, columns, order) = if users {
                (&inputs.u, &inputs.v, &inputs.user_offsets, &inputs.columns, &inputs.columns)
            } else {
                (&inputs.v, &inputs.u, &inputs.item_offsets, &inputs.item_columns, &inputs.item_order)
            };
            let rows = (offsets.len() - 1) as u32;
            let params = gradient::Params { rows, width: 3, ordered: u32::from(!users), accumulate: 0 };
            let mut product = vec![0.0; own.len()];
            gradient::gradient(&params, offsets, columns, order, &at, other, &mut product);
            // Every element of a small side, and a spread of a large one.
            for e in (0..own.len()).step_by(own.len().div_ceil(60)) {
                let moved = |shift: f32| {
                    let mut own = own.clone();
                    own[e] += shift;
                    if users { loss(&own, other) } else { loss(other, &own) }
                };
                let slope = (moved(h) - moved(-h)) / (2.0 * f64::from(h));
                let error = (f64::from(product[e]) + slope).abs();
                let scale = 1.0 + f64::from(product[e]).abs() + loss(&inputs.u, &inputs.v) * 1e-3;
                assert!(error < 1e-3 * scale, "{}, element {e}: {} for {}", case.name, product[e], -slope);
            }
        }
    }
}
