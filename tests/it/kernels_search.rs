//! The line search's kernels, one at a time: on every device against the
//! definition in f64.

use deltav::backend::{Backend, Buffer, alloc_f32, alloc_u32, read_f32};
use deltav::kernel::Element;
use deltav::kernel::column_moments::{BLOCK, ColumnMoments, blocks};
use deltav::kernel::extrapolate::Extrapolate;
use deltav::kernel::row_curvature::RowCurvature;
use deltav::kernel::row_direction::RowDirection;
use deltav::kernel::row_step::RowStep;
use deltav::kernel::row_sums::{RowSums, stride};
use deltav::kernel::sum::Sum;
use deltav::kernel::sum_squares::{CHUNK, partials};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::compare::{ONE_SUM, assert_close};
use crate::support::devices;
use crate::support::inputs::{Inputs, each, play, uniform};

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

/// What stands in the sums before a call that replaces them must not matter: not even NaN.
fn stale(before: &[f32], accumulate: bool, k: usize) -> Vec<f32> {
    let replaced = |e: usize| e % stride(k) < 3 * k || e % stride(k) == 4 * k;
    let nan = |e: usize| !accumulate && replaced(e);
    before.iter().enumerate().map(|(e, &x)| if nan(e) { f32::NAN } else { x }).collect()
}

/// The cells of each user's or item's row: (other, rating).
fn rows_of(inputs: &Inputs, users: bool) -> Vec<Vec<(usize, f64)>> {
    let count = if users { inputs.user_offsets.len() } else { inputs.item_offsets.len() } - 1;
    let mut rows = vec![Vec::new(); count];
    for p in 0..inputs.rows.len() {
        let (i, j) = (inputs.rows[p] as usize, inputs.columns[p] as usize);
        let (row, other) = if users { (i, j) } else { (j, i) };
        rows[row].push((other, f64::from(inputs.ratings[p])));
    }
    rows
}

#[test]
fn row_sums_are_the_sums_over_the_cells() {
    each(|what, inputs, backend| {
        let k = inputs.rank;
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for users in [true, false] {
            let (w, x) = if users { (&inputs.u, &inputs.v) } else { (&inputs.v, &inputs.u) };
            let t: Vec<f32> = uniform(&mut rng, x.len()).iter().map(|t| t.abs()).collect();
            for (accumulate, spread) in [(false, true), (true, true), (false, false)] {
                let before = uniform(&mut rng, w.len() / k * stride(k));
                let keep = f64::from(u8::from(accumulate));
                let mut expected = wide(&before);
                for (row, cells) in rows_of(inputs, users).iter().enumerate() {
                    let sums = &mut expected[row * stride(k)..(row + 1) * stride(k)];
                    sums[..3 * k].iter_mut().for_each(|s| *s *= keep);
                    sums[4 * k] *= keep;
                    for &(other, rating) in cells {
                        let at = |m: &[f32], row: usize, f: usize| f64::from(m[row * k + f]);
                        let e = rating - (0..k).map(|f| at(w, row, f) * at(x, other, f)).sum::<f64>();
                        for f in 0..k {
                            sums[f] += e * at(x, other, f);
                            sums[k + f] += at(x, other, f).powi(2);
                            sums[2 * k + f] += if spread { at(&t, other, f) } else { 0.0 };
                        }
                        sums[4 * k] += e * e;
                    }
                }
                let (offsets, columns) = if users {
                    (&inputs.user_offsets, &inputs.columns)
                } else {
                    (&inputs.item_offsets, &inputs.item_columns)
                };
                let call = RowSums {
                    offsets: alloc_u32(backend, "offsets", offsets).unwrap(),
                    columns: alloc_u32(backend, "columns", columns).unwrap(),
                    order: (!users).then(|| alloc_u32(backend, "order", &inputs.item_order).unwrap()),
                    ratings: alloc_f32(backend, "ratings", &inputs.ratings).unwrap(),
                    factors: alloc_f32(backend, "w", w).unwrap(),
                    others: alloc_f32(backend, "x", x).unwrap(),
                    variances: spread.then(|| alloc_f32(backend, "t", &t).unwrap()),
                    sums: alloc_f32(backend, "sums", &stale(&before, accumulate, k)).unwrap(),
                    width: k,
                    accumulate,
                };
                let actual = play(backend, call.dispatch().unwrap(), call.sums);
                // Σ e² of 300 cells of size up to 30 at rank 128: the largest sum here.
                let largest = expected.iter().fold(1.0f64, |a, b| a.max(b.abs()));
                assert_close(what, &actual, &expected, ONE_SUM * 10.0 * largest);
            }
        }
    });
}

