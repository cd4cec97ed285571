//! `--reg auto`: variational Bayes with a diagonal posterior, on the kernels of
//! the line search.
//!
//! `y = b_u + c_i + u·v + ε`, ε ~ N(0, σ²); priors u_f ~ N(M_f, p_f), v_f
//! likewise, biases ~ N(0, p_b); posteriors independent, with means w and
//! variances w̃. A row's precision is ρ_f = σ²/p_f, its curvature also has the
//! other side's variances: `H = Σ x² + Σ x̃ + ρ; w̃ = σ²/H; g = Σ e·x − w·Σ x̃ − ρ(w − M)`.
//!
//! How the warm-up's factors become the first variational epoch's, and how others join them: see
//! [`turn`](super::turn). After each epoch `σ² = E(e²)/N`; from the fourth on
//! `p_f = mean((w − M)² + w̃)`.
//!
//! Source: Lim & Teh 2007; Raiko, Ilin & Karhunen 2007; Ilin & Raiko, JMLR 11 (2010).

use std::ops::Range;

use super::mask::Mask;
use super::state::DeviceState;
use crate::backend::{Backend, Buffer};
use crate::data::Side;
use crate::error::Result;
use crate::kernel::Dispatch;
use crate::model::posterior::{LEAST_VARIANCE, shrunk_noise};
use crate::model::{MaskFactors, Posterior};
use crate::optim::State;
use crate::problem::{Problem, read_shards};

/// A variance that is not too small; NaN stays NaN, to be found.
pub(super) fn at_least(variance: f64) -> f64 {
    if variance < LEAST_VARIANCE { LEAST_VARIANCE } else { variance }
}

/// What is learned: the noise and the prior variances.
#[derive(Debug)]
pub(super) struct Learn {
    settle: u32,
    /// Variational epochs before the factors that the warm-up left out.
    join: u32,
    pub(super) noise: f64,
    /// Prior variance of each column, users and items.
    pub(super) priors: [Vec<f64>; 2],
    /// Variance from which the factors that join are drawn, users and items.
    pub(super) fresh: [f64; 2],
    pub(super) masks: Option<[Mask; 2]>,
    /// Whether a variational epoch has run, so that there are variances.
    begun: bool,
}

impl Learn {
    pub(super) fn new(
        problem: &Problem,
        mask: bool,
        [settle, join]: [u32; 2],
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let masks = mask.then(|| Mask::both(problem, backend)).transpose()?;
        let unit = vec![1.0; problem.width];
        Ok(Self {
            settle,
            join,
            noise: 1.0,
            priors: [unit.clone(), unit],
            fresh: [0.0; 2],
            masks,
            begun: false,
        })
    }

    /// The noise from Σ E(e²).
    pub(super) fn observe_noise(&mut self, problem: &Problem, energy: f64) {
        self.noise = at_least(energy / problem.ratings as f64);
    }

    /// What the next epoch, and the posterior, depend on.
    pub(super) fn state(&self, state: &DeviceState) -> Vec<State> {
        let [users, items] = &state.sides;
        let mut all = vec![
            State::result("user_variances", Side::Users, &*users.variances),
            State::result("item_variances", Side::Items, &*items.variances),
            State::result("user_energy", Side::Users, &*users.energy),
            State::carried("user_prior", None, [users.prior]),
            State::carried("item_prior", None, [items.prior]),
        ];
        if let Some([users, items]) = &self.masks {
            all.extend([
                State::result("user_mask_factors", Side::Items, users.buffers()),
                State::result("item_mask_factors", Side::Users, items.buffers()),
                State::carried("user_prior_means", Side::Users, users.means()),
                State::carried("item_prior_means", Side::Items, items.means()),
                State::carried("user_mask_width", None, [users.inverse_width()]),
                State::carried("item_mask_width", None, [items.inverse_width()]),
            ]);
        }
        all
    }

    /// σ², whether there are variances, what joins, and both sides' prior variances.
    pub(super) fn numbers(&self) -> Vec<f64> {
        let [users, items] = self.fresh;
        let mut numbers = vec![self.noise, f64::from(u8::from(self.begun)), users, items];
        numbers.extend(self.priors.iter().flatten());
        numbers
    }

    /// Takes them over; `false` if there are too few or too many.
    pub(super) fn set_numbers(&mut self, numbers: &[f64]) -> bool {
        let [noise, begun, fresh_users, fresh_items, priors @ ..] = numbers else { return false };
        let [users, items] = &mut self.priors;
        let Some((to_users, to_items)) = priors.split_at_checked(users.len()) else { return false };
        if to_items.len() != items.len() {
            return false;
        }
        (self.noise, self.begun) = (*noise, *begun != 0.0);
        self.fresh = [*fresh_users, *fresh_items];
        users.copy_from_slice(to_users);
        items.copy_from_slice(to_items);
        true
    }

