//! Row-wise exact line search along the diagonally preconditioned gradient:
//! the default optimiser. There is no learning rate.
//!
//! An epoch, x the other side's rows of a row's cells, ρ the row's precision:
//!
//! 1. `X ← X + β(X − X_before)` on both sides, `β = min(momentum, q/(q+3))`.
//! 2. Users, every row at once: `e = y − w·x; g = Σ e·x − ρ·w; H = Σ x² + ρ; d = g/H;
//!    α = (g·d) / (Σ (x·d)² + Σ ρ·d²); w ← w + α·d`. The row's loss is quadratic
//!    in α, so this is its exact minimum along d: a half-step can't raise it.
//! 3. Items the same, with the new users (Gauss-Seidel).
//! 4. If the objective rose, q ← 0: momentum starts anew.
//!
//! With a fixed penalty, ρ = λ·nᵃ. With `--reg auto`, the first `warm-up`
//! epochs have λ = 0.8·√n, from the biases of the baseline; then ρ and the noise are learned: see [`learn`].
//!
//! | key | default | range | unit |
//! |---|---|---|---|
//! | momentum | 0.7 | 0 to 0.95 | largest β |
//! | warm-up | 3 | ≥ 1 | epochs before anything is learned (`--reg auto`) |
//! | warm-rank | 32 | ≥ 1 | factors that the warm-up starts with (`--reg auto`) |
//! | join | 2 | ≥ 0 | epochs after the warm-up before the other factors join (`--reg auto`) |
//! | settle | 3 | ≥ 1 | epochs between the first variances and the first priors |
//! | mask-steps | 1 | 1 to 8 | steps an epoch on the prior means (svdpp) |
//!
//! Source: the line search is textbook (Nocedal & Wright 2006, 3.5); the
//! restart is O'Donoghue & Candès 2015; the rest as in [`learn`].

mod learn;
mod mask;
mod state;
mod turn;

use self::learn::Learn;
use self::state::{DeviceState, Learning, side_state};
use super::{Hyperparameter, Objective, Optimizer, OptimizerSpec, Options, State};
use crate::backend::{Backend, read_f32};
use crate::config::{MAX_RANK, Reg};
use crate::data::Side;
use crate::error::Result;
use crate::kernel::extrapolate::Extrapolate;
use crate::kernel::row_sums;
use crate::kernel::{Dispatch, Element, cell_work};
use crate::model::Posterior;
use crate::problem::Problem;

/// The registry's entry.
pub(super) static SPEC: OptimizerSpec = OptimizerSpec {
    name: "line-search",
    summary: "row-wise exact line search, momentum with restart; there is no rate",
    formula: "d = (Σ e·x − ρw)/(Σ x² + ρ), w += (g·d)/(Σ(x·d)² + Σρd²)·d, users then items",
    source: "Nocedal & Wright 2006, 3.5; O'Donoghue & Candès 2015",
    epochs: 26,
    learns: true,
    fuses: true,
    max_rank: MAX_RANK,
    row_elements: row_sums::stride,
    cell_loops: row_sums::cell_loops,
    cell_work,
    hyperparameters: &[
        Hyperparameter {
            key: "momentum",
            doc: "largest extrapolation between epochs",
            default: "0.7",
            range: "a number from 0 to 0.95",
        },
        Hyperparameter {
            key: "warm-up",
            doc: "epochs before anything is learned, with --reg auto",
            default: "3",
            range: "a whole number of at least 1",
        },
        Hyperparameter {
            key: "warm-rank",
            doc: "factors that the warm-up starts with, with --reg auto",
            default: "32",
            range: "a whole number of at least 1",
        },
        Hyperparameter {
            key: "join",
            doc: "epochs after the warm-up before the other factors join, with --reg auto",
            default: "2",
            range: "a whole number",
        },
        Hyperparameter {
            key: "settle",
            doc: "epochs between the first variances and the first learned priors, with --reg auto",
            default: "3",
            range: "a whole number of at least 1",
        },
        Hyperparameter {
            key: "mask-steps",
            doc: "steps an epoch on the prior means, with --model svdpp",
            default: "1",
            range: "a whole number from 1 to 8",
        },
    ],
    build,
};

