//! The normal equations of one row, in f64, and their solution by Cholesky's factorisation.

/// Ratings that are added up side by side.
const BLOCK: usize = 4;

/// The least precision of a solution, as a part of the trace: where ratings and penalty leave a
/// row open, it takes the shortest of the solutions.
const RIDGE: f64 = 1e-12;

/// `A = Σ x·xᵀ` and `b = Σ y·x`.
pub(super) struct System {
    /// Number of unknowns.
    d: usize,
    /// Rows of A's lower triangle one after the other, then b.
    sums: Vec<f64>,
}

impl System {
    pub(super) fn new(d: usize) -> Self {
        Self { d, sums: vec![0.0; d * (d + 3) / 2] }
    }

    /// Adds ratings, each a row x and a target y. `bias`: x has a 1 behind its factors.
    pub(super) fn add<'x>(&mut self, ratings: impl Iterator<Item = (&'x [f32], f64)>, bias: bool) {
        let d = self.d;
        // Each rating as [x, y]: b is one row more of the triangle.
        let mut stage = vec![0.0; BLOCK * (d + 1)];
        let mut staged = 0;
        for (x, y) in ratings {
            let extended = &mut stage[staged * (d + 1)..(staged + 1) * (d + 1)];
            extended.iter_mut().zip(x).for_each(|(wide, &x)| *wide = f64::from(x));
            if bias {
                extended[d - 1] = 1.0;
            }
            extended[d] = y;
            staged += 1;
            if staged == BLOCK {
                self.add_block(&stage);
                staged = 0;
            }
        }
        if staged > 0 {
            stage[staged * (d + 1)..].fill(0.0);
            self.add_block(&stage);
        }
    }

    fn add_block(&mut self, stage: &[f64]) {
        let d = self.d;
        let (x0, rest) = stage.split_at(d + 1);
        let (x1, rest) = rest.split_at(d + 1);
        let (x2, x3) = rest.split_at(d + 1);
        let mut rest = &mut self.sums[..];
        for i in 0..=d {
            let (sums, below) = rest.split_at_mut((i + 1).min(d));
            let n = sums.len();
            let (a0, a1, a2, a3) = (x0[i], x1[i], x2[i], x3[i]);
            let columns = x0[..n].iter().zip(&x1[..n]).zip(x2[..n].iter().zip(&x3[..n]));
            for (sum, ((x0, x1), (x2, x3))) in sums.iter_mut().zip(columns) {
                *sum += (a0 * x0 + a1 * x1) + (a2 * x2 + a3 * x3);
            }
            rest = below;
        }
    }

    /// `A_ff`.
    pub(super) fn diagonal(&self) -> Vec<f64> {
        (0..self.d).map(|f| self.sums[f * (f + 3) / 2]).collect()
    }

    /// `(A + diag(extra))⁻¹·(b + pull)`; both may be longer than the unknowns.
    pub(super) fn solve(mut self, extra: &[f64], pull: &[f64]) -> Vec<f64> {
        let d = self.d;
        let right = d * (d + 1) / 2;
        for (f, (extra, pull)) in extra.iter().zip(pull).enumerate().take(d) {
            self.sums[f * (f + 3) / 2] += extra;
            self.sums[right + f] += pull;
        }
        let trace: f64 = self.diagonal().iter().sum();
        let least = (RIDGE * trace).max(f64::MIN_POSITIVE);
        for (f, extra) in extra.iter().enumerate().take(d) {
            self.sums[f * (f + 3) / 2] += (least - extra).max(0.0);
        }
        // Row by row: products of contiguous rows. The right-hand side is one row more.
        for i in 0..=d {
            let (above, row) = self.sums.split_at_mut(i * (i + 1) / 2);
            for j in 0..i {
                let known = &above[j * (j + 1) / 2..];
                row[j] = (row[j] - dot(&row[..j], &known[..j])) / known[j];
            }
            if i < d {
                row[i] = (row[i] - dot(&row[..i], &row[..i])).max(least).sqrt();
            }
        }
        let (triangle, solution) = self.sums.split_at_mut(right);
        for i in (0..d).rev() {
            let row = &triangle[i * (i + 1) / 2..];
            solution[i] /= row[i];
            let x = solution[i];
            solution[..i].iter_mut().zip(row).for_each(|(s, l)| *s -= l * x);
        }
        self.sums.split_off(right)
    }
}

/// A product in lanes, always in the same order.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 4;
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}
