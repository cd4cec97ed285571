//! What the methods with a learning rate share: both gradient products from
//! the old factors, the rate, and its schedule over the epochs.
//!
//! | schedule | rate of epoch t of T |
//! |---|---|
//! | constant | η |
//! | linear | η·(1 − (t−1)/T) |
//! | cosine | η·½(1 + cos(π(t−1)/T)), Loshchilov & Hutter 2017 without restarts |
//!
//! The first epoch has the whole rate, the last one a little: none is wasted.

use super::{Hyperparameter, Objective, Options};
use crate::backend::{Backend, Buffer};
use crate::data::Side;
use crate::error::Result;
use crate::kernel::{Dispatch, Element};
use crate::problem::{Problem, Shard};

/// A buffer like the factors for each shard of users, and of items.
pub(super) type Matrices = [Vec<Buffer>; 2];

/// Zeros in the form of the factors, to keep state in.
///
/// # Errors
/// As [`Backend::alloc`].
pub(super) fn matrices(problem: &Problem, purpose: &str, backend: &mut dyn Backend) -> Result<Matrices> {
    let mut all = [Vec::new(), Vec::new()];
    for (role, buffers) in Side::BOTH.into_iter().zip(&mut all) {
        for shard in &problem.side(role).shards {
            buffers.push(backend.alloc(purpose, Element::F32, shard.factors.len())?);
        }
    }
    Ok(all)
}

/// One shard and what a step on it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The shard's side.
    pub(super) role: Side,
    /// Its number on that side.
    pub(super) index: usize,
    /// Its buffers.
    pub(super) shard: &'a Shard,
    /// Its rows of ΔV or ΔᵀU.
    pub(super) gradient: Buffer,
    /// The side's constant column.
    pub(super) frozen: Option<usize>,
}

/// The products ΔV and ΔᵀU.
#[derive(Debug, Default)]
pub(super) struct Batch {
    gradients: Matrices,
}

impl Batch {
    /// Allocates the products.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    pub(super) fn new(problem: &Problem, backend: &mut dyn Backend) -> Result<Self> {
        Ok(Self { gradients: matrices(problem, "gradient", backend)? })
    }

    /// Records both products, then `step` on every shard: both sides move from the old factors.
    ///
    /// # Errors
    /// As the kernels' dispatches.
    pub(super) fn record(
        &self,
        problem: &Problem,
        recording: &mut Vec<Dispatch>,
        mut step: impl FnMut(&Place<'_>) -> Result<Dispatch>,
    ) -> Result<()> {
        for (role, gradients) in Side::BOTH.into_iter().zip(&self.gradients) {
            problem.record_gradient(role, gradients, recording)?;
        }
        for (role, gradients) in Side::BOTH.into_iter().zip(&self.gradients) {
            let side = problem.side(role);
            for (index, (shard, &gradient)) in side.shards.iter().zip(gradients).enumerate() {
                recording.push(step(&Place { role, index, shard, gradient, frozen: side.frozen })?);
            }
        }
        Ok(())
    }
}

/// How a rate falls over the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schedule {
    Constant,
    Linear,
    Cosine,
}

impl Schedule {
    const ALL: [Schedule; 3] = [Schedule::Constant, Schedule::Linear, Schedule::Cosine];
    const NAMES: [&str; 3] = ["constant", "linear", "cosine"];

    /// The hyperparameter's entry.
    pub(super) const fn hyperparameter(default: &'static str) -> Hyperparameter {
        Hyperparameter {
            key: "schedule",
            doc: "how the rate falls to 0 over the epochs that run",
            default,
            range: "constant, linear or cosine",
        }
    }

    /// The part of the rate that `epoch`, from 1, of `epochs` has.
    fn part(self, epoch: u32, epochs: u32) -> f64 {
        let done = f64::from(epoch - 1) / f64::from(epochs.max(epoch));
        match self {
            Schedule::Constant => 1.0,
            Schedule::Linear => 1.0 - done,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        }
    }
}

