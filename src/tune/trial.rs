//! One candidate and what was measured of it.

use serde::{Deserialize, Serialize};

use super::space::Settings;
use crate::config::TrainConfig;
use crate::optim;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The split, from 0.
    pub split: u32,
    /// Validation RMSE after each epoch, in rating units; empty if training diverged.
    pub curve: Vec<f64>,
    /// Seconds of training.
    pub seconds: f64,
}

/// A candidate and its runs.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What differs from the base; empty: the defaults.
    pub settings: Settings,
    /// A run a split.
    pub outcomes: Vec<Outcome>,
}

impl Trial {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, outcomes: Vec::new() }
    }

    /// The mean over the splits of the RMSE after each epoch. A run that ended early, since nothing came
    /// of it any more, counts with its last.
    pub fn curve(&self) -> Vec<f64> {
        let longest = self.outcomes.iter().map(|outcome| outcome.curve.len()).max().unwrap_or(0);
        if self.outcomes.iter().any(|outcome| outcome.curve.is_empty()) {
            return Vec::new();
        }
        let at = |epoch: usize| {
            let last = |outcome: &Outcome| outcome.curve.get(epoch).or(outcome.curve.last()).copied();
            self.outcomes.iter().filter_map(last).sum::<f64>() / self.outcomes.len() as f64
        };
        (0..longest).map(at).collect()
    }

    /// The epochs to train for and the mean RMSE there: where the mean curve is least. The defaults
    /// have the epochs that they have without tuning. `None` if a run diverged, or there is none.
    pub fn best(&self, base: &TrainConfig) -> Option<(u32, f64)> {
        let curve = self.curve();
        if self.settings.is_empty() {
            let epochs = base.epochs.or(optim::find(&base.optimizer).ok().map(|spec| spec.epochs))?;
            let at = curve.len().min(epochs as usize).checked_sub(1)?;
            return curve.get(at).map(|&error| (epochs, error));
        }
        let least = curve.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        least.map(|(at, error)| (at as u32 + 1, error))
    }

    /// The mean RMSE, or infinity.
    pub(super) fn error(&self, base: &TrainConfig) -> f64 {
        self.best(base).map_or(f64::INFINITY, |(_, error)| error)
    }

    /// How much its RMSE is below another's on the splits that both have, and the standard error of that
    /// mean (0 for one split).
    pub fn gain(&self, other: &Trial, base: &TrainConfig) -> Option<(f64, f64)> {
        let ((mine, _), (theirs, _)) = (self.best(base)?, other.best(base)?);
        let at = |outcome: &Outcome, epochs: u32| {
            outcome.curve.get(epochs as usize - 1).or(outcome.curve.last()).copied()
        };
        let gains: Vec<f64> = self
            .outcomes
            .iter()
            .filter_map(|outcome| {
                let same = other.outcomes.iter().find(|theirs| theirs.split == outcome.split)?;
                Some(at(same, theirs)? - at(outcome, mine)?)
            })
            .collect();
        let count = gains.len() as f64;
        let mean = gains.iter().sum::<f64>() / count;
        let squares: f64 = gains.iter().map(|gain| (gain - mean).powi(2)).sum();
        (count > 0.0).then(|| (mean, (squares / (count - 1.0).max(1.0) / count).sqrt()))
    }

    /// Seconds of training over all splits.
    pub fn seconds(&self) -> f64 {
        self.outcomes.iter().map(|outcome| outcome.seconds).sum()
    }
}
