//! From the warm-up to the variational epochs, and to all factors.
//!
//! The warm-up has `warm-rank` factors at most. After it they are turned into the balanced singular
//! gauge, so that the signal sits in the leading factors. Then p_f = 2·mean w², and σ² is 0.9/N of what the
//! items' last step descended from, Σ e² with their penalty.
//! An item's variance starts where its ratings would have it if their users' factors were all as large as
//! the mean: w̃_f = σ²/(n·mean u_f² + σ²/p_f). Users' variances are found before they are asked for.
//!
//! The other factors join `join` epochs later. They are drawn with [`FRESH`] times the mean square that the weakest
//! had at the warm-up's end, since whatever is learned before shrinks the weak.

use std::ops::Range;

use super::learn::{Learn, at_least};
use super::state::DeviceState;
use crate::backend::Backend;
use crate::data::Side;
use crate::error::Result;
use crate::problem::{Problem, fill, read_shards, write_shards};
use crate::world::together::any;

/// Mean square of a factor that the warm-up left out, beside that of the weakest that it did not.
const FRESH: f64 = 3.0;

/// p_f beside the mean square of a factor.
const PRIOR: f64 = 2.0;

impl Learn {
    /// From the warm-up's factors to the first variational epoch.
    pub(super) fn start(
        &mut self,
        problem: &Problem,
        state: &DeviceState,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let mut users = problem.read_factors(Side::Users, backend)?;
        let mut items = problem.read_factors(Side::Items, backend)?;
        let finite = users.iter().chain(&items).all(|x| x.is_finite());
        if any(backend.world(), !finite)? {
            // The loss tells; there is no gauge of what has diverged.
            return Ok(());
        }
        // Rows without ratings hold nothing but their start: they have no say in
        // the gauge or the priors, and begin at the prior mean.
        for (role, factors) in [(Side::Users, &mut users), (Side::Items, &mut items)] {
            let counts = counts(problem, role, backend)?;
            let rows = factors.chunks_exact_mut(problem.width).zip(&counts);
            rows.filter(|(_, n)| **n == 0.0).for_each(|(row, _)| row[..problem.rank].fill(0.0));
        }
        let rated = Side::BOTH.map(|role| problem.side(role).rated as f64);
        let first = problem.start_rank;
        problem.balance(&mut users, &mut items, first, (rated[0] / rated[1]).powf(0.25), backend)?;
        for (role, factors) in [(Side::Users, &users), (Side::Items, &items)] {
            problem.write_factors(role, factors, backend)?;
            let rated = problem.side(role).rated as f64;
            let mut squares = problem.column_squares(role, factors, backend)?;
            squares.iter_mut().for_each(|sum| *sum /= rated);
            self.fresh[role as usize] = FRESH * squares[first - 1];
            // That of a column without factors is the least.
            let prior = |(f, square)| at_least(if f < problem.rank { PRIOR * square } else { square });
            self.priors[role as usize] = squares.into_iter().enumerate().map(prior).collect();
        }
        self.guess_variances(0..first, problem, state, backend)?;
        self.start_masks(0..problem.width, backend)?;
        self.write_priors(self.rank(1, problem)..problem.rank, state, backend)
    }

    /// Draws the factors that the warm-up left out.
    pub(super) fn widen(
        &mut self,
        problem: &Problem,
        state: &DeviceState,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let columns = problem.start_rank..problem.rank;
        for role in Side::BOTH {
            let rated: Vec<bool> = counts(problem, role, backend)?.into_iter().map(|n| n > 0.0).collect();
            let mut factors = problem.read_factors(role, backend)?;
            let (row, variance) = (problem.first_row(role), self.fresh[role as usize]);
            fill(problem.seed, role, row, &mut factors, columns.clone(), variance, &rated);
            problem.write_factors(role, &factors, backend)?;
            self.priors[role as usize][columns.clone()].fill(at_least(PRIOR * variance));
        }
        self.guess_variances(columns.clone(), problem, state, backend)?;
        self.start_masks(columns, backend)?;
        self.write_priors(0..0, state, backend)
    }

    /// p⁰ = p of the columns that begin.
    fn start_masks(&self, columns: Range<usize>, backend: &mut dyn Backend) -> Result<()> {
        let mut each = self.masks.iter().flatten().zip(&self.priors);
        each.try_for_each(|(mask, priors)| mask.start(priors, columns.clone(), backend))
    }

    /// Where the items' variances of some columns start.
    fn guess_variances(
        &self,
        columns: Range<usize>,
        problem: &Problem,
        state: &DeviceState,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let buffers = &state.sides[Side::Items as usize].variances;
        let mut variances = read_shards(buffers.iter().copied(), backend)?;
        let counts = counts(problem, Side::Items, backend)?;
        let [users, items] = &self.priors;
        for (row, &n) in variances.chunks_exact_mut(problem.width).zip(&counts) {
            for f in columns.clone() {
                let curvature = f64::from(n) * users[f] / PRIOR + self.noise / items[f];
                row[f] = (self.noise / curvature) as f32;
            }
        }
        write_shards(buffers.iter().copied(), &variances, backend)
    }
}

/// Training ratings of each of a side's rows.
fn counts(problem: &Problem, role: Side, backend: &mut dyn Backend) -> Result<Vec<f32>> {
    read_shards(problem.side(role).shards.iter().map(|shard| shard.counts), backend)
}