/// Random sums, as row_direction finds them.
struct Row {
    k: usize,
    sums: Vec<f32>,
    factors: Vec<f32>,
    means: Vec<f32>,
    penalty: Vec<f32>,
    prior: Vec<f32>,
}

impl Row {
    fn new(rows: usize, k: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64((rows * 1000 + k) as u64);
        let mut sums = uniform(&mut rng, rows * stride(k));
        // Sums of squares and of variances are not negative; some rows are empty.
        for (row, sums) in sums.chunks_mut(stride(k)).enumerate() {
            let scale = if row % 5 == 3 { 0.0 } else { 3.0 };
            sums[..k].iter_mut().for_each(|s| *s *= scale);
            sums[k..3 * k].iter_mut().for_each(|s| *s = s.abs() * scale);
            sums[4 * k..].iter_mut().for_each(|s| *s = s.abs() * scale);
        }
        Self {
            k,
            sums,
            factors: uniform(&mut rng, rows * k),
            means: uniform(&mut rng, rows * k),
            penalty: (0..rows)
                .map(|row| if row % 5 == 3 { 0.0 } else { rng.random_range(0.1..2.0) })
                .collect(),
            prior: (0..k).map(|_| rng.random_range(0.1..2.0)).collect(),
        }
    }

    fn rho(&self, row: usize, f: usize, fixed: bool) -> f64 {
        match fixed {
            false => f64::from(self.prior[f]),
            true => f64::from(self.penalty[row]),
        }
    }

    fn sum(&self, row: usize, part: usize, f: usize) -> f64 {
        f64::from(self.sums[row * stride(self.k) + part * self.k + f])
    }
}

#[test]
fn row_direction_is_the_gradient_over_the_curvature() {
    for (rows, k) in [(1, 1), (7, 3), (70, 34), (9, 130)] {
        let row = Row::new(rows, k);
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            for (fixed, centered, noise) in [(true, false, 0.0), (false, false, 0.7), (false, true, 0.7)] {
                let frozen = (k > 2).then(|| k - 1);
                let (mut sums, mut variances) = (wide(&row.sums), vec![0.0; rows * k]);
                let mut energy = vec![0.0; rows];
                for r in 0..rows {
                    energy[r] = f64::from(row.sums[r * stride(k) + 4 * k]);
                    for f in 0..k {
                        let (g, s1, s2) = (row.sum(r, 0, f), row.sum(r, 1, f), row.sum(r, 2, f));
                        let rho = row.rho(r, f, fixed);
                        let w = f64::from(row.factors[r * k + f]);
                        let m = if centered { f64::from(row.means[r * k + f]) } else { 0.0 };
                        let h = s1 + s2 + rho;
                        let moves = Some(f) != frozen && h > 0.0;
                        sums[r * stride(k) + 3 * k + f] =
                            if moves { (g - s2 * w - rho * (w - m)) / h } else { 0.0 };
                        let variance = if moves { noise / h } else { 0.0 };
                        variances[r * k + f] = variance;
                        let own = if fixed { rho * w * w } else { variance * (s1 + s2) };
                        energy[r] += if moves { own } else { 0.0 } + w * w * s2;
                    }
                }
                let call = RowDirection {
                    factors: alloc_f32(backend, "w", &row.factors).unwrap(),
                    means: centered.then(|| alloc_f32(backend, "m", &row.means).unwrap()),
                    penalty: alloc_f32(backend, "penalty", &row.penalty).unwrap(),
                    prior: alloc_f32(backend, "prior", &row.prior).unwrap(),
                    sums: alloc_f32(backend, "sums", &row.sums).unwrap(),
                    variances: backend.alloc("variances", Element::F32, rows * k).unwrap(),
                    energy: backend.alloc("energy", Element::F32, rows).unwrap(),
                    width: k,
                    fixed,
                    frozen,
                    noise: noise as f32,
                };
                let what = format!("{rows} rows, {k} wide, fixed {fixed}, {device}");
                let actual = play(backend, call.dispatch().unwrap(), call.sums);
                assert_close(&format!("direction, {what}"), &actual, &sums, 1e-4);
                let read = |backend: &mut dyn Backend, buffer: Buffer| read_f32(backend, buffer).unwrap();
                assert_close(&format!("variances, {what}"), &read(backend, call.variances), &variances, 1e-5);
                assert_close(&format!("energy, {what}"), &read(backend, call.energy), &energy, 1e-4);
            }
        }
    }
}

