//! The kernels of momentum, Adam and alternating least squares, one at a time:
//! the GPU and the twin against the definition in f64.

use deltav::backend::{Backend, alloc_f32, alloc_u32, read_f32};
use deltav::kernel::Element;
use deltav::kernel::cholesky::{Cholesky, RIDGE};
use deltav::kernel::normal_equations::{NormalEquations, stride};
use deltav::kernel::step_adam::StepAdam;
use deltav::kernel::step_momentum::StepMomentum;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::compare::{ONE_SUM, assert_close};
use crate::support::devices;
use crate::support::inputs::{Inputs, each, play, uniform};
use crate::support::oracle_steps::solve;

/// A solution of a system of size 1 whose least eigenvalue is 1 and whose
/// trace is up to 150: f32 rounding times that ratio. Measured: below 4e-6.
const SOLUTION: f64 = 2e-5;

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[test]
fn step_momentum_is_heavy_ball_or_nesterov() {
    each(|what, inputs, backend| {
        let (k, elements) = (inputs.rank, inputs.u.len());
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let gradient = uniform(&mut rng, elements);
        let penalty = uniform(&mut rng, elements / k);
        let velocity = uniform(&mut rng, elements);
        for (nesterov, frozen) in [(false, None), (true, None), (false, Some(0)), (true, Some(k - 1))] {
            let mut expected = [wide(&velocity), wide(&inputs.u)];
            for e in (0..elements).filter(|e| frozen != Some(e % k)) {
                let w = f64::from(inputs.u[e]);
                let s = 0.25 * (f64::from(gradient[e]) - f64::from(penalty[e / k]) * w);
                let v = 0.75 * f64::from(velocity[e]) + s;
                expected[0][e] = v;
                expected[1][e] = w + if nesterov { 0.75 * v + s } else { v };
            }
            let call = StepMomentum {
                gradient: alloc_f32(backend, "gradient", &gradient).unwrap(),
                penalty: alloc_f32(backend, "penalty", &penalty).unwrap(),
                velocity: alloc_f32(backend, "velocity", &velocity).unwrap(),
                factors: alloc_f32(backend, "factors", &inputs.u).unwrap(),
                width: k,
                frozen,
                nesterov,
                rate: 0.25,
                beta: 0.75,
            };
            let factors = play(backend, call.dispatch().unwrap(), call.factors);
            let what = format!("{what}, nesterov {nesterov}, frozen {frozen:?}");
            assert_close(&format!("factors, {what}"), &factors, &expected[1], ONE_SUM);
            let velocity = read_f32(backend, call.velocity).unwrap();
            assert_close(&format!("velocity, {what}"), &velocity, &expected[0], ONE_SUM);
        }
    });
}

