//! What to train and how: [`TrainConfig`] is what people write, [`Checked`] is
//! what trains. Only [`TrainConfig::check`] makes the second from the first.

mod keep;
mod kernels;
mod precision;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::optim::{self, Optimizer, OptimizerSpec};

pub use keep::Keep;
pub use kernels::Kernels;
pub use precision::Precision;

/// The largest rank the kernels are tested for.
pub const MAX_RANK: usize = 512;

/// The most models that are averaged.
pub const MAX_AVERAGE: u32 = 64;

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
    /// As biased, the factors' prior means taken from who rated what.
    Svdpp,
}

impl ModelKind {
    /// Every kind, in the order of the help text.
    pub const ALL: [ModelKind; 4] =
        [ModelKind::Plain, ModelKind::Centered, ModelKind::Biased, ModelKind::Svdpp];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::Plain => "plain",
            ModelKind::Centered => "centered",
            ModelKind::Biased => "biased",
            ModelKind::Svdpp => "svdpp",
        }
    }

    /// The prediction as a formula.
    pub fn formula(self) -> &'static str {
        match self {
            ModelKind::Plain => "u·v",
            ModelKind::Centered => "μ + s·(u·v)",
            ModelKind::Biased => "μ + s·(b_u + c_i + u·v)",
            ModelKind::Svdpp => "μ + s·(b_u + c_i + u·v), prior means of u and v from who rated what",
        }
    }

    /// Whether users and items have biases.
    pub fn has_bias(self) -> bool {
        matches!(self, ModelKind::Biased | ModelKind::Svdpp)
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

/// How the factors are kept small.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reg {
    /// Learned from the data: no λ.
    Auto,
    /// An L2 penalty λ ≥ 0.
    Fixed(f64),
}

impl std::fmt::Display for Reg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reg::Auto => f.write_str("auto"),
            Reg::Fixed(lambda) => write!(f, "{lambda}"),
        }
    }
}

impl std::str::FromStr for Reg {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Reg::Auto),
            _ => s.parse().map(Reg::Fixed).map_err(|_| format!("`{s}` is neither a number nor auto")),
        }
    }
}

/// The greatest penalty λ: times the ratings of a row, its square is still an f32.
pub const MAX_REG: f64 = 1e12;

/// λ of optimisers that can't learn it.
const DEFAULT_LAMBDA: f64 = 1.2;

/// λ of the epochs before variances and priors are learned.
pub(crate) const WARM_UP_LAMBDA: f64 = 0.8;

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
    /// The form of a prediction. Default: svdpp where the optimiser can learn it, else biased.
    pub model: Option<ModelKind>,
    /// Number k of latent factors, 1 to [`MAX_RANK`]. Default: 32.
    pub rank: usize,
    /// Passes over the ratings; 0 keeps the initial factors. Default: the optimiser's.
    pub epochs: Option<u32>,
    /// Seed of the initial factors. Default: 0.
    pub seed: u64,
    /// Name of the optimiser. Default: `line-search`.
    pub optimizer: String,
    /// Its hyperparameters as `(key, value)`.
    pub options: Vec<(String, String)>,
    /// The convention of the objective. Default: mean.
    pub loss: Loss,
    /// Learned, or a penalty λ from 0 to [`MAX_REG`]. Default: auto where the optimiser can learn
    /// it; else 0 for plain and 1.2 for the other models.
    pub reg: Option<Reg>,
    /// How λ grows with a row's ratings. Default: sqrt.
    pub reg_scaling: Option<RegScaling>,
    /// Another λ > 0 for the biases, with a fixed λ > 0; their quotient is at most [`MAX_REG`].
    /// Default: the same λ.
    pub reg_bias: Option<f64>,
    /// Clip predictions to the range of the training ratings. Default: yes.
    pub clip: bool,
    /// Which epoch's factors are kept. Default: the best where there is a
    /// validation part, else the last.
    pub keep: Option<Keep>,
    /// Stop after this many epochs, at least 1, without a lower validation RMSE. Default: never.
    pub patience: Option<u32>,
    /// Models to train, from this seed and the next ones, whose predictions are
    /// averaged: 1 to [`MAX_AVERAGE`]. Default: 1.
    pub average: u32,
    /// Stop with the epoch that is running after this many seconds. Default: never.
    pub max_seconds: Option<f64>,
    /// Which kernels train. Default: the fused ones, where they can.
    pub kernels: Kernels,
    /// In which precision fused kernels gather. Default: f32.
    pub precision: Precision,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            model: None,
            rank: 32,
            epochs: None,
            seed: 0,
            optimizer: "line-search".to_owned(),
            options: Vec::new(),
            loss: Loss::Mean,
            reg: None,
            reg_scaling: None,
            reg_bias: None,
            clip: true,
            keep: None,
            patience: None,
            average: 1,
            max_seconds: None,
            kernels: Kernels::Auto,
            precision: Precision::F32,
        }
    }
}

