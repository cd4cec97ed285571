//! Batch gradient descent, "Funk SVD" as the textbooks write it.
//!
//! With `--loss mean`, `E = (1/N) Σ e²`:
//!
//! `U ← U + (2η/N)·(ΔV − λ_u U);  V ← V + (2η/N)·(ΔᵀU − λ_i V)`
//!
//! and with `--loss sum`, `L = ½ Σ e²`, the same with `η` for `2η/N`. Both
//! sides move from the old factors. λ_u is the row's penalty (0 without L2);
//! at the same λ the two losses have the same minimum.
//!
//! | key | default | range | unit |
//! |---|---|---|---|
//! | rate | auto | > 0, or auto | η; 1 / curvature of the loss |
//! | schedule | constant | constant, linear or cosine | see [`super::batch`] |
//!
//! `auto` takes 1/L, L an estimate of the largest curvature near a solution
//! ([`Problem::curvature`]): descent diverges above 2/L. Expect hundreds of epochs.
//!
//! Source: Simon Funk, "Netflix Update: Try This at Home" (2006), in batch form.

use super::batch::{Batch, Rate, Schedule};
use super::{Hyperparameter, Objective, Optimizer, OptimizerSpec, Options};
use crate::backend::Backend;
use crate::config::MAX_RANK;
use crate::error::Result;
use crate::kernel::step_gd::StepGd;
use crate::kernel::{Dispatch, cell_work};
use crate::problem::Problem;

/// The registry's entry.
pub(super) static SPEC: OptimizerSpec = OptimizerSpec {
    name: "gd",
    summary: "batch gradient descent: simple, and slow (hundreds of epochs)",
    formula: "U += (2η/N)·(ΔV − λU), V += (2η/N)·(ΔᵀU − λV), both from the old factors",
    source: "Funk 2006, in batch form",
    epochs: 500,
    learns: false,
    fuses: true,
    max_rank: MAX_RANK,
    row_elements: |width| width,
    cell_loops: |_| 1,
    cell_work,
    hyperparameters: &[
        Hyperparameter {
            key: "rate",
            doc: "learning rate η of the chosen loss; auto: 1 over the estimated curvature",
            default: "auto",
            range: "a number above 0, or auto",
        },
        Schedule::hyperparameter("constant"),
    ],
    build,
};

#[derive(Debug)]
struct GradientDescent {
    rate: Rate,
    /// What turns η into the factor before ΔV.
    scale: f64,
    batch: Batch,
}

fn build(options: &Options<'_>) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(GradientDescent { rate: Rate::parse(options)?, scale: 0.0, batch: Batch::default() }))
}

impl Optimizer for GradientDescent {
    fn prepare(
        &mut self,
        problem: &Problem,
        objective: &Objective<'_>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        self.rate.settle(1.0, problem, objective);
        self.scale = objective.loss.gradient_factor(problem.ratings);
        self.batch = Batch::new(problem, backend)?;
        Ok(())
    }

    fn record(&mut self, epoch: u32, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        let rate = (self.rate.at(epoch) * self.scale) as f32;
        self.batch.record(problem, recording, |place| {
            StepGd {
                gradient: place.gradient,
                penalty: place.shard.penalty,
                factors: place.shard.factors,
                width: problem.width,
                frozen: place.frozen,
                rate,
            }
            .dispatch()
        })
    }

    fn has_horizon(&self) -> bool {
        self.rate.has_horizon()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        self.rate.settings()
    }

    fn remedy(&self) -> String {
        self.rate.remedy()
    }
}