/// A learning rate η of the chosen loss, with its schedule.
#[derive(Debug)]
pub(super) struct Rate {
    /// Whether nobody said what the rate is.
    auto: bool,
    /// η; `None`, auto, until it is settled.
    rate: Option<f64>,
    schedule: Schedule,
    epochs: u32,
}

impl Rate {
    /// From the hyperparameters `rate` and `schedule`.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for a value out of range.
    pub(super) fn parse(options: &Options<'_>) -> Result<Self> {
        let rate = match options.text("rate") {
            // Only where the entry says so: a method without a curvature has no auto.
            "auto" if options.default("rate") == "auto" => None,
            _ => Some(options.number("rate", |rate| rate > 0.0 && rate.is_finite())?),
        };
        let schedule = Schedule::ALL[options.choice("schedule", &Schedule::NAMES)?];
        Ok(Self { auto: rate.is_none(), rate, schedule, epochs: 0 })
    }

    /// Settles an auto rate: `part` over the curvature of the chosen loss.
    pub(super) fn settle(&mut self, part: f64, problem: &Problem, objective: &Objective<'_>) {
        let scale = objective.loss.gradient_factor(problem.ratings);
        self.rate.get_or_insert(part / (scale * problem.curvature));
        self.epochs = objective.epochs;
    }

    /// η in an epoch, from 1. Called once it is settled.
    pub(super) fn at(&self, epoch: u32) -> f64 {
        self.rate.unwrap_or(0.0) * self.schedule.part(epoch, self.epochs)
    }

    /// Whether the rate of an epoch depends on how many there will be.
    pub(super) fn has_horizon(&self) -> bool {
        self.schedule != Schedule::Constant
    }

    /// `rate` and `schedule`, as they ran.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let rate = self.rate.map_or_else(|| "auto".to_owned(), |rate| rate.to_string());
        vec![("rate", rate), ("schedule", Schedule::NAMES[self.schedule as usize].to_owned())]
    }

    /// What to change if the method diverges.
    pub(super) fn remedy(&self) -> String {
        match self.rate {
            Some(rate) => {
                let leave = if self.auto { "" } else { ", or leave it out" };
                format!("pass a smaller rate, such as --opt rate={:.2e}{leave}", rate / 4.0)
            }
            None => "pass a smaller --opt rate".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[test]
    fn a_rate_must_be_a_positive_number() {
        for name in ["gd", "momentum", "adam"] {
            let spec = find(name).unwrap();
            for bad in ["0", "-1", "nan", "inf", "fast", ""] {
                let error = spec.build(&[("rate".to_owned(), bad.to_owned())]).unwrap_err();
                assert_eq!(error.exit_code(), 2, "{bad}");
                assert!(error.to_string().contains("above 0"), "{error}");
            }
            for good in ["0.5", "1e-5"] {
                spec.build(&[("rate".to_owned(), good.to_owned())]).unwrap();
            }
            let auto = spec.build(&[("rate".to_owned(), "auto".to_owned())]);
            assert_eq!(auto.is_ok(), name != "adam", "{name}");
            let error = spec.build(&[("schedule".to_owned(), "steps".to_owned())]).unwrap_err();
            assert!(error.to_string().contains("cosine"), "{error}");
        }
    }

    #[test]
    fn schedules_fall_from_the_whole_rate_to_almost_none() {
        for schedule in Schedule::ALL {
            assert_eq!(schedule.part(1, 10), 1.0);
            assert_eq!(schedule.part(1, 1), 1.0);
            for epoch in 2..=10 {
                let (before, now) = (schedule.part(epoch - 1, 10), schedule.part(epoch, 10));
                assert!(now > 0.0 && now <= before, "{schedule:?}, epoch {epoch}: {now}");
                assert_eq!(now == before, schedule == Schedule::Constant);
            }
        }
        assert!((Schedule::Linear.part(6, 10) - 0.5).abs() < 1e-12);
        assert!((Schedule::Linear.part(10, 10) - 0.1).abs() < 1e-12);
        assert!((Schedule::Cosine.part(6, 10) - 0.5).abs() < 1e-12);
        assert!(Schedule::Cosine.part(10, 10) < 0.03);
    }
}
