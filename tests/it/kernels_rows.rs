//! The fused kernels on rows of every length: each mapping of every adapter and the twin against
//! the definition in f64, in both precisions, and the same bits twice.

use deltav::backend::{Backend, Buffer, alloc_f32, alloc_u32, read_f32};
use deltav::kernel::fused::{Columns, Packing};
use deltav::kernel::pack_rows::PackRows;
use deltav::kernel::row_gradient::RowGradient;
use deltav::kernel::row_loss::RowLoss;
use deltav::kernel::row_pass::RowPass;
use deltav::kernel::row_pass_learned::RowPassLearned;
use deltav::kernel::row_pattern::RowPattern;
use deltav::kernel::template::Mapping;
use deltav::kernel::{Dispatch, Element};
use half::f16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::compare::assert_close;
use crate::support::devices;
use crate::support::inputs::uniform;

/// Rounding of a row's sums and of what follows from them, relative to the largest result.
const ROWS: f64 = 3e-5;

/// A chunk of rows with what they gather.
pub struct Case {
    pub rank: usize,
    /// Cells of each row of the chunk.
    pub lengths: Vec<usize>,
    /// Rows from which on a row has a workgroup: cells.
    pub long: usize,
    pub others: usize,
    pub bias: bool,
    pub half: bool,
}

/// Every length of row beside every rank: none, one, a few, more than a workgroup has lanes.
fn cases() -> Vec<Case> {
    let mixed = vec![0, 1, 3, 0, 17, 70, 2, 150, 9, 1, 64, 33, 0, 257, 5];
    let mut cases = Vec::new();
    for (i, rank) in [1, 4, 6, 20, 33, 36, 64, 100, 132].into_iter().enumerate() {
        let (lengths, long) = (mixed.clone(), [usize::MAX, 60, 2][i % 3]);
        cases.push(Case { rank, lengths, long, others: 41 + i, bias: i % 4 != 1, half: i % 2 == 1 });
    }
    // As long as one of many users or items, and as short as can be.
    for (long, half) in [(512, false), (usize::MAX, true)] {
        cases.push(Case { rank: 9, lengths: vec![40, 3000, 1, 700], long, others: 300, bias: true, half });
    }
    cases.push(Case { rank: 5, lengths: vec![1], long: 1, others: 1, bias: true, half: false });
    cases.push(Case { rank: 5, lengths: vec![0], long: usize::MAX, others: 1, bias: false, half: false });
    cases
}

/// A case as numbers: `[rows, width]` matrices of the whole side, which has rows beside the chunk's.
pub struct Data {
    pub columns: Columns,
    /// Columns of the other side, whose bias stands elsewhere.
    pub other_columns: Columns,
    pub first: usize,
    pub total: usize,
    pub offsets: Vec<u32>,
    pub cells: Vec<(usize, f32)>,
    pub factors: Vec<f32>,
    pub means: Vec<f32>,
    pub penalty: Vec<f32>,
    pub prior: Vec<f32>,
    pub others: Vec<f32>,
    pub other_variances: Vec<f32>,
    pub noise: f32,
}