/// A configuration that can train: every setting is present and in range.
#[derive(Debug)]
pub struct Checked {
    pub(crate) config: TrainConfig,
    pub(crate) model: ModelKind,
    pub(crate) epochs: u32,
    pub(crate) reg: Reg,
    pub(crate) reg_scaling: RegScaling,
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
        self.check_end()?;
        let spec = optim::find(&self.optimizer)?;
        if self.rank > spec.max_rank {
            return Err(Error::usage(
                format!("rank {} is too large for optimizer {}", self.rank, spec.name),
                format!("pass a rank of at most {}, or another --optimizer", spec.max_rank),
            ));
        }
        let (model, reg) = self.resolve(spec)?;
        if let Reg::Fixed(lambda) = reg
            && !(0.0..=MAX_REG).contains(&lambda)
        {
            return Err(Error::usage(
                format!("--reg {lambda:e} is out of range"),
                format!("pass a number from 0 to {MAX_REG:e}, or auto"),
            ));
        }
        if reg == Reg::Auto && self.reg_scaling.is_some() {
            return Err(Error::usage(
                "--reg-scaling has no part in --reg auto",
                "leave it out, or pass --reg λ",
            ));
        }
        if let Some(lambda) = self.reg_bias {
            check_reg_bias(lambda, model, reg)?;
        }
        let optimizer = spec.build(&self.options)?;
        let epochs = self.epochs.unwrap_or(spec.epochs);
        let reg_scaling = self.reg_scaling.unwrap_or(RegScaling::Sqrt);
        Ok(Checked { model, epochs, reg, reg_scaling, spec, optimizer, config: self })
    }
}

fn check_reg_bias(lambda: f64, model: ModelKind, reg: Reg) -> Result<()> {
    if !model.has_bias() {
        return Err(Error::usage(
            format!("--model {} has no biases to penalise", model.name()),
            "leave --reg-bias out, or pass --model biased",
        ));
    }
    match reg {
        Reg::Auto => {
            Err(Error::usage("--reg-bias has no part in --reg auto", "leave it out, or pass --reg λ"))
        }
        Reg::Fixed(other) if lambda > 0.0 && (1.0 / MAX_REG..=MAX_REG).contains(&(other / lambda)) => Ok(()),
        Reg::Fixed(_) => Err(Error::usage(
            format!("--reg-bias {lambda:e} is out of range"),
            format!(
                "pass a number above 0 and a --reg above 0, neither more than {MAX_REG:e} times the other"
            ),
        )),
    }
}

impl TrainConfig {
    fn check_end(&self) -> Result<()> {
        if self.patience == Some(0) {
            return Err(Error::usage("patience 0 would stop before the first epoch", "pass at least 1"));
        }
        if !(1..=MAX_AVERAGE).contains(&self.average) {
            return Err(Error::usage(
                format!("an average of {} models is out of range", self.average),
                format!("pass --average 1 to {MAX_AVERAGE}"),
            ));
        }
        if let Some(seconds) = self.max_seconds
            && !(seconds > 0.0 && seconds.is_finite())
        {
            return Err(Error::usage(
                format!("{seconds} seconds are no time to train in"),
                "pass a number above 0, or leave --max-seconds out",
            ));
        }
        Ok(())
    }

    /// Refuses what only a validation part can decide where there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the setting.
    pub fn check_without_validation(&self) -> Result<()> {
        let setting = match (self.patience, self.keep) {
            (Some(_), _) => "--patience",
            (None, Some(Keep::Best)) => "--keep best",
            _ => return Ok(()),
        };
        Err(Error::usage(
            format!("{setting} needs ratings to validate with"),
            "pass --holdout 0.1 or --valid FILE, or leave it out",
        ))
    }

    /// The model and the regularization, each from what was said of the other.
    fn resolve(&self, spec: &OptimizerSpec) -> Result<(ModelKind, Reg)> {
        let fixed = |model| Reg::Fixed(if model == ModelKind::Plain { 0.0 } else { DEFAULT_LAMBDA });
        let learned = |what: &str| {
            Err(Error::usage(
                format!("{what} is learned with --optimizer line-search only, not {}", spec.name),
                "pass --model biased and a --reg λ, or leave --optimizer out",
            ))
        };
        match (self.model, self.reg) {
            (Some(ModelKind::Svdpp), _) if !spec.learns => learned("--model svdpp"),
            (_, Some(Reg::Auto)) if !spec.learns => learned("--reg auto"),
            (Some(ModelKind::Svdpp), Some(Reg::Fixed(_))) => Err(Error::usage(
                "--model svdpp learns its regularization",
                "leave --reg out, or pass --model biased",
            )),
            (Some(model), Some(reg)) => Ok((model, reg)),
            (Some(ModelKind::Plain), None) => Ok((ModelKind::Plain, Reg::Fixed(0.0))),
            (Some(model), None) => Ok((model, if spec.learns { Reg::Auto } else { fixed(model) })),
            (None, Some(Reg::Fixed(lambda))) => Ok((ModelKind::Biased, Reg::Fixed(lambda))),
            (None, Some(Reg::Auto)) => Ok((ModelKind::Svdpp, Reg::Auto)),
            (None, None) if spec.learns => Ok((ModelKind::Svdpp, Reg::Auto)),
            (None, None) => Ok((ModelKind::Biased, fixed(ModelKind::Biased))),
        }
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