/// Relative error of an objective that f32 kernels sum up.
const ROUNDING: f64 = 1e-5;

/// E(e²) is one part of what the variational epochs minimise, and may rise
/// while priors settle: only a rise beyond this is momentum's fault.
const NEAR: f64 = 1e-1;

/// What the warm-up's last step leaves, about, of what it descends from: Σ e² and the items' penalty.
const LEFT: f64 = 0.9;

#[derive(Debug)]
struct LineSearch {
    momentum: f32,
    warm_up: u32,
    warm_rank: u32,
    join: u32,
    settle: u32,
    mask_steps: u32,
    learn: Option<Learn>,
    state: Option<DeviceState>,
    /// Epochs since momentum started.
    q: u32,
    /// The objective that the last epoch saw.
    objective: f64,
}

fn build(options: &Options<'_>) -> Result<Box<dyn Optimizer>> {
    let whole = |x: f64| x >= 1.0 && x.fract() == 0.0 && x <= f64::from(u32::MAX);
    Ok(Box::new(LineSearch {
        momentum: options.number("momentum", |x| (0.0..=0.95).contains(&x))? as f32,
        warm_up: options.number("warm-up", whole)? as u32,
        warm_rank: options.number("warm-rank", whole)? as u32,
        join: options.number("join", |x| x == 0.0 || whole(x))? as u32,
        settle: options.number("settle", whole)? as u32,
        mask_steps: options.number("mask-steps", |x| (1.0..=8.0).contains(&x) && x.fract() == 0.0)? as u32,
        learn: None,
        state: None,
        q: 0,
        objective: f64::INFINITY,
    }))
}