impl Data {
    fn new(case: &Case) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(case.rank as u64);
        let width = case.rank + if case.bias { 2 } else { 0 };
        let unit = if case.bias { 0.75 } else { 0.0 };
        let columns = |bias| Columns { width, rank: case.rank, bias: case.bias.then_some(bias), unit };
        let (first, total) = (3, case.lengths.len() + 5);
        let mut offsets = vec![0];
        let mut cells = Vec::new();
        for &length in &case.lengths {
            cells.extend(
                (0..length).map(|_| (rng.random_range(0..case.others), rng.random_range(-2.0..2.0f32))),
            );
            offsets.push(cells.len() as u32);
        }
        let mut positive = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(0.1..1.5f32)).collect() };
        let (penalty, prior) = (positive(total), positive(width));
        let other_variances = positive(case.others * width);
        let mut matrix = |rows: usize| uniform(&mut rng, rows * width);
        Self {
            columns: columns(case.rank),
            other_columns: columns(case.rank + 1),
            first,
            total,
            offsets,
            cells,
            factors: matrix(total),
            means: matrix(total),
            penalty,
            prior,
            others: matrix(case.others),
            other_variances,
            noise: 0.3,
        }
    }

    /// The other side's factors, bias, and their variances of a row, as f64 of what is gathered.
    pub fn gathered(&self, case: &Case, other: usize) -> [Vec<f64>; 2] {
        [&self.others, &self.other_variances].map(|matrix| {
            let row = &matrix[other * self.columns.width..(other + 1) * self.columns.width];
            let rounded = row[..case.rank].iter().map(|&x| match case.half {
                true => f64::from(f16::from_f32(x).to_f32()),
                false => f64::from(x),
            });
            let bias = self.other_columns.bias.map_or(0.0, |b| f64::from(row[b]));
            rounded.chain([bias]).collect()
        })
    }

    /// What the definition says of a row: the gradient, Σ x and Σ e² from the factors as they are,
    /// and the row after the two line searches.
    fn expected(&self, case: &Case) -> Expected {
        let (width, rank) = (self.columns.width, case.rank);
        let mut all = Expected::new(self.total, width);
        for local in 0..case.lengths.len() {
            let row = self.first + local;
            let w: Vec<f64> = self.factors[row * width..][..width].iter().map(|&x| f64::from(x)).collect();
            // The columns that move, the bias behind the factors: x is κ there in every cell.
            let mine: Vec<usize> = (0..rank).chain(self.columns.bias).collect();
            let unit = f64::from(self.columns.unit);
            let mut xs = Vec::new();
            for &(other, target) in
                &self.cells[self.offsets[local] as usize..self.offsets[local + 1] as usize]
            {
                let [mut x, mut t] = self.gathered(case, other);
                let (c, spread) = (x.pop().unwrap(), t.pop().unwrap());
                if self.columns.bias.is_some() {
                    x.push(unit);
                    t.push(0.0);
                }
                let product: f64 = mine.iter().zip(&x).map(|(&f, x)| w[f] * x).sum();
                let e = f64::from(target) - product - unit * c;
                xs.push(Met { x, t, e, spread: unit * unit * spread });
            }
            let sum = |term: &dyn Fn(&Met) -> f64| xs.iter().map(term).sum::<f64>();
            for (i, &f) in mine.iter().enumerate() {
                all.gradient[row * width + f] = sum(&|met| met.e * met.x[i]);
                if f < rank {
                    all.pattern[row * width + f] = sum(&|met| met.x[i]);
                }
            }
            all.squares[row] = sum(&|met| met.e * met.e);
            // Both searches: ρ and m, and whether there are variances.
            let rho =
                |learned: bool, f: usize| f64::from(if learned { self.prior[f] } else { self.penalty[row] });
            for learned in [false, true] {
                let out = &mut all.searches[usize::from(learned)];
                let spread = f64::from(u8::from(learned));
                let mut energy = all.squares[row] + spread * sum(&|met| met.spread);
                let mut d = vec![0.0; mine.len()];
                let (mut above, mut below) = (0.0, 0.0);
                for (i, &f) in mine.iter().enumerate() {
                    let (s1, s2) = (sum(&|met| met.x[i] * met.x[i]), spread * sum(&|met| met.t[i]));
                    let m = spread * f64::from(self.means[row * width + f]);
                    let h = s1 + s2 + rho(learned, f);
                    d[i] = (all.gradient[row * width + f] - s2 * w[f] - rho(learned, f) * (w[f] - m)) / h;
                    above += h * d[i] * d[i];
                    below += (s2 + rho(learned, f)) * d[i] * d[i];
                    let variance = f64::from(self.noise) / h;
                    out.variances[row * width + f] = variance;
                    energy += match learned {
                        true => variance * (s1 + s2) + w[f] * w[f] * s2,
                        false => rho(learned, f) * w[f] * w[f],
                    };
                }
                below += sum(&|met| met.x.iter().zip(&d).map(|(x, d)| x * d).sum::<f64>().powi(2));
                out.energy[row] = energy;
                for (&f, d) in mine.iter().zip(&d) {
                    let moved = w[f] + above / below * d;
                    out.factors[row * width + f] = moved;
                    out.cost[row] += rho(learned, f) * moved * moved;
                }
            }
        }
        all
    }
}

/// What a row meets in a cell: x and its variances, e, and κ² times the variance of c.
struct Met {
    x: Vec<f64>,
    t: Vec<f64>,
    e: f64,
    spread: f64,
}

pub struct Search {
    factors: Vec<f64>,
    variances: Vec<f64>,
    energy: Vec<f64>,
    cost: Vec<f64>,
}

pub struct Expected {
    pub gradient: Vec<f64>,
    pub pattern: Vec<f64>,
    pub squares: Vec<f64>,
    pub searches: [Search; 2],
}

