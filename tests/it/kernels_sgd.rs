//! The kernel of stochastic descent, a diagonal at a time: the GPU and the twin
//! against the textbook loop over the same visits in f64.

use deltav::backend::{Backend, alloc_f32, alloc_u32, read_f32};
use deltav::kernel::sgd_diagonal::{STATE, SgdDiagonal};
use deltav::problem::{Blocks, Cells};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::compare::assert_close;
use crate::support::devices;
use crate::support::inputs::uniform;
use crate::support::oracle::State;
use crate::support::oracle_sgd::Stochastic;
use crate::support::problems::{self, Case};

/// One diagonal on values of size 1, a few hundred visits of a row at most.
/// Measured: below 2e-6; f32 rounding, damped by the descent.
const DIAGONAL: f64 = 1e-5;

/// Accumulators: sums of up to a few hundred squares of size 1, relative to their size.
const ACCUMULATORS: f64 = 1e-5;

struct Run {
    rank: usize,
    biased: bool,
    adagrad: bool,
    stride: u32,
    start: u32,
}

/// Runs every diagonal on the device and checks all that it wrote after each.
fn check(case: &Case, count: usize, run: &Run, device: &str, backend: &mut dyn Backend) {
    let ratings = &case.ratings;
    let (m, n, k) = (ratings.users.len(), ratings.items.len(), run.rank);
    let width = k + if run.biased { 2 } else { 0 };
    let cells =
        Cells { rows: ratings.user.clone(), columns: ratings.item.clone(), ratings: ratings.value.clone() };
    let blocks = Blocks::cut(&cells, m, n, count);
    let mut rng = ChaCha8Rng::seed_from_u64(k as u64);
    // Rows of length about 1, whatever the rank.
    let mut draw = |rows: usize, constant: usize| -> Vec<f32> {
        let mut factors = uniform(&mut rng, rows * width);
        factors.iter_mut().for_each(|x| *x /= (k as f32).sqrt());
        if run.biased {
            factors.iter_mut().skip(constant).step_by(width).for_each(|x| *x = 1.0);
        }
        factors
    };
    let (u, v) = (draw(m, k + 1), draw(n, k));
    let penalties = |rows: usize| -> Vec<f32> { (0..rows).map(|r| 0.05 * (r % 5) as f32).collect() };
    let state_of =
        |rows: usize| -> Vec<f32> { penalties(rows).iter().flat_map(|&l| [l, 1.0, 1.0]).collect() };
    let wide = |x: f32| f64::from(x);
    let factors =
        |x: &[f32]| x.chunks(width).map(|row| row[..k].iter().copied().map(wide).collect()).collect();
    let bias = |x: &[f32], column: usize| {
        x.chunks(width).map(|row| if run.biased { wide(row[column]) } else { 0.0 }).collect()
    };
    let state =
        State { u: factors(&u), v: factors(&v), b: bias(&u, k), c: bias(&v, k + 1), biased: run.biased };
    let lambda = |rows| penalties(rows).into_iter().map(wide).collect();
    let rate = 0.1f32;
    let mut expected = Stochastic::new(state, wide(rate), run.adagrad, lambda(m), lambda(n));
    let mut call = SgdDiagonal {
        rows: alloc_u32(backend, "rows", &blocks.cells.rows).unwrap(),
        columns: alloc_u32(backend, "columns", &blocks.cells.columns).unwrap(),
        ratings: alloc_f32(backend, "ratings", &blocks.cells.ratings).unwrap(),
        table: alloc_u32(backend, "table", &blocks.table()).unwrap(),
        row_factors: alloc_f32(backend, "u", &u).unwrap(),
        column_factors: alloc_f32(backend, "v", &v).unwrap(),
        row_state: alloc_f32(backend, "state", &state_of(m)).unwrap(),
        column_state: alloc_f32(backend, "state", &state_of(n)).unwrap(),
        width,
        rank: k,
        blocks: count,
        diagonal: 0,
        stride: run.stride,
        start: run.start,
        rate,
        adagrad: run.adagrad,
    };
    // Not in order; every one, as the counts are odd.
    for d in 0..count {
        call.diagonal = (2 * d + 1) % count;
        for block in 0..count {
            let range = blocks.block(block, (block + call.diagonal) % count);
            let cells = range.len() as u64;
            for i in 0..cells {
                let at = (u64::from(run.start) + i * u64::from(run.stride)) % cells;
                let p = range.start + at as usize;
                let (r, c) = (blocks.cells.rows[p] as usize, blocks.cells.columns[p] as usize);
                expected.visit(r, c, wide(blocks.cells.ratings[p]));
            }
        }
        backend.dispatch(&[call.dispatch().unwrap()]).unwrap();
        let what = format!(
            "{}, rank {k}, biased {}, adagrad {}, stride {}, {count} blocks, diagonal {}, {device}",
            case.name, run.biased, run.adagrad, run.stride, call.diagonal
        );
        let wanted = |rows: &[Vec<f64>], bias: &[f64], users: bool| -> Vec<f64> {
            rows.iter()
                .zip(bias)
                .flat_map(|(row, &bias)| {
                    let extra = if users { [bias, 1.0] } else { [1.0, bias] };
                    row.iter().copied().chain(extra.into_iter().take(width - k)).collect::<Vec<_>>()
                })
                .collect()
        };
        let s = &expected.state;
        let got = read_f32(backend, call.row_factors).unwrap();
        assert_close(&format!("U: {what}"), &got, &wanted(&s.u, &s.b, true), DIAGONAL);
        let got = read_f32(backend, call.column_factors).unwrap();
        assert_close(&format!("V: {what}"), &got, &wanted(&s.v, &s.c, false), DIAGONAL);
        let [g_u, g_b, g_v, g_c] = expected.accumulators();
        for (name, buffer, factors, biases) in
            [("users", call.row_state, g_u, g_b), ("items", call.column_state, g_v, g_c)]
        {
            let got = read_f32(backend, buffer).unwrap();
            for (row, got) in got.chunks(STATE).enumerate() {
                // Compared as ratios: the accumulators of a busy row are large.
                let ratios = [got[1] / factors[row] as f32, got[2] / biases[row] as f32];
                assert_close(&format!("G of {name} {row}: {what}"), &ratios, &[1.0, 1.0], ACCUMULATORS);
                assert_eq!(got[0], penalties(row + 1)[row], "penalties stay");
            }
        }
    }
}