#[test]
fn step_adam_is_algorithm_1() {
    each(|what, inputs, backend| {
        let (k, elements) = (inputs.rank, inputs.u.len());
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let gradient = uniform(&mut rng, elements);
        let penalty = uniform(&mut rng, elements / k);
        let moments =
            [uniform(&mut rng, elements), uniform(&mut rng, elements).iter().map(|x| x * x).collect()];
        for (step, betas, frozen) in [
            (1, [0.9, 0.999], None),
            (2, [0.5, 0.9], Some(0)),
            (1000, [0.9, 0.999], Some(k - 1)),
            (7, [0.0, 0.0], None),
        ] {
            // At step 1 both moments are 0.
            let old = if step == 1 { [vec![0.0; elements], vec![0.0; elements]] } else { moments.clone() };
            let mut expected = [wide(&old[0]), wide(&old[1]), wide(&inputs.u)];
            for e in (0..elements).filter(|e| frozen != Some(e % k)) {
                let g = f64::from(gradient[e]) - f64::from(penalty[e / k]) * f64::from(inputs.u[e]);
                let m = betas[0] * expected[0][e] + (1.0 - betas[0]) * g;
                let v = betas[1] * expected[1][e] + (1.0 - betas[1]) * g * g;
                let (m_hat, v_hat) = (m / (1.0 - betas[0].powi(step)), v / (1.0 - betas[1].powi(step)));
                expected[0][e] = m;
                expected[1][e] = v;
                expected[2][e] += 0.125 * m_hat / (v_hat.sqrt() + 0.0625);
            }
            let call = StepAdam {
                gradient: alloc_f32(backend, "gradient", &gradient).unwrap(),
                penalty: alloc_f32(backend, "penalty", &penalty).unwrap(),
                first: alloc_f32(backend, "first", &old[0]).unwrap(),
                second: alloc_f32(backend, "second", &old[1]).unwrap(),
                factors: alloc_f32(backend, "factors", &inputs.u).unwrap(),
                width: k,
                frozen,
                step: step as u32,
                rate: 0.125,
                betas,
                epsilon: 0.0625,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.factors);
            let what = format!("{what}, step {step}");
            // ε is large enough that a gradient which cancels to almost nothing makes no large step.
            assert_close(&format!("factors, {what}"), &actual, &expected[2], ONE_SUM);
            let first = read_f32(backend, call.first).unwrap();
            assert_close(&format!("m, {what}"), &first, &expected[0], ONE_SUM);
            let second = read_f32(backend, call.second).unwrap();
            assert_close(&format!("v, {what}"), &second, &expected[1], 2.0 * ONE_SUM);
        }
    });
}

/// A weight that was never pulled stays where it is: 0/(√0 + ε) is 0, even for the least ε.
#[test]
fn step_adam_leaves_a_weight_without_gradient() {
    for (device, mut backend) in devices::all() {
        let backend = &mut *backend;
        for epsilon in [1e-8, 1e-300] {
            let call = StepAdam {
                gradient: alloc_f32(backend, "gradient", &[0.0, 1e-30, 1.0]).unwrap(),
                penalty: alloc_f32(backend, "penalty", &[0.0]).unwrap(),
                first: backend.alloc("first", Element::F32, 3).unwrap(),
                second: backend.alloc("second", Element::F32, 3).unwrap(),
                factors: alloc_f32(backend, "factors", &[0.5, 0.5, 0.5]).unwrap(),
                width: 3,
                frozen: None,
                step: 1,
                rate: 0.25,
                betas: [0.9, 0.999],
                epsilon,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.factors);
            assert_eq!(actual[0], 0.5, "{device}");
            assert!(actual.iter().all(|w| w.is_finite()), "{device}: {actual:?}");
            assert!((actual[2] - 0.75).abs() < 1e-6, "{device}: {actual:?}");
        }
    }
}

/// Row `r`'s system by definition: the packed triangle of Σ x xᵀ, then Σ y·x.
fn system(inputs: &Inputs, r: usize, by_items: bool, frozen: Option<usize>) -> Vec<f64> {
    let k = inputs.rank;
    let mut packed = vec![0.0; k * (k + 3) / 2];
    for p in 0..inputs.rows.len() {
        let (i, j) = (inputs.rows[p] as usize, inputs.columns[p] as usize);
        let (own, other, w, x) =
            if by_items { (j, i, &inputs.v, &inputs.u) } else { (i, j, &inputs.u, &inputs.v) };
        if own != r {
            continue;
        }
        let mut x = wide(&x[other * k..(other + 1) * k]);
        let mut y = f64::from(inputs.ratings[p]);
        if let Some(f) = frozen {
            y -= f64::from(w[own * k + f]) * x[f];
            x[f] = 0.0;
        }
        let mut place = 0;
        for a in 0..k {
            for b in 0..=a {
                packed[place] += x[a] * x[b];
                place += 1;
            }
        }
        for a in 0..k {
            packed[place + a] += y * x[a];
        }
    }
    packed
}

