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
//!
//! `auto` takes 1/L, L an estimate of the largest curvature near a solution
//! ([`Problem::curvature`]): descent diverges above 2/L. Expect hundreds of epochs.
//!
//! Source: Simon Funk, "Netflix Update: Try This at Home" (2006), in batch form.

use super::{Hyperparameter, Objective, Optimizer, OptimizerSpec, Options};
use crate::backend::{Backend, Buffer};
use crate::error::Result;
use crate::kernel::step_gd::StepGd;
use crate::kernel::{Dispatch, Element};
use crate::problem::{Problem, Role};

/// The registry's entry.
pub(super) static SPEC: OptimizerSpec = OptimizerSpec {
    name: "gd",
    summary: "batch gradient descent: simple, and slow (hundreds of epochs)",
    formula: "U += (2η/N)·(ΔV − λU), V += (2η/N)·(ΔᵀU − λV), both from the old factors",
    source: "Funk 2006, in batch form",
    epochs: 500,
    learns: false,
    row_elements: |width| width,
    hyperparameters: &[Hyperparameter {
        key: "rate",
        doc: "learning rate η of the chosen loss; auto: 1 over the estimated curvature",
        default: "auto",
        range: "a number above 0, or auto",
    }],
    build,
};

#[derive(Debug)]
struct GradientDescent {
    /// η; `None` until `prepare` settles it.
    rate: Option<f64>,
    /// What is multiplied with ΔV: η times the loss's factor.
    factor: f32,
    /// ΔV and ΔᵀU, a buffer a shard.
    gradients: [Vec<Buffer>; 2],
}

fn build(options: &Options<'_>) -> Result<Box<dyn Optimizer>> {
    let rate = match options.text("rate") {
        "auto" => None,
        _ => Some(options.number("rate", |rate| rate > 0.0 && rate.is_finite())?),
    };
    Ok(Box::new(GradientDescent { rate, factor: 0.0, gradients: [Vec::new(), Vec::new()] }))
}

impl Optimizer for GradientDescent {
    fn prepare(
        &mut self,
        problem: &Problem,
        objective: &Objective<'_>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let scale = objective.loss.gradient_factor(problem.ratings);
        let rate = *self.rate.get_or_insert(1.0 / (scale * problem.curvature));
        self.factor = (rate * scale) as f32;
        for (role, gradients) in Role::BOTH.into_iter().zip(&mut self.gradients) {
            for shard in &problem.side(role).shards {
                gradients.push(backend.alloc("gradient", Element::F32, shard.factors.len())?);
            }
        }
        Ok(())
    }

    fn record(&mut self, _: u32, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        for (role, gradients) in Role::BOTH.into_iter().zip(&self.gradients) {
            problem.record_gradient(role, gradients, recording)?;
        }
        for (role, gradients) in Role::BOTH.into_iter().zip(&self.gradients) {
            let side = problem.side(role);
            for (shard, &gradient) in side.shards.iter().zip(gradients) {
                let step = StepGd {
                    gradient,
                    penalty: shard.penalty,
                    factors: shard.factors,
                    width: problem.width,
                    frozen: side.frozen,
                    rate: self.factor,
                };
                recording.push(step.dispatch()?);
            }
        }
        Ok(())
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("rate", self.rate.map_or_else(|| "auto".to_owned(), |rate| format!("{rate:e}")))]
    }

    fn remedy(&self) -> String {
        match self.rate {
            Some(rate) => format!("pass a smaller rate, --opt rate={:.2e} or leave it out", rate / 4.0),
            None => "pass a smaller --opt rate".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;

    #[test]
    fn a_rate_must_be_a_positive_number() {
        let spec = find("gd").unwrap();
        for bad in ["0", "-1", "nan", "inf", "fast", ""] {
            let error = spec.build(&[("rate".to_owned(), bad.to_owned())]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad}");
            assert!(error.to_string().contains("above 0"), "{error}");
        }
        for good in ["auto", "0.5", "1e-5"] {
            spec.build(&[("rate".to_owned(), good.to_owned())]).unwrap();
        }
    }
}