#[test]
fn row_curvature_is_the_sum_of_squares_along_the_direction() {
    each(|what, inputs, backend| {
        let k = inputs.rank;
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let before = uniform(&mut rng, inputs.u.len() / k * stride(k));
        for accumulate in [false, true] {
            let mut expected = wide(&before);
            for (row, cells) in rows_of(inputs, true).iter().enumerate() {
                let sums = &mut expected[row * stride(k)..(row + 1) * stride(k)];
                let along = |other: usize| -> f64 {
                    (0..k).map(|f| sums[3 * k + f] * f64::from(inputs.v[other * k + f])).sum()
                };
                let total: f64 = cells.iter().map(|&(other, _)| along(other).powi(2)).sum();
                sums[4 * k + 1] = if accumulate { sums[4 * k + 1] } else { 0.0 } + total;
            }
            let call = RowCurvature {
                offsets: alloc_u32(backend, "offsets", &inputs.user_offsets).unwrap(),
                columns: alloc_u32(backend, "columns", &inputs.columns).unwrap(),
                others: alloc_f32(backend, "x", &inputs.v).unwrap(),
                sums: alloc_f32(backend, "sums", &before).unwrap(),
                width: k,
                accumulate,
            };
            let actual = play(backend, call.dispatch().unwrap(), call.sums);
            let largest = expected.iter().fold(1.0f64, |a, b| a.max(b.abs()));
            assert_close(what, &actual, &expected, ONE_SUM * 10.0 * largest);
        }
    });
}

#[test]
fn row_step_goes_to_the_minimum_along_the_direction() {
    for (rows, k) in [(1, 1), (7, 3), (70, 34), (9, 130)] {
        let row = Row::new(rows, k);
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            for fixed in [true, false] {
                let frozen = (k > 2).then(|| k - 1);
                let (mut factors, mut cost) = (wide(&row.factors), vec![0.0; rows]);
                for r in 0..rows {
                    let (mut above, mut below) = (0.0, f64::from(row.sums[r * stride(k) + 4 * k + 1]));
                    for f in 0..k {
                        let d = row.sum(r, 3, f);
                        let rest = row.sum(r, 2, f) + row.rho(r, f, fixed);
                        above += (row.sum(r, 1, f) + rest) * d * d;
                        below += rest * d * d;
                    }
                    for f in 0..k {
                        let w = &mut factors[r * k + f];
                        *w += if below > 0.0 { above / below * row.sum(r, 3, f) } else { 0.0 };
                        let rho = if frozen == Some(f) { 0.0 } else { row.rho(r, f, fixed) };
                        cost[r] += rho * *w * *w;
                    }
                }
                let call = RowStep {
                    sums: alloc_f32(backend, "sums", &row.sums).unwrap(),
                    penalty: alloc_f32(backend, "penalty", &row.penalty).unwrap(),
                    prior: alloc_f32(backend, "prior", &row.prior).unwrap(),
                    factors: alloc_f32(backend, "w", &row.factors).unwrap(),
                    energy: backend.alloc("cost", Element::F32, rows).unwrap(),
                    width: k,
                    fixed,
                    frozen,
                };
                let what = format!("{rows} rows, {k} wide, fixed {fixed}, {device}");
                let actual = play(backend, call.dispatch().unwrap(), call.factors);
                let largest = factors.iter().chain(&cost).fold(1.0f64, |a, b| a.max(b.abs()));
                assert_close(&format!("factors, {what}"), &actual, &factors, 1e-5 * largest);
                let actual = read_f32(backend, call.energy).unwrap();
                assert_close(&format!("cost, {what}"), &actual, &cost, 1e-5 * largest);
            }
        }
    }
}

