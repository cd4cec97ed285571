//! What to train and how: [`TrainConfig`] is what people write, [`Checked`] is
//! what trains. Only [`TrainConfig::check`] makes the second from the first.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::optim::{self, Optimizer, OptimizerSpec};

/// The largest rank the kernels are tested for.
pub const MAX_RANK: usize = 512;

/// The form of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModelKind {
    /// `ŷ = u·v`, on the ratings as they are.
    Plain,
    /// `ŷ = μ + s·(u·v)`, μ and s the mean and standard deviation of the training ratings.
    Centered,
    /// `ŷ = μ + s·(b_u + c_i + u·v)`: centered, with a bias for each user and item.
    Biased,
}

impl ModelKind {
    /// Every kind, in the order of the help text.
    pub const ALL: [ModelKind; 3] = [ModelKind::Plain, ModelKind::Centered, ModelKind::Biased];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::Plain => "plain",
            ModelKind::Centered => "centered",
            ModelKind::Biased => "biased",
        }
    }

    /// The prediction as a formula.
    pub fn formula(self) -> &'static str {
        match self {
            ModelKind::Plain => "u·v",
            ModelKind::Centered => "μ + s·(u·v)",
            ModelKind::Biased => "μ + s·(b_u + c_i + u·v)",
        }
    }

    /// Whether users and items have biases.
    pub fn has_bias(self) -> bool {
        self == ModelKind::Biased
    }
}

/// The convention of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// `E = (1/N) Σ e²`, so the step on U is `(2η/N)·ΔV`.
    Mean,
    /// `L = ½ Σ e²`, so the step on U is `η·ΔV`.
    Sum,
}

impl Loss {
    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Loss::Mean => "mean",
            Loss::Sum => "sum",
        }
    }

    /// What turns a rate into the factor before ΔV: `2/N` for mean, 1 for sum.
    ///
    /// `ratings`: the number N of training ratings.
    pub fn gradient_factor(self, ratings: u64) -> f64 {
        match self {
            Loss::Mean => 2.0 / ratings as f64,
            Loss::Sum => 1.0,
        }
    }
}

/// How the L2 penalty of a row grows with its number n of training ratings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegScaling {
    /// λ·√n, the best of the three on MovieLens.
    Sqrt,
    /// λ for every row.
    None,
    /// λ·n, as per-rating stochastic descent does ("ALS-WR").
    Count,
}

impl RegScaling {
    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            RegScaling::Sqrt => "sqrt",
            RegScaling::None => "none",
            RegScaling::Count => "count",
        }
    }

    /// The penalty of a row with `n` training ratings. Rows without one keep
    /// penalty 0, so that they are never moved.
    pub fn penalty(self, lambda: f64, n: u64) -> f64 {
        match self {
            _ if n == 0 => 0.0,
            RegScaling::Sqrt => lambda * (n as f64).sqrt(),
            RegScaling::None => lambda,
            RegScaling::Count => lambda * n as f64,
        }
    }
}

/// What to train, as people write it: every field may be nonsense.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// The form of a prediction. Default: biased.
    pub model: ModelKind,
    /// Number k of latent factors, 1 to [`MAX_RANK`]. Default: 32.
    pub rank: usize,
    /// Passes over the ratings; 0 keeps the initial factors. Default: the optimiser's.
    pub epochs: Option<u32>,
    /// Seed of the initial factors. Default: 0.
    pub seed: u64,
    /// Name of the optimiser. Default: `gd`.
    pub optimizer: String,
    /// Its hyperparameters as `(key, value)`.
    pub options: Vec<(String, String)>,
    /// The convention of the objective. Default: mean.
    pub loss: Loss,
    /// L2 penalty λ ≥ 0. Default: 0 for plain, else 1.2.
    pub reg: Option<f64>,
    /// How λ grows with a row's ratings. Default: sqrt.
    pub reg_scaling: RegScaling,
    /// Clip predictions to the range of the training ratings. Default: yes.
    pub clip: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            model: ModelKind::Biased,
            rank: 32,
            epochs: None,
            seed: 0,
            optimizer: "gd".to_owned(),
            options: Vec::new(),
            loss: Loss::Mean,
            reg: None,
            reg_scaling: RegScaling::Sqrt,
            clip: true,
        }
    }
}

/// A configuration that can train: every setting is present and in range.
#[derive(Debug)]
pub struct Checked {
    pub(crate) config: TrainConfig,
    pub(crate) epochs: u32,
    pub(crate) reg: f64,
    pub(crate) spec: &'static OptimizerSpec,
    pub(crate) optimizer: Box<dyn Optimizer>,
}

impl TrainConfig {
    /// Checks every setting and fills in what was left open.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the setting and its range.
    pub fn check(self) -> Result<Checked> {
        if self.rank == 0 || self.rank > MAX_RANK {
            return Err(Error::usage(
                format!("rank {} is out of range", self.rank),
                format!("pass a rank from 1 to {MAX_RANK}"),
            ));
        }
        let reg = self.reg.unwrap_or(if self.model == ModelKind::Plain { 0.0 } else { 1.2 });
        if !(reg >= 0.0 && reg.is_finite()) {
            return Err(Error::usage(
                format!("regularization {reg} is out of range"),
                "pass a finite number of at least 0",
            ));
        }
        let spec = optim::find(&self.optimizer)?;
        let optimizer = spec.build(&self.options)?;
        let epochs = self.epochs.unwrap_or(spec.epochs);
        Ok(Checked { epochs, reg, spec, optimizer, config: self })
    }
}

impl Checked {
    /// The settings as they were written.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Epochs that will run.
    pub fn epochs(&self) -> u32 {
        self.epochs
    }
}