#[test]
fn a_diagonal_is_the_textbook_loop_over_its_blocks() {
    // Two primes above any block, the first walk in order.
    let walks = [(1, 0), (2_147_483_647, 5), (1_073_741_827, 4_000_000_000)];
    for case in problems::awkward() {
        for (device, mut backend) in devices::all() {
            for (i, rank) in [1, 3, 4, 31, 32, 33, 128].into_iter().enumerate() {
                let (stride, start) = walks[i % walks.len()];
                for biased in [false, true] {
                    let run = Run { rank, biased, adagrad: (i % 2 == 0) == biased, stride, start };
                    check(&case, [1, 3, 5][i % 3], &run, &device, &mut *backend);
                }
            }
        }
    }
}

#[test]
fn a_walk_by_a_prime_meets_every_cell_once() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for count in [1u64, 2, 3, 10, 64, 1000, 46_341] {
        for stride in [2_147_483_647u64, 1_073_741_827] {
            let start = u64::from(rng.random::<u32>());
            let mut seen = vec![false; count as usize];
            for i in 0..count {
                let at = ((start + i * stride) % count) as usize;
                assert!(!std::mem::replace(&mut seen[at], true), "{count} cells by {stride}");
            }
        }
    }
}

#[test]
fn buffers_that_do_not_fit_are_refused() {
    let mut backend = devices::cpu(1);
    let backend: &mut dyn Backend = &mut backend;
    let good = SgdDiagonal {
        rows: alloc_u32(backend, "rows", &[0]).unwrap(),
        columns: alloc_u32(backend, "columns", &[0]).unwrap(),
        ratings: alloc_f32(backend, "ratings", &[1.0]).unwrap(),
        table: alloc_u32(backend, "table", &[0, 1, 0, 1, 0, 1]).unwrap(),
        row_factors: alloc_f32(backend, "u", &[1.0, 0.0, 1.0]).unwrap(),
        column_factors: alloc_f32(backend, "v", &[1.0, 1.0, 0.0]).unwrap(),
        row_state: alloc_f32(backend, "state", &[0.0, 1.0, 1.0]).unwrap(),
        column_state: alloc_f32(backend, "state", &[0.0, 1.0, 1.0]).unwrap(),
        width: 3,
        rank: 1,
        blocks: 1,
        diagonal: 0,
        stride: 1,
        start: 0,
        rate: 0.1,
        adagrad: true,
    };
    good.dispatch().unwrap();
    let two = alloc_f32(backend, "two", &[1.0, 1.0]).unwrap();
    for bad in [
        SgdDiagonal { ratings: two, ..good },
        SgdDiagonal { row_state: two, ..good },
        SgdDiagonal { column_state: good.row_state, ..good },
        SgdDiagonal { diagonal: 1, ..good },
        SgdDiagonal { blocks: 2, ..good },
        SgdDiagonal { rank: 2, ..good },
    ] {
        assert!(bad.dispatch().is_err(), "{bad:?}");
    }
}