impl Expected {
    fn new(rows: usize, width: usize) -> Self {
        let matrix = || vec![0.0; rows * width];
        let row = || vec![0.0; rows];
        let search = || Search { factors: matrix(), variances: matrix(), energy: row(), cost: row() };
        let searches = [search(), search()];
        Self { gradient: matrix(), pattern: matrix(), squares: row(), searches }
    }
}

/// The buffers that every call binds.
pub struct Bound {
    pub rows: Buffer,
    pub cells: Buffer,
    pub long: usize,
    pub packed: [(Buffer, Packing); 2],
}

fn bind(case: &Case, data: &Data, backend: &mut dyn Backend) -> Bound {
    let mut order: Vec<u32> = (0..case.lengths.len() as u32).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(case.lengths[row as usize]));
    let rows: Vec<u32> = data.offsets.iter().copied().chain(order).collect();
    let cells: Vec<u32> = data.cells.iter().flat_map(|&(other, y)| [other as u32, y.to_bits()]).collect();
    let cells = if cells.is_empty() { vec![0, 0] } else { cells };
    let whole = if case.half { backend.lanes().max(8) } else { backend.lanes() };
    let factors = alloc_f32(backend, "others", &data.others).unwrap();
    let variances = alloc_f32(backend, "variances", &data.other_variances).unwrap();
    let packed = [false, true].map(|spread| {
        let lanes = case.rank.next_multiple_of(whole);
        let packing = Packing { rows: case.others, lanes, spread, half: case.half };
        let packed = backend.alloc("packed", Element::U32, packing.len()).unwrap();
        let variances = spread.then_some(variances);
        let call = PackRows { factors, variances, packed, packing, columns: data.other_columns };
        backend.dispatch(&[call.dispatch().unwrap()]).unwrap();
        (packed, packing)
    });
    Bound {
        rows: alloc_u32(backend, "rows", &rows).unwrap(),
        cells: alloc_u32(backend, "cells", &cells).unwrap(),
        long: case.lengths.iter().filter(|&&length| length >= case.long).count(),
        packed,
    }
}

/// Runs a call twice on fresh results, and takes what it left; its bits are the same.
pub fn twice(
    backend: &mut dyn Backend,
    results: &[(Buffer, &[f32])],
    call: &Dispatch,
    what: &str,
) -> Vec<Vec<f32>> {
    let [first, second] = [(), ()].map(|()| {
        for (buffer, before) in results {
            backend.write(*buffer, bytemuck::cast_slice(before)).unwrap();
        }
        backend.dispatch(std::slice::from_ref(call)).unwrap();
        results.iter().map(|(buffer, _)| read_f32(backend, *buffer).unwrap()).collect::<Vec<_>>()
    });
    // Nothing here is NaN or −0.
    assert_eq!(first, second, "{what}");
    first
}

/// Within the chunk as expected, outside as it was.
pub fn check(what: &str, data: &Data, case: &Case, actual: &[f32], before: &[f32], expected: &[f64]) {
    let width = actual.len() / data.total;
    let chunk = data.first * width..(data.first + case.lengths.len()) * width;
    let scale = expected.iter().fold(1.0f64, |most, x| most.max(x.abs()));
    let scaled = |values: &[f32]| values.iter().map(|&x| (f64::from(x) / scale) as f32).collect::<Vec<f32>>();
    let wanted: Vec<f64> = expected[chunk.clone()].iter().map(|x| x / scale).collect();
    if wanted.iter().any(|&x| x != 0.0) {
        assert_close(what, &scaled(&actual[chunk.clone()]), &wanted, ROWS);
    } else {
        assert!(actual[chunk.clone()].iter().all(|&x| x == 0.0), "{what}");
    }
    assert_eq!(actual[..chunk.start], before[..chunk.start], "{what}: rows before the chunk");
    assert_eq!(actual[chunk.end..], before[chunk.end..], "{what}: rows behind the chunk");
}

pub fn each(mut test: impl FnMut(&str, &Case, &Data, &Expected, &Bound, &mut dyn Backend)) {
    for (device, mut backend) in devices::all() {
        let mappings: Vec<Option<Mapping>> = match &*device {
            "CPU" => vec![None],
            _ => Mapping::ALL.map(Some).to_vec(),
        };
        for case in cases() {
            let data = Data::new(&case);
            let expected = data.expected(&case);
            for &mapping in &mappings {
                backend.set_mapping(mapping);
                let kept = backend.allocated();
                let bound = bind(&case, &data, &mut *backend);
                let half = if case.half { "f16" } else { "f32" };
                let what = format!("rank {}, {half}, {mapping:?}, {device}", case.rank);
                test(&what, &case, &data, &expected, &bound, &mut *backend);
                backend.release(kept);
            }
        }
    }
}