#[test]
fn normal_equations_are_the_sums_over_each_rows_cells() {
    each(|what, inputs, backend| {
        let k = inputs.rank;
        let ratings = alloc_f32(backend, "ratings", &inputs.ratings).unwrap();
        let u = alloc_f32(backend, "u", &inputs.u).unwrap();
        let v = alloc_f32(backend, "v", &inputs.v).unwrap();
        for (by_items, frozen, accumulate) in
            [(false, None, false), (true, Some(k - 1), true), (false, Some(0), true)]
        {
            let (offsets, columns) = if by_items {
                (&inputs.item_offsets, &inputs.item_columns)
            } else {
                (&inputs.user_offsets, &inputs.columns)
            };
            let all = offsets.len() - 1;
            // All rows as one batch, and a batch from the middle in a larger buffer.
            for (first, rows) in [(0, all), (all / 2, (all - all / 2).min(3))] {
                let before: Vec<f32> = (0..(rows + 1) * stride(k)).map(|e| (e % 7) as f32 - 3.0).collect();
                let call = NormalEquations {
                    offsets: alloc_u32(backend, "offsets", offsets).unwrap(),
                    columns: alloc_u32(backend, "columns", columns).unwrap(),
                    order: by_items.then(|| alloc_u32(backend, "order", &inputs.item_order).unwrap()),
                    ratings,
                    factors: if by_items { v } else { u },
                    others: if by_items { u } else { v },
                    systems: alloc_f32(backend, "systems", &before).unwrap(),
                    first,
                    rows,
                    width: k,
                    frozen,
                    accumulate,
                };
                let mut expected = wide(&before);
                for b in 0..rows {
                    let mine = &mut expected[b * stride(k)..(b + 1) * stride(k)];
                    for (e, sum) in mine.iter_mut().zip(system(inputs, first + b, by_items, frozen)) {
                        *e = sum + if accumulate { *e } else { 0.0 };
                    }
                }
                let actual = play(backend, call.dispatch().unwrap(), call.systems);
                let cells = (0..rows).map(|b| offsets[first + b + 1] - offsets[first + b]).max().unwrap();
                let what = format!("{what}, items {by_items}, rows {first} + {rows}");
                // Ratings are up to 5, factors up to 1.
                assert_close(&what, &actual, &expected, ONE_SUM * 5.0 * f64::from(cells.max(2)));
            }
        }
    });
}

/// What one system of `cholesky` starts from.
struct System {
    packed: Vec<f32>,
    w: Vec<f32>,
    lambda: f32,
    count: f32,
}

impl System {
    /// Σ x xᵀ and Σ y·x of `cells` random cells, scaled by `size`.
    fn random(
        rng: &mut ChaCha8Rng,
        k: usize,
        cells: usize,
        frozen: Option<usize>,
        lambda: f32,
        size: f32,
    ) -> Self {
        let mut packed = vec![0.0f32; stride(k)];
        for _ in 0..cells {
            let mut x = uniform(rng, k);
            x.iter_mut().for_each(|x| *x *= size / (k as f32).sqrt());
            if let Some(f) = frozen {
                x[f] = 0.0;
            }
            let y = rng.random_range(-1.0..1.0f32);
            for a in 0..k {
                for b in 0..=a {
                    packed[a * (a + 1) / 2 + b] += x[a] * x[b];
                }
                packed[k * (k + 1) / 2 + a] += y * x[a];
            }
        }
        Self { packed, w: uniform(rng, k), lambda, count: cells as f32 }
    }

    fn element(&self, a: usize, b: usize) -> f64 {
        let (a, b) = (a.max(b), a.min(b));
        f64::from(self.packed[a * (a + 1) / 2 + b])
    }

    fn right(&self, a: usize) -> f64 {
        let k = self.w.len();
        f64::from(self.packed[k * (k + 1) / 2 + a])
    }

    fn trace(&self) -> f64 {
        (0..self.w.len()).map(|a| self.element(a, a)).sum()
    }
}