impl Optimizer for LineSearch {
    fn prepare(
        &mut self,
        problem: &Problem,
        objective: &Objective<'_>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        if objective.reg == Reg::Auto {
            self.learn = Some(Learn::new(problem, objective.mask, [self.settle, self.join], backend)?);
        }
        let users = side_state(problem, Side::Users, backend)?;
        let items = side_state(problem, Side::Items, backend)?;
        // A row of column moments and one sum for each place of either side.
        let places: usize = Side::BOTH.into_iter().map(|role| problem.places(role).total).sum();
        let statistics = backend.alloc("statistics", Element::F32, places * (problem.width + 1))?;
        self.state = Some(DeviceState { sides: [users, items], statistics });
        Ok(())
    }

    fn start_rank(&self, rank: usize, reg: Reg) -> usize {
        if reg == Reg::Auto { rank.min(self.warm_rank as usize) } else { rank }
    }

    fn epoch_rank(&self, epoch: u32, problem: &Problem) -> usize {
        let learned = epoch.saturating_sub(self.warm_up);
        self.learn.as_ref().map_or(problem.rank, |learn| learn.rank(learned, problem))
    }

    fn starts_biased(&self, reg: Reg) -> bool {
        reg == Reg::Auto
    }

    fn uses_residuals(&self) -> bool {
        false
    }

    fn begin(
        &mut self,
        epoch: u32,
        problem: &Problem,
        recording: &mut Vec<Dispatch>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let learned = epoch.saturating_sub(self.warm_up);
        let (Some(learn), Some(state)) = (&mut self.learn, &self.state) else { return Ok(()) };
        let (first, widens) = (learned == 1, learn.widens(learned, problem));
        if first || widens {
            backend.dispatch(recording)?;
            recording.clear();
        }
        if first {
            learn.start(problem, state, backend)?;
        }
        if widens {
            learn.widen(problem, state, backend)?;
        }
        Ok(())
    }

    fn record(&mut self, epoch: u32, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        let learned = epoch.saturating_sub(self.warm_up);
        let learning = self.learn.as_ref().filter(|_| learned > 0);
        let learning = learning.map(|learn| Learning { learn, rank: learn.rank(learned, problem) });
        // The first epoch of a phase has no direction to go on in.
        let fresh =
            epoch == 1 || learning.is_some_and(|now| learned == 1 || now.learn.widens(learned, problem));
        let beta = if fresh { 0.0 } else { self.momentum.min(self.q as f32 / (self.q as f32 + 3.0)) };
        (self.q, self.objective) = match fresh {
            true => (0, f64::INFINITY),
            false => (self.q.saturating_add(1), self.objective),
        };
        for (role, side) in Side::BOTH.into_iter().zip(&state.sides) {
            for (shard, &previous) in problem.side(role).shards.iter().zip(&side.previous) {
                recording.push(Extrapolate { factors: shard.factors, previous, beta }.dispatch()?);
            }
        }
        let mut first = 0;
        for role in Side::BOTH {
            state.record_half(problem, role, learning, recording)?;
            if let Some(Learning { learn, rank }) = learning {
                for _ in 0..self.mask_steps {
                    learn.record_mask(problem, role, rank, state, recording)?;
                }
                state.record_moments(problem, role, learn, first, recording)?;
            }
            first += problem.places(role).total;
        }
        state.record_sums(problem, first * problem.width, recording)
    }

    fn observe(&mut self, epoch: u32, problem: &Problem, backend: &mut dyn Backend) -> Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        let statistics = read_f32(backend, state.statistics)?;
        let [users, items] = Side::BOTH.map(|role| problem.places(role).total);
        let (moments, sums) = statistics.split_at((users + items) * problem.width);
        let (energy, cost) = sums.split_at(items);
        let total = |part: &[f32]| part.iter().map(|&x| f64::from(x)).sum::<f64>();
        let (energy, cost) = (total(energy), total(cost));
        let learning = epoch > self.warm_up;
        match &mut self.learn {
            Some(learn) if learning => {
                let (users, items) = moments.split_at(users * problem.width);
                learn.update(epoch - self.warm_up, problem, [users, items], energy, state, backend)?;
                self.follow(energy, NEAR);
            }
            Some(learn) if epoch == self.warm_up => learn.observe_noise(problem, LEFT * energy),
            _ => self.follow(energy + cost, ROUNDING),
        }
        Ok(())
    }

    fn can_diverge(&self) -> bool {
        false
    }

    fn state(&self) -> Vec<State> {
        let Some(device) = &self.state else { return Vec::new() };
        let [users, items] = &device.sides;
        let mut all = vec![
            State::carried("previous_user_factors", Side::Users, &*users.previous),
            State::carried("previous_item_factors", Side::Items, &*items.previous),
        ];
        all.extend(self.learn.iter().flat_map(|learn| learn.state(device)));
        all
    }

    fn numbers(&self) -> Vec<f64> {
        let mut numbers = vec![f64::from(self.q), self.objective];
        numbers.extend(self.learn.iter().flat_map(Learn::numbers));
        numbers
    }

    fn set_numbers(&mut self, numbers: &[f64]) -> bool {
        let [q, objective, learned @ ..] = numbers else { return false };
        // Counts epochs.
        if !(0.0..=f64::from(u32::MAX)).contains(q) || q.fract() != 0.0 {
            return false;
        }
        (self.q, self.objective) = (*q as u32, *objective);
        match &mut self.learn {
            Some(learn) => learn.set_numbers(learned),
            None => learned.is_empty(),
        }
    }

    fn posterior(&self, problem: &Problem, backend: &mut dyn Backend) -> Result<Option<Posterior>> {
        match (&self.learn, &self.state) {
            (Some(learn), Some(state)) => learn.posterior(problem, state, backend),
            _ => Ok(None),
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("momentum", self.momentum.to_string())];
        if self.learn.is_some() {
            settings.push(("warm-up", self.warm_up.to_string()));
            settings.push(("warm-rank", self.warm_rank.to_string()));
            settings.push(("join", self.join.to_string()));
            settings.push(("settle", self.settle.to_string()));
            settings.push(("mask-steps", self.mask_steps.to_string()));
        }
        settings
    }

    fn remedy(&self) -> String {
        "pass --opt momentum=0 or a larger --reg, and please report it: line-search should not diverge"
            .to_owned()
    }
}

impl LineSearch {
    /// Momentum starts anew when the objective rose by more than a tolerance.
    fn follow(&mut self, objective: f64, tolerance: f64) {
        if objective > self.objective * (1.0 + tolerance) {
            self.q = 0;
        }
        self.objective = objective;
    }
}
