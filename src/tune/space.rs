//! What is tried: combinations of settings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::{Checked, ModelKind, Reg, RegScaling, TrainConfig};
use crate::error::{Error, Result};
use crate::optim;

/// The settings that can be tried: as the flags of `train` are called, and `opt.KEY` for `--opt KEY=…`.
pub const KEYS: [&str; 6] = ["rank", "model", "optimizer", "reg", "reg-scaling", "reg-bias"];

/// Before the key of an optimiser's hyperparameter.
const OPTION: &str = "opt.";

/// The most combinations that are tried.
const MOST: usize = 1000;

/// Epochs beyond the best after which a run ends.
const PATIENCE: u32 = 6;

/// A setting and the values that it is tried with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    key: String,
    values: Vec<String>,
}

impl FromStr for Axis {
    type Err = String;

    /// `rank=16,32,64`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, values) = text.split_once('=').unwrap_or((text, ""));
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        if values.iter().any(String::is_empty) {
            return Err("write KEY=VALUE,VALUE,…, such as rank=16,32,64".to_owned());
        }
        let known = KEYS.contains(&key) || key.strip_prefix(OPTION).is_some_and(|key| !key.is_empty());
        if !known {
            return Err(format!(
                "there is no setting `{key}` to try: there are {}, {OPTION}KEY",
                KEYS.join(", ")
            ));
        }
        Ok(Self { key: key.to_owned(), values })
    }
}

/// What a candidate changes of the base: key and value, in the order of the axes. Empty: the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(Vec<(String, String)>);

/// As flags of `train`: `--rank 64 --opt rate=0.1`; `defaults` if there are none.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("defaults");
        }
        for (i, (key, value)) in self.0.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            match key.strip_prefix(OPTION) {
                Some(key) => write!(f, "{space}--opt {key}={value}")?,
                None => write!(f, "{space}--{key} {value}")?,
            }
        }
        Ok(())
    }
}

impl Settings {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much is changed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Flags of `train` without dashes, and their values; `opt` has `key=value`.
    pub fn flags(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(key, value)| match key.strip_prefix(OPTION) {
            Some(key) => ("opt", format!("{key}={value}")),
            None => (key.as_str(), value.clone()),
        })
    }

    /// The base with these settings, and with as many epochs as may be worth trying: twice the optimiser's,
    /// ended when nothing comes of them any more; where what an epoch does depends on their number, just that.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no value of a setting, or can't be combined.
    pub fn config(&self, base: &TrainConfig) -> Result<TrainConfig> {
        let mut config = base.clone();
        for (key, value) in &self.0 {
            set(&mut config, key, value)?;
        }
        let spec = optim::find(&config.optimizer)?;
        let horizon = config.clone().check()?.optimizer.has_horizon();
        if !horizon {
            config.epochs.get_or_insert(2 * spec.epochs);
            config.patience.get_or_insert(PATIENCE);
        }
        Ok(config)
    }
}

fn set(config: &mut TrainConfig, key: &str, value: &str) -> Result<()> {
    let none = || {
        Error::usage(
            format!("{value} is no value for {key}"),
            format!("pass one that `deltav train --{key}` takes; `deltav train --help` has them"),
        )
    };
    fn by_name<T: Copy>(all: &[T], name: fn(T) -> &'static str, value: &str) -> Option<T> {
        all.iter().copied().find(|&one| name(one) == value)
    }
    let scalings = [RegScaling::Sqrt, RegScaling::None, RegScaling::Count];
    match key {
        "rank" => config.rank = value.parse().map_err(|_| none())?,
        "optimizer" => config.optimizer = value.to_owned(),
        "model" => config.model = Some(by_name(&ModelKind::ALL, ModelKind::name, value).ok_or_else(none)?),
        "reg" => config.reg = Some(value.parse::<Reg>().map_err(|_| none())?),
        "reg-scaling" => {
            config.reg_scaling = Some(by_name(&scalings, RegScaling::name, value).ok_or_else(none)?);
        }
        "reg-bias" => config.reg_bias = Some(value.parse().map_err(|_| none())?),
        _ => match key.strip_prefix(OPTION) {
            Some(key) => config.options.push((key.to_owned(), value.to_owned())),
            None => return Err(none()),
        },
    }
    Ok(())
}

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Space {
    /// All combinations of each of these.
    parts: Vec<Vec<Axis>>,
}

