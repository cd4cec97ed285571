//! The kernels that find a row's sums in parts, on every device and in every mapping against the
//! definition in f64.

use deltav::backend::{Backend, alloc_f32, alloc_u32, read_f32};
use deltav::kernel::Element;
use deltav::kernel::fused::{Columns, Packing};
use deltav::kernel::join_parts::JoinParts;
use deltav::kernel::row_bend::RowBend;
use deltav::kernel::row_direction::RowDirection;
use deltav::kernel::row_gradient::RowGradient;
use deltav::kernel::row_part::{self, RowPart};
use deltav::kernel::row_step::RowStep;
use deltav::kernel::row_sums;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::kernels_rows::{Bound, Case, Data, check, each, twice};
use crate::support::devices;
use crate::support::inputs::{play, uniform};

/// Columns of rows of a stride, as a matrix of their own.
fn columns_of<T: Copy>(values: &[T], stride: usize, from: usize, count: usize) -> Vec<T> {
    values.chunks(stride).flat_map(|row| row[from..from + count].to_vec()).collect()
}

/// The other side's factors, bias, and their variances in each cell of a row.
fn met(case: &Case, data: &Data, local: usize) -> Vec<[Vec<f64>; 2]> {
    let cells = data.offsets[local] as usize..data.offsets[local + 1] as usize;
    data.cells[cells].iter().map(|&(other, _)| data.gathered(case, other)).collect()
}

#[test]
fn a_part_has_the_sums_over_the_row_s_cells() {
    each(|what, case, data, expected, bound, backend| {
        let Bound { rows, cells, long, .. } = *bound;
        let (first, columns, rank) = (data.first, data.columns, case.rank);
        let Columns { width, bias, unit, .. } = columns;
        let factors = alloc_f32(backend, "factors", &data.factors).unwrap();
        for spread in [false, true] {
            let (packed, packing) = bound.packed[usize::from(spread)];
            let planes = if spread { 3 } else { 2 };
            let stride = row_part::stride(width, spread);
            let mut wanted = vec![vec![0.0f64; data.total * width]; 3];
            wanted[0].clone_from(&expected.gradient);
            for local in 0..case.lengths.len() {
                let base = (first + local) * width;
                let met = met(case, data, local);
                for [x, t] in &met {
                    for f in 0..rank {
                        wanted[1][base + f] += x[f] * x[f];
                        wanted[2][base + f] += t[f];
                    }
                    if bias.is_some() {
                        // The column of the constant has the variance of the other side's bias.
                        wanted[2][base + rank + 1] += t[rank];
                    }
                }
                if let Some(bias) = bias {
                    wanted[1][base + bias] = met.len() as f64 * f64::from(unit).powi(2);
                }
            }
            let before = vec![7.0f32; data.total * stride];
            let parts = alloc_f32(backend, "parts", &before).unwrap();
            let place = first;
            let call = RowPart { rows, cells, packed, factors, parts, first, place, long, packing, columns };
            let actual = twice(backend, &[(parts, &before)], &call.dispatch().unwrap(), what).remove(0);
            let before = &before[..data.total * width];
            for (plane, wanted) in wanted.iter().enumerate().take(planes) {
                let actual = columns_of(&actual, stride, plane * width, width);
                check(&format!("plane {plane}, {what}"), data, case, &actual, before, wanted);
            }
            let actual = columns_of(&actual, stride, stride - 1, 1);
            check(&format!("squares, {what}"), data, case, &actual, &before[..data.total], &expected.squares);
        }
    });
}

#[test]
fn a_bend_is_the_sum_of_squares_along_the_direction() {
    each(|what, case, data, _, bound, backend| {
        let Bound { rows, cells, long, .. } = *bound;
        let (first, columns) = (data.first, data.columns);
        let (width, stride) = (columns.width, row_sums::stride(columns.width));
        let mut rng = ChaCha8Rng::seed_from_u64(14);
        let values = uniform(&mut rng, data.total * stride);
        let sums = alloc_f32(backend, "sums", &values).unwrap();
        let mut wanted = vec![0.0f64; data.total];
        for local in 0..case.lengths.len() {
            let d = &values[(first + local) * stride + 3 * width..][..width];
            let bias = columns.bias.map_or(0.0, |bias| f64::from(columns.unit) * f64::from(d[bias]));
            wanted[first + local] = met(case, data, local)
                .iter()
                .map(|[x, _]| {
                    (x[..case.rank].iter().zip(d).map(|(x, &d)| x * f64::from(d)).sum::<f64>() + bias).powi(2)
                })
                .sum();
        }
        for (packed, packing) in bound.packed {
            let before = vec![7.0f32; data.total];
            let parts = alloc_f32(backend, "parts", &before).unwrap();
            let place = first;
            let call = RowBend { rows, cells, packed, sums, parts, first, place, long, packing, columns };
            let actual = twice(backend, &[(parts, &before)], &call.dispatch().unwrap(), what);
            check(what, data, case, &actual[0], &before, &wanted);
        }
    });
}

