//! Batch gradient descent with momentum: each epoch keeps a part of the last step.
//!
//! `s = (2η/N)·(ΔV − λU);  v ← βv + s`, and then
//!
//! - heavy ball (`nesterov=off`): `U ← U + v`
//! - Nesterov (`nesterov=on`): `U ← U + βv + s`. U is the point that the last
//!   step would reach if it went on; the gradient is taken there, and the new
//!   U is that point again.
//!
//! and the same for V, both from the old factors; with `--loss sum`, `η` for `2η/N`.
//!
//! | key | default | range | unit |
//! |---|---|---|---|
//! | rate | auto | > 0, or auto | η; ⅓ / curvature of the loss |
//! | beta | 0.9 | 0 to below 1 | β |
//! | nesterov | on | on or off | |
//! | schedule | constant | constant, linear or cosine | see [`super::batch`] |
//!
//! `auto` takes a third of [`super::gd`]'s. On a quadratic of curvature L, heavy
//! ball is stable below `2(1+β)/L`, but Nesterov only below `2(1+β)/((1+2β)L)`.
//!
//! Source: Polyak, "Some methods of speeding up the convergence of iteration
//! methods" (1964); Sutskever, Martens, Dahl & Hinton, "On the importance of
//! initialization and momentum in deep learning" (2013), section 2.

use super::batch::{Batch, Matrices, Rate, Schedule, matrices};
use super::{Hyperparameter, Objective, Optimizer, OptimizerSpec, Options, State};
use crate::backend::Backend;
use crate::config::MAX_RANK;
use crate::data::Side;
use crate::error::Result;
use crate::kernel::step_momentum::StepMomentum;
use crate::kernel::{Dispatch, cell_work};
use crate::problem::Problem;

/// Part of 1/curvature that `auto` takes.
const AUTO: f64 = 1.0 / 3.0;

/// The registry's entry.
pub(super) static SPEC: OptimizerSpec = OptimizerSpec {
    name: "momentum",
    summary: "batch gradient descent that keeps a part of its last step",
    formula: "v ← βv + s, s = (2η/N)·(ΔV − λU); U += v, or U += βv + s with nesterov; V the same",
    source: "Polyak 1964; Sutskever, Martens, Dahl & Hinton 2013",
    epochs: 400,
    learns: false,
    fuses: true,
    max_rank: MAX_RANK,
    row_elements: |width| width,
    cell_loops: |_| 1,
    cell_work,
    hyperparameters: &[
        Hyperparameter {
            key: "rate",
            doc: "learning rate η of the chosen loss; auto: a third over the estimated curvature",
            default: "auto",
            range: "a number above 0, or auto",
        },
        Hyperparameter {
            key: "beta",
            doc: "part β of the last step that is kept",
            default: "0.9",
            range: "a number from 0 to below 1",
        },
        Hyperparameter {
            key: "nesterov",
            doc: "take the gradient where the last step leads",
            default: "on",
            range: "on or off",
        },
        Schedule::hyperparameter("constant"),
    ],
    build,
};

#[derive(Debug)]
struct Momentum {
    rate: Rate,
    beta: f64,
    nesterov: bool,
    /// What turns η into the factor before ΔV.
    scale: f64,
    batch: Batch,
    velocities: Matrices,
}

fn build(options: &Options<'_>) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(Momentum {
        rate: Rate::parse(options)?,
        beta: options.number("beta", |beta| (0.0..1.0).contains(&beta))?,
        nesterov: options.choice("nesterov", &["off", "on"])? == 1,
        scale: 0.0,
        batch: Batch::default(),
        velocities: Matrices::default(),
    }))
}

impl Optimizer for Momentum {
    fn prepare(
        &mut self,
        problem: &Problem,
        objective: &Objective<'_>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        self.rate.settle(AUTO, problem, objective);
        self.scale = objective.loss.gradient_factor(problem.ratings);
        self.batch = Batch::new(problem, backend)?;
        self.velocities = matrices(problem, "velocity", backend)?;
        Ok(())
    }

    fn record(&mut self, epoch: u32, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        let rate = (self.rate.at(epoch) * self.scale) as f32;
        self.batch.record(problem, recording, |place| {
            StepMomentum {
                gradient: place.gradient,
                penalty: place.shard.penalty,
                velocity: self.velocities[place.role as usize][place.index],
                factors: place.shard.factors,
                width: problem.width,
                frozen: place.frozen,
                nesterov: self.nesterov,
                rate,
                beta: self.beta as f32,
            }
            .dispatch()
        })
    }

    fn state(&self) -> Vec<State> {
        let [users, items] = &self.velocities;
        vec![
            State::carried("user_velocity", Side::Users, &**users),
            State::carried("item_velocity", Side::Items, &**items),
        ]
    }

    fn has_horizon(&self) -> bool {
        self.rate.has_horizon()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.rate.settings();
        settings.push(("beta", self.beta.to_string()));
        settings.push(("nesterov", if self.nesterov { "on" } else { "off" }.to_owned()));
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
    fn beta_stays_below_1_and_nesterov_is_on_or_off() {
        let spec = find("momentum").unwrap();
        let build = |key: &str, value: &str| spec.build(&[(key.to_owned(), value.to_owned())]);
        for bad in ["1", "-0.1", "nan", "most"] {
            let error = build("beta", bad).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad}");
            assert!(error.to_string().contains("below 1"), "{error}");
        }
        for good in ["0", "0.99"] {
            build("beta", good).unwrap();
        }
        let error = build("nesterov", "true").unwrap_err();
        assert!(error.to_string().contains("on or off"), "{error}");
        let settings = build("nesterov", "off").unwrap().settings();
        assert!(settings.contains(&("nesterov", "off".to_owned())));
    }
}