impl Space {
    /// All combinations of the values of these settings. What is not among them is as in the base.
    ///
    /// # Errors
    /// [`Error::Usage`] for a setting given twice, or more than a thousand combinations.
    pub fn of(axes: Vec<Axis>) -> Result<Self> {
        for (at, axis) in axes.iter().enumerate() {
            if axes.iter().take(at).any(|earlier| earlier.key == axis.key) {
                return Err(Error::usage(
                    format!("{} is given twice", axis.key),
                    "give all its values at once",
                ));
            }
        }
        let combinations =
            axes.iter().try_fold(1_usize, |product, axis| product.checked_mul(axis.values.len()));
        if combinations.is_none_or(|count| count > MOST) {
            return Err(Error::usage(format!("more than {MOST} combinations to try"), "give fewer values"));
        }
        Ok(Self { parts: vec![axes] })
    }

    /// What is worth trying with an optimiser: the rank, and the regularisation.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such optimiser.
    pub fn usual(optimizer: &str) -> Result<Self> {
        let spec = optim::find(optimizer)?;
        let axis = |key: &str, values: &[&str]| Axis {
            key: key.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        };
        let ranks = || {
            let ranks = [8, 16, 32, 64, 128].into_iter().filter(|&rank| rank <= spec.max_rank);
            Axis { key: "rank".to_owned(), values: ranks.map(|rank: usize| rank.to_string()).collect() }
        };
        let fixed = vec![ranks(), axis("model", &["biased"]), axis("reg", &["0.6", "1.2", "2.4"])];
        let learned = vec![ranks(), axis("model", &["svdpp", "biased"])];
        let scalings = vec![ranks(), axis("reg", &["0.6", "1.2", "2.4"])];
        Ok(Self { parts: if spec.learns { vec![learned, fixed] } else { vec![scalings] } })
    }

    /// The candidates: the defaults, which change nothing, and every combination that can be trained and
    /// isn't just that.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is a value that can be trained in no combination.
    pub(super) fn candidates(&self, base: &TrainConfig) -> Result<Vec<Settings>> {
        let plain = |settings: &Settings| {
            settings.config(base).and_then(|config| {
                let checked = config.check()?;
                let Checked { model, reg, reg_scaling, ref config, .. } = checked;
                let mut options = checked.spec.texts(&config.options);
                options.sort_unstable();
                Ok(format!(
                    "{} {model:?} {reg:?} {reg_scaling:?} {:?} {} {options:?}",
                    config.rank, config.reg_bias, checked.spec.name
                ))
            })
        };
        let defaults = Settings::default();
        let mut seen = vec![plain(&defaults)?];
        let mut candidates = vec![defaults];
        // A value that can't be combined with some others is left out there; one that fits none is wrong.
        let (mut fit, mut refused) = (Vec::new(), Vec::new());
        for settings in self.parts.iter().flat_map(|axes| combinations(axes)) {
            match plain(&settings) {
                Ok(text) => {
                    fit.extend(settings.0.iter().cloned());
                    if !seen.contains(&text) {
                        seen.push(text);
                        candidates.push(settings);
                    }
                }
                Err(error) => refused.push((settings, error)),
            }
        }
        let wrong = |(settings, _): &(Settings, Error)| settings.0.iter().any(|value| !fit.contains(value));
        match refused.into_iter().find(wrong) {
            Some((_, error)) => Err(error),
            None => Ok(candidates),
        }
    }
}

/// Every combination of a value of each axis, the last axis changing fastest.
fn combinations(axes: &[Axis]) -> Vec<Settings> {
    let mut all = vec![Settings::default()];
    for axis in axes {
        let with = |settings: &Settings| {
            let settings = settings.clone();
            axis.values
                .iter()
                .map(move |value| {
                    let mut settings = settings.clone();
                    settings.0.push((axis.key.clone(), value.clone()));
                    settings
                })
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    all
}