#[test]
fn a_gradient_a_loss_and_a_pattern_are_sums_over_the_row_s_cells() {
    each(|what, case, data, expected, bound, backend| {
        let (packed, packing) = bound.packed[0];
        let Bound { rows, cells, long, .. } = *bound;
        let (first, columns, block) = (data.first, data.columns, 0);
        let factors = alloc_f32(backend, "factors", &data.factors).unwrap();
        let results = alloc_f32(backend, "results", &data.means).unwrap();
        let squares = alloc_f32(backend, "squares", &data.penalty).unwrap();
        #[rustfmt::skip]
        let gradient = RowGradient {
            rows, cells, packed, factors, gradient: results, first, place: first, long, block, packing, columns,
        };
        let actual = twice(backend, &[(results, &data.means)], &gradient.dispatch().unwrap(), what);
        check(&format!("gradient, {what}"), data, case, &actual[0], &data.means, &expected.gradient);
        let pattern = RowPattern { rows, cells, packed, sums: results, first, long, block, packing, columns };
        let actual = twice(backend, &[(results, &data.means)], &pattern.dispatch().unwrap(), what);
        check(&format!("pattern, {what}"), data, case, &actual[0], &data.means, &expected.pattern);
        let loss = RowLoss { rows, cells, packed, factors, squares, first, long, packing, columns };
        let actual = twice(backend, &[(squares, &data.penalty)], &loss.dispatch().unwrap(), what);
        check(&format!("loss, {what}"), data, case, &actual[0], &data.penalty, &expected.squares);
    });
}

#[test]
fn a_row_s_line_search_ends_at_the_minimum_along_its_direction() {
    each(|what, case, data, expected, bound, backend| {
        let Bound { rows, cells, long, .. } = *bound;
        let (first, columns, block) = (data.first, data.columns, 0);
        let factors = alloc_f32(backend, "factors", &data.factors).unwrap();
        let penalty = alloc_f32(backend, "penalty", &data.penalty).unwrap();
        let energy = alloc_f32(backend, "energy", &data.penalty).unwrap();
        let cost = alloc_f32(backend, "cost", &data.penalty).unwrap();
        let (packed, packing) = bound.packed[0];
        #[rustfmt::skip]
        let call = RowPass {
            rows, cells, packed, penalty, factors, energy, cost, first, long, block, packing, columns,
        };
        let before = [(factors, &*data.factors), (energy, &*data.penalty), (cost, &*data.penalty)];
        let actual = twice(backend, &before, &call.dispatch().unwrap(), what);
        let [fixed, learned] = &expected.searches;
        let frozen = |search: &Search| {
            // The constant column stays.
            let mut factors = search.factors.clone();
            let width = columns.width;
            for row in first..first + case.lengths.len() {
                for f in (case.rank..width).filter(|&f| Some(f) != columns.bias) {
                    factors[row * width + f] = f64::from(data.factors[row * width + f]);
                }
            }
            factors
        };
        let what = &format!("fixed, {what}");
        check(&format!("factors, {what}"), data, case, &actual[0], &data.factors, &frozen(fixed));
        check(&format!("energy, {what}"), data, case, &actual[1], &data.penalty, &fixed.energy);
        check(&format!("cost, {what}"), data, case, &actual[2], &data.penalty, &fixed.cost);

        let (packed, packing) = bound.packed[1];
        let prior = alloc_f32(backend, "prior", &data.prior).unwrap();
        let means = Some(alloc_f32(backend, "means", &data.means).unwrap());
        let variances = alloc_f32(backend, "variances", &data.means).unwrap();
        let noise = data.noise;
        #[rustfmt::skip]
        let call = RowPassLearned {
            rows, cells, packed, means, prior, factors, variances, energy, first, long, block, packing, columns,
            noise,
        };
        let before = [(factors, &*data.factors), (variances, &*data.means), (energy, &*data.penalty)];
        let actual = twice(backend, &before, &call.dispatch().unwrap(), what);
        let what = &format!("learned, {what}");
        check(&format!("factors, {what}"), data, case, &actual[0], &data.factors, &frozen(learned));
        check(&format!("variances, {what}"), data, case, &actual[1], &data.means, &learned.variances);
        check(&format!("energy, {what}"), data, case, &actual[2], &data.penalty, &learned.energy);
    });
}