    /// σ², in units of the standardised rating.
    pub(super) fn noise(&self) -> f32 {
        self.noise as f32
    }

    /// Prior means of a side, a buffer a shard.
    pub(super) fn means(&self, role: Side) -> Option<&[Buffer]> {
        self.masks.as_ref().map(|masks| masks[role as usize].means())
    }

    pub(super) fn record_mask(
        &self,
        problem: &Problem,
        role: Side,
        rank: usize,
        state: &DeviceState,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let Some(masks) = &self.masks else { return Ok(()) };
        let prior = state.sides[role as usize].prior;
        masks[role as usize].record(problem, role, rank, (prior, self.noise()), recording)
    }

    /// Whether this variational epoch, from 1, is the first with all factors, and has others before it.
    pub(super) fn widens(&self, epoch: u32, problem: &Problem) -> bool {
        epoch.checked_sub(1) == Some(self.join) && problem.start_rank < problem.rank
    }

    /// Factors that a variational epoch, from 1, has.
    pub(super) fn rank(&self, epoch: u32, problem: &Problem) -> usize {
        if epoch > self.join { problem.rank } else { problem.start_rank }
    }

    /// After the variational epoch with this number, from 1: what the next one takes for given.
    ///
    /// `moments`: of users and items, `[blocks, width]`; `energy`: Σ E(e²).
    pub(super) fn update(
        &mut self,
        epoch: u32,
        problem: &Problem,
        moments: [&[f32]; 2],
        energy: f64,
        state: &DeviceState,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        self.begun = true;
        self.observe_noise(problem, energy);
        if epoch > self.settle {
            for (role, moments) in Side::BOTH.into_iter().zip(moments) {
                let rated = problem.side(role).rated as f64;
                let mut sums = vec![0.0; problem.width];
                for block in moments.chunks_exact(problem.width) {
                    sums.iter_mut().zip(block).for_each(|(sum, &x)| *sum += f64::from(x));
                }
                self.priors[role as usize] = sums.iter().map(|sum| at_least(sum / rated)).collect();
            }
        }
        self.write_priors(self.rank(epoch, problem)..problem.rank, state, backend)
    }

    /// Means are the factors themselves; `None` before the first variational epoch.
    pub(super) fn posterior(
        &self,
        problem: &Problem,
        state: &DeviceState,
        backend: &mut dyn Backend,
    ) -> Result<Option<Posterior>> {
        if !self.begun {
            return Ok(None);
        }
        let mut variances = |role: Side| -> Result<(Vec<f32>, Vec<f32>)> {
            let wide = read_shards(state.sides[role as usize].variances.iter().copied(), backend)?;
            Ok(problem.split_bias(role, wide))
        };
        let (user_variances, user_bias_variances) = variances(Side::Users)?;
        let (item_variances, item_bias_variances) = variances(Side::Items)?;
        let mask = match &self.masks {
            Some([users, items]) => Some(MaskFactors {
                user_mask_factors: users.factors(problem, Side::Users, backend)?,
                item_mask_factors: items.factors(problem, Side::Items, backend)?,
            }),
            None => None,
        };
        let users = &problem.side(Side::Users).shards;
        let energy = read_shards(state.sides[Side::Users as usize].energy.iter().copied(), backend)?;
        let counts = read_shards(users.iter().map(|shard| shard.counts), backend)?;
        let user_noise = energy
            .iter()
            .zip(&counts)
            .map(|(&energy, &n)| shrunk_noise(self.noise, energy.into(), n.into()) as f32);
        let prior = |role: Side| self.priors[role as usize][..problem.rank].to_vec();
        let bias = |role: Side| problem.side(role).bias.map_or(0.0, |f| self.priors[role as usize][f]);
        Ok(Some(Posterior {
            noise: self.noise,
            // The last row is that of anyone unknown.
            user_noise: user_noise.take(energy.len() - 1).collect(),
            calibration: None,
            user_variances,
            item_variances,
            user_bias_variances,
            item_bias_variances,
            user_prior: prior(Side::Users),
            item_prior: prior(Side::Items),
            user_bias_prior: bias(Side::Users),
            item_bias_prior: bias(Side::Items),
            mask,
        }))
    }

    /// Writes ρ of each column: 0 where factors are yet to join, so that nothing there moves.
    pub(super) fn write_priors(
        &self,
        missing: Range<usize>,
        state: &DeviceState,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        for (side, priors) in state.sides.iter().zip(&self.priors) {
            let mut precisions: Vec<f32> = priors.iter().map(|p| (self.noise / p) as f32).collect();
            precisions[missing.clone()].fill(0.0);
            backend.write(side.prior, bytemuck::cast_slice(&precisions))?;
        }
        Ok(())
    }
}