#[test]
fn extrapolate_goes_on_and_keeps_the_old() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    for count in [1, 64, 65, 5000] {
        let (w, before) = (uniform(&mut rng, count), uniform(&mut rng, count));
        let expected: Vec<f64> = w
            .iter()
            .zip(&before)
            .map(|(&w, &b)| f64::from(w) + 0.4 * (f64::from(w) - f64::from(b)))
            .collect();
        for (device, mut backend) in devices::all() {
            let call = Extrapolate {
                factors: alloc_f32(&mut *backend, "w", &w).unwrap(),
                previous: alloc_f32(&mut *backend, "previous", &before).unwrap(),
                beta: 0.4,
            };
            let actual = play(&mut *backend, call.dispatch().unwrap(), call.factors);
            assert_close(&device, &actual, &expected, ONE_SUM);
            assert_eq!(read_f32(&mut *backend, call.previous).unwrap(), w, "{device}");
        }
    }
}

#[test]
fn sum_gives_one_sum_a_chunk() {
    let chunk = CHUNK as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for count in [1, 64, 65, chunk, chunk + 1, 2 * chunk + 9] {
        let values = uniform(&mut rng, count);
        for (device, mut backend) in devices::all() {
            let call = Sum {
                values: alloc_f32(&mut *backend, "values", &values).unwrap(),
                partials: backend.alloc("partials", Element::F32, partials(count) + 1).unwrap(),
                first: 1,
            };
            let actual = play(&mut *backend, call.dispatch().unwrap(), call.partials);
            let sums = values.chunks(chunk).map(|c| c.iter().copied().map(f64::from).sum());
            let expected: Vec<f64> = std::iter::once(0.0).chain(sums).collect();
            assert_close(&format!("{count}, {device}"), &actual, &expected, ONE_SUM * chunk as f64);
        }
    }
}

#[test]
fn column_moments_leave_rows_without_ratings_out() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for (rows, k) in [(1, 1), (255, 3), (256, 3), (600, 66)] {
        let (w, m, t) =
            (uniform(&mut rng, rows * k), uniform(&mut rng, rows * k), uniform(&mut rng, rows * k));
        let counts: Vec<f32> = (0..rows).map(|row| (row % 3) as f32).collect();
        for (device, mut backend) in devices::all() {
            for centered in [false, true] {
                let mut expected = vec![0.0; (blocks(rows) + 1) * k];
                for r in (0..rows).filter(|r| r % 3 != 0) {
                    for f in 0..k {
                        let m = if centered { f64::from(m[r * k + f]) } else { 0.0 };
                        expected[(1 + r / BLOCK as usize) * k + f] +=
                            (f64::from(w[r * k + f]) - m).powi(2) + f64::from(t[r * k + f]);
                    }
                }
                let call = ColumnMoments {
                    factors: alloc_f32(&mut *backend, "w", &w).unwrap(),
                    means: centered.then(|| alloc_f32(&mut *backend, "m", &m).unwrap()),
                    variances: alloc_f32(&mut *backend, "t", &t).unwrap(),
                    counts: alloc_f32(&mut *backend, "counts", &counts).unwrap(),
                    partials: backend.alloc("partials", Element::F32, expected.len()).unwrap(),
                    width: k,
                    first: 1,
                };
                let actual = play(&mut *backend, call.dispatch().unwrap(), call.partials);
                assert_close(&format!("{rows} rows, {device}"), &actual, &expected, 1e-4);
            }
        }
    }
}
