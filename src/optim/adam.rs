//! Adam on the batch gradient: every weight has a step of its own, about η
//! whatever the gradient's size.
//!
//! `g = (2/N)·(ΔV − λU);  m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²`
//!
//! `U ← U + η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)`
//!
//! at epoch t, and the same for V, both from the old factors. With `--loss
//! sum`, g has no factor 2/N: only ε feels it. The device keeps m and v of the
//! gradient without that factor, and ε divided by it: the same step, and v²
//! stays in f32's range however many ratings there are.
//!
//! | key | default | range | unit |
//! |---|---|---|---|
//! | rate | 0.1 | > 0 | η, in units of a factor |
//! | beta1 | 0.9 | 0 to below 1 | β₁ |
//! | beta2 | 0.999 | 0 to below 1 | β₂ |
//! | epsilon | 1e-8 | > 0 | ε, in units of g |
//! | schedule | linear | constant, linear or cosine | see [`super::batch`] |
//!
//! Source: Kingma & Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1.

use super::batch::{Batch, Matrices, Rate, Schedule, matrices};
use super::{Hyperparameter, Objective, Optimizer, OptimizerSpec, Options, State};
use crate::backend::Backend;
use crate::config::MAX_RANK;
use crate::data::Side;
use crate::error::Result;
use crate::kernel::step_adam::StepAdam;
use crate::kernel::{Dispatch, cell_work};
use crate::problem::Problem;

/// The registry's entry.
pub(super) static SPEC: OptimizerSpec = OptimizerSpec {
    name: "adam",
    summary: "Adam on the batch gradient: a step of its own for every weight",
    formula: "m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²; w += η·(m/(1−β₁ᵗ))/(√(v/(1−β₂ᵗ)) + ε)",
    source: "Kingma & Ba 2015, algorithm 1",
    epochs: 50,
    learns: false,
    fuses: true,
    max_rank: MAX_RANK,
    row_elements: |width| width,
    cell_loops: |_| 1,
    cell_work,
    hyperparameters: &[
        Hyperparameter {
            key: "rate",
            doc: "learning rate η: about the size of a weight's step",
            default: "0.1",
            range: "a number above 0",
        },
        Hyperparameter {
            key: "beta1",
            doc: "decay β₁ of the gradient's running mean",
            default: "0.9",
            range: "a number from 0 to below 1",
        },
        Hyperparameter {
            key: "beta2",
            doc: "decay β₂ of the running mean of its square",
            default: "0.999",
            range: "a number from 0 to below 1",
        },
        Hyperparameter {
            key: "epsilon",
            doc: "ε, in units of the gradient of the chosen loss",
            default: "1e-8",
            range: "a number above 0",
        },
        Schedule::hyperparameter("linear"),
    ],
    build,
};

#[derive(Debug)]
struct Adam {
    rate: Rate,
    betas: [f64; 2],
    epsilon: f64,
    /// The loss's factor before ΔV.
    scale: f64,
    batch: Batch,
    first: Matrices,
    second: Matrices,
}

fn build(options: &Options<'_>) -> Result<Box<dyn Optimizer>> {
    let beta = |key| options.number(key, |beta| (0.0..1.0).contains(&beta));
    Ok(Box::new(Adam {
        rate: Rate::parse(options)?,
        betas: [beta("beta1")?, beta("beta2")?],
        epsilon: options.number("epsilon", |epsilon| epsilon > 0.0 && epsilon.is_finite())?,
        scale: 1.0,
        batch: Batch::default(),
        first: Matrices::default(),
        second: Matrices::default(),
    }))
}

impl Optimizer for Adam {
    fn prepare(
        &mut self,
        problem: &Problem,
        objective: &Objective<'_>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        self.rate.settle(1.0, problem, objective);
        self.scale = objective.loss.gradient_factor(problem.ratings);
        self.batch = Batch::new(problem, backend)?;
        self.first = matrices(problem, "first moments", backend)?;
        self.second = matrices(problem, "second moments", backend)?;
        Ok(())
    }

    fn record(&mut self, epoch: u32, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        self.batch.record(problem, recording, |place| {
            StepAdam {
                gradient: place.gradient,
                penalty: place.shard.penalty,
                first: self.first[place.role as usize][place.index],
                second: self.second[place.role as usize][place.index],
                factors: place.shard.factors,
                width: problem.width,
                frozen: place.frozen,
                step: epoch,
                rate: self.rate.at(epoch),
                betas: self.betas,
                epsilon: self.epsilon / self.scale,
            }
            .dispatch()
        })
    }

    fn state(&self) -> Vec<State> {
        let side =
            |name, buffers: &Matrices, side: Side| State::carried(name, side, &*buffers[side as usize]);
        vec![
            side("user_first_moments", &self.first, Side::Users),
            side("item_first_moments", &self.first, Side::Items),
            side("user_second_moments", &self.second, Side::Users),
            side("item_second_moments", &self.second, Side::Items),
        ]
    }

    fn has_horizon(&self) -> bool {
        self.rate.has_horizon()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.rate.settings();
        settings.push(("beta1", self.betas[0].to_string()));
        settings.push(("beta2", self.betas[1].to_string()));
        settings.push(("epsilon", format!("{:e}", self.epsilon)));
        settings
    }

    fn remedy(&self) -> String {
        self.rate.remedy()
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;

    #[test]
    fn decays_stay_below_1_and_epsilon_above_0() {
        let spec = find("adam").unwrap();
        for key in ["beta1", "beta2"] {
            for (value, good) in [("0", true), ("0.5", true), ("1", false), ("-1", false), ("nan", false)] {
                let built = spec.build(&[(key.to_owned(), value.to_owned())]);
                assert_eq!(built.is_ok(), good, "{key}={value}");
            }
        }
        for (value, good) in [("1e-8", true), ("1", true), ("0", false), ("-1", false), ("inf", false)] {
            let built = spec.build(&[("epsilon".to_owned(), value.to_owned())]);
            assert_eq!(built.is_ok(), good, "epsilon={value}");
        }
    }
}