fn solve_all(backend: &mut dyn Backend, k: usize, frozen: Option<usize>, systems: &[System]) -> Vec<f32> {
    // A row before and after the batch, which must stay as they are.
    let padded = |values: Vec<f32>| [vec![9.0], values, vec![9.0]].concat();
    let w: Vec<f32> = systems.iter().flat_map(|s| s.w.clone()).collect();
    let call = Cholesky {
        penalty: alloc_f32(backend, "penalty", &padded(systems.iter().map(|s| s.lambda).collect())).unwrap(),
        counts: alloc_f32(backend, "counts", &padded(systems.iter().map(|s| s.count).collect())).unwrap(),
        systems: alloc_f32(
            backend,
            "systems",
            &systems.iter().flat_map(|s| s.packed.clone()).collect::<Vec<f32>>(),
        )
        .unwrap(),
        factors: alloc_f32(backend, "factors", &[vec![7.0; k], w, vec![7.0; k]].concat()).unwrap(),
        first: 1,
        rows: systems.len(),
        width: k,
        frozen,
    };
    let actual = play(backend, call.dispatch().unwrap(), call.factors);
    assert!(actual[..k].iter().chain(&actual[actual.len() - k..]).all(|&w| w == 7.0));
    actual[k..actual.len() - k].to_vec()
}

#[test]
fn cholesky_solves_each_system() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for k in [1, 2, 3, 4, 7, 8, 9, 31, 32, 33, 34, 63, 64, 65, 128, 130] {
        for frozen in [None, Some(0), Some(k - 1)] {
            let systems: Vec<System> = [0, 1, k / 2 + 1, k, 150]
                .into_iter()
                .map(|cells| System::random(&mut rng, k, cells, frozen, 1.0, 1.0))
                .collect();
            let mut expected = Vec::new();
            for s in &systems {
                let mut equations = Vec::new();
                for a in 0..k {
                    let mut row: Vec<f64> = (0..k).map(|b| s.element(a, b)).collect();
                    row[a] += 1.0;
                    row.push(s.right(a));
                    equations.push(row);
                }
                let mut w = solve(equations);
                if let Some(f) = frozen {
                    w[f] = f64::from(s.w[f]);
                }
                // Without ratings a row stays as it is.
                expected.extend(if s.count == 0.0 { wide(&s.w) } else { w });
            }
            for (device, mut backend) in devices::all() {
                let actual = solve_all(&mut *backend, k, frozen, &systems);
                assert_close(
                    &format!("width {k}, frozen {frozen:?}, {device}"),
                    &actual,
                    &expected,
                    SOLUTION,
                );
            }
        }
    }
}

/// λ = 0 and fewer ratings than columns, at every scale: a solution all the same.
#[test]
fn cholesky_solves_singular_systems() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for k in [2, 4, 33, 130] {
        for size in [0.0, 1e-6, 1.0, 1e6] {
            let systems: Vec<System> =
                [1, k / 2, k - 1].map(|cells| System::random(&mut rng, k, cells, None, 0.0, size)).into();
            for (device, mut backend) in devices::all() {
                let actual = solve_all(&mut *backend, k, None, &systems);
                for (s, w) in systems.iter().zip(actual.chunks(k)) {
                    assert!(w.iter().all(|w| w.is_finite()), "width {k}, size {size}, {device}");
                    if size == 0.0 {
                        assert_eq!(w, s.w, "nothing pulls it: width {k}, {device}");
                        continue;
                    }
                    // ‖A·w − b‖ against ‖A‖·‖w‖ + ‖b‖: the ridge's pull to the old w, and the
                    // k·eps of a Cholesky factorisation (Higham 2002, theorem 10.4).
                    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
                    let w = wide(w);
                    let residual: Vec<f64> = (0..k)
                        .map(|a| (0..k).map(|b| s.element(a, b) * w[b]).sum::<f64>() - s.right(a))
                        .collect();
                    let right: Vec<f64> = (0..k).map(|a| s.right(a)).collect();
                    let part = f64::from(RIDGE) + k as f64 * f64::from(f32::EPSILON);
                    let limit = 2.0 * part * (s.trace() * norm(&w) + norm(&right));
                    let size = norm(&residual);
                    assert!(size <= limit, "width {k}, {device}: {size:e} exceeds {limit:e}");
                }
            }
        }
    }
}