#[test]
fn parts_and_gradients_stand_where_they_are_asked_for() {
    each(|what, case, data, _, bound, backend| {
        let Bound { rows, cells, long, .. } = *bound;
        let (first, columns, count) = (data.first, data.columns, case.lengths.len());
        let (packed, packing) = bound.packed[0];
        let factors = alloc_f32(backend, "factors", &data.factors).unwrap();
        let sums = vec![0.5; data.total * row_sums::stride(columns.width)];
        let sums = alloc_f32(backend, "sums", &sums).unwrap();
        let mut at = |place: usize| {
            let mut rows_of = |stride: usize, call: &dyn Fn(_) -> _| {
                let result = alloc_f32(backend, "result", &vec![7.0; (place + count) * stride]).unwrap();
                let mut actual = play(backend, call(result), result);
                let mine = actual.split_off(place * stride);
                assert!(actual.iter().all(|&x| x == 7.0), "{what}");
                mine
            };
            [
                rows_of(row_part::stride(columns.width, false), &|parts| {
                    RowPart { rows, cells, packed, factors, parts, first, place, long, packing, columns }
                        .dispatch()
                        .unwrap()
                }),
                rows_of(1, &|parts| {
                    RowBend { rows, cells, packed, sums, parts, first, place, long, packing, columns }
                        .dispatch()
                        .unwrap()
                }),
                rows_of(columns.width, &|gradient| {
                    #[rustfmt::skip]
                    let call = RowGradient {
                        rows, cells, packed, factors, gradient, first, place, long, block: 0, packing, columns,
                    };
                    call.dispatch().unwrap()
                }),
            ]
        };
        let expected = at(first);
        assert_eq!(at(0), expected, "{what}");
        assert_eq!(at(11), expected, "{what}");
    });
}

#[test]
fn parts_are_joined_in_their_places() {
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    for (blocks, rows, columns, body, tail, stride, first) in
        [(1, 1, 1, 0, 0, 1, 0), (3, 5, 7, 6, 9, 11, 2), (8, 70, 33, 33, 0, 40, 1), (64, 9, 1, 0, 4, 6, 3)]
    {
        // Eighths, whose sums are exact in any order.
        let mut eighths =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-99..99) as f32 / 8.0).collect() };
        let values = eighths(blocks * rows * columns + 5);
        let before = eighths((first + rows + 2) * stride);
        let mut expected = before.clone();
        for r in 0..rows {
            for c in 0..columns {
                let to = if c < body { c } else { tail + c - body };
                expected[(first + r) * stride + to] =
                    (0..blocks).map(|b| values[(b * rows + r) * columns + c]).sum();
            }
        }
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            let parts = alloc_f32(backend, "parts", &values).unwrap();
            let totals = alloc_f32(backend, "totals", &before).unwrap();
            let call = JoinParts { parts, totals, blocks, rows, columns, body, tail, stride, first };
            assert_eq!(play(backend, call.dispatch().unwrap(), totals), expected, "{device}");
        }
    }
}

#[test]
fn shapes_that_do_not_agree_are_refused() {
    let backend: &mut dyn Backend = &mut devices::cpu(1);
    let floats = |backend: &mut dyn Backend, n: usize| alloc_f32(backend, "floats", &vec![0.0; n]).unwrap();
    let [parts, totals] = [24, 30].map(|n| floats(backend, n));
    let join =
        JoinParts { parts, totals, blocks: 3, rows: 2, columns: 4, body: 3, tail: 8, stride: 10, first: 1 };
    assert!(join.dispatch().is_ok());
    for wrong in [
        JoinParts { blocks: 4, ..join },
        JoinParts { rows: 3, ..join },
        JoinParts { rows: 0, ..join },
        JoinParts { columns: 5, ..join },
        JoinParts { body: 5, ..join },
        JoinParts { tail: 2, ..join },
        JoinParts { tail: 10, ..join },
        JoinParts { first: 2, ..join },
    ] {
        assert!(wrong.dispatch().is_err(), "{wrong:?}");
    }

    let rows = alloc_u32(backend, "rows", &[0, 1, 2, 0, 1]).unwrap();
    let cells = alloc_u32(backend, "cells", &[0; 4]).unwrap();
    let packing = Packing { rows: 1, lanes: 16, spread: false, half: false };
    let packed = backend.alloc("packed", Element::U32, packing.len()).unwrap();
    let columns = Columns { width: 6, rank: 4, bias: Some(5), unit: 1.0 };
    let (first, place, long) = (1, 2, 0);
    let [factors, parts] = [18, 4 * 13].map(|n| floats(backend, n));
    let part = RowPart { rows, cells, packed, factors, parts, first, place, long, packing, columns };
    assert!(part.dispatch().is_ok());
    for wrong in [
        RowPart { first: 2, ..part },
        RowPart { place: 3, ..part },
        RowPart { long: 3, ..part },
        RowPart { packing: Packing { spread: true, ..packing }, ..part },
        RowPart { columns: Columns { bias: Some(3), ..columns }, ..part },
        RowPart { columns: Columns { rank: 5, ..columns }, ..part },
    ] {
        assert!(wrong.dispatch().is_err(), "{wrong:?}");
    }
    let [sums, bends] = [3 * 26, 4].map(|n| floats(backend, n));
    let bend = RowBend { rows, cells, packed, sums, parts: bends, first, place, long, packing, columns };
    assert!(bend.dispatch().is_ok());
    for wrong in [RowBend { first: 2, ..bend }, RowBend { place: 3, ..bend }, RowBend { long: 3, ..bend }] {
        assert!(wrong.dispatch().is_err(), "{wrong:?}");
    }

    // The twins take the constant column for one of the last two.
    let [penalty, energy, prior, variances] = [3, 3, 6, 18].map(|n| floats(backend, n));
    let (width, fixed, noise, means) = (6, true, 0.0, None);
    for (frozen, right) in
        [(None, true), (Some(4), true), (Some(5), true), (Some(3), false), (Some(6), false)]
    {
        #[rustfmt::skip]
        let direction = RowDirection {
            factors, means, penalty, prior, sums, variances, energy, width, fixed, frozen, noise,
        };
        assert_eq!(direction.dispatch().is_ok(), right, "{frozen:?}");
        let step = RowStep { sums, penalty, prior, factors, energy, width, fixed, frozen };
        assert_eq!(step.dispatch().is_ok(), right, "{frozen:?}");
    }
    assert_eq!(read_f32(backend, factors).unwrap(), vec![0.0; 18]);
}
