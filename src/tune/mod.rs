//! Settings chosen by hold-out: sequential halving over seeded splits.
//!
//! Every candidate is trained on one split of the ratings and measured on the part that was held out
//! of it; the better half goes on to as many splits more, and so on, so that most of the time goes to those
//! that are hard to tell apart. All are measured on the same splits, so that differences are not
//! those of the splits. What the defaults reach is always among the results: they are never left out.
//!
//! Of each run the whole curve is kept. A candidate's epochs are those at which the mean of its curves is
//! least, and its error is that mean: an epoch chosen for each split by itself would look better than it is.
//!
//! # Source
//! Karnin, Koren & Somekh 2013, "Almost Optimal Exploration in Multi-Armed Bandits": sequential
//! halving; Jamieson & Talwalkar 2016 for its use on hyperparameters.

mod journal;
mod space;
mod trial;

use std::time::Instant;

pub use journal::Journal;
pub use space::{Axis, KEYS, Settings, Space};
pub use trial::{Outcome, Trial};

use crate::backend::Backend;
use crate::config::TrainConfig;
use crate::data::{HoldoutBy, Ratings};
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::interrupt::Interrupt;
use crate::train::{Controls, Dataset, train_with};

/// How candidates are measured.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// What the settings of a candidate are put into; its seed is that of the first split.
    pub base: TrainConfig,
    /// Part of the ratings that a split holds out, above 0 and below 1.
    pub holdout: f64,
    /// Which part.
    pub holdout_by: HoldoutBy,
    /// The most splits that a candidate is measured on. By time there is only one.
    pub splits: u32,
    /// Start no run after so many seconds.
    pub max_seconds: Option<f64>,
    /// Looked at after each epoch.
    pub interrupt: Option<Interrupt>,
}

/// A run that is done.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Runs that are done, and those there will be at most.
    pub done: usize,
    /// See `done`.
    pub total: usize,
    /// The round, from 1.
    pub round: usize,
    /// What was measured.
    pub trial: &'a Trial,
    /// Whether it was known from an earlier call.
    pub known: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Tuned {
    /// Every candidate, the best first: those of later rounds before those that were left out earlier.
    pub trials: Vec<Trial>,
    /// Whether every round was finished, rather than cut short by time.
    pub complete: bool,
}

impl Tuned {
    /// The best candidate: the defaults, unless another is better on as many splits.
    pub fn best(&self) -> Option<&Trial> {
        self.trials.first()
    }

    /// The defaults.
    pub fn defaults(&self) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.settings.is_empty())
    }
}

/// Rounds of sequential halving: of how many candidates, and on how many splits each has been
/// measured at the round's end.
///
/// The last round has two or three candidates, or as many splits as may be.
pub fn rounds(candidates: usize, splits: u32) -> Vec<(usize, u32)> {
    let mut rounds = vec![(candidates, 1)];
    let (mut left, mut measured) = (candidates, 1);
    while measured < splits && left > 1 {
        left = left.div_ceil(2).max(2).min(left);
        measured = (2 * measured).min(splits);
        rounds.push((left, measured));
    }
    rounds
}

/// Measures the candidates of a space and puts them in order.
///
/// `told` hears of every run. What a `journal` has is not trained again; what is trained is kept in it.
///
/// # Errors
/// [`Error::Usage`] if no candidate can be trained. As [`train_with`]; a candidate that
/// diverges is no error, but comes last.
pub fn tune(
    tuning: &Tuning,
    space: &Space,
    ratings: &Ratings,
    backend: &mut dyn Backend,
    mut journal: Option<&mut Journal>,
    told: &mut dyn FnMut(&Progress<'_>),
) -> Result<Tuned> {
    let began = Instant::now();
    let mut trials: Vec<Trial> = space.candidates(&tuning.base)?.into_iter().map(Trial::new).collect();
    // The newest ratings are the same by any seed.
    let splits = if tuning.holdout_by == HoldoutBy::Time { 1 } else { tuning.splits };
    let rounds = rounds(trials.len(), splits);
    let total = runs(&rounds);
    let (mut done, mut complete) = (0, true);
    'rounds: for (round, &(left, splits)) in rounds.iter().enumerate() {
        order(&mut trials, &tuning.base);
        let survivors = survivors(&trials, left);
        let first = if round == 0 { 0 } else { rounds.get(round - 1).map_or(0, |before| before.1) };
        for split in first..splits {
            // Made when somebody needs it.
            let mut data = None;
            for &at in &survivors {
                let Some(trial) = trials.get_mut(at) else { continue };
                let known = journal.as_ref().and_then(|journal| journal.find(&trial.settings, split));
                let outcome = match &known {
                    Some(outcome) => outcome.clone(),
                    None => {
                        if tuning.max_seconds.is_some_and(|most| began.elapsed().as_secs_f64() >= most) {
                            complete = false;
                            // Who came before has had this split, and the others have not.
                            trials
                                .iter_mut()
                                .for_each(|trial| trial.outcomes.retain(|run| run.split != split));
                            break 'rounds;
                        }
                        let data = match &data {
                            Some(data) => data,
                            None => data.insert(tuning.split(ratings, split)?),
                        };
                        let outcome = tuning.run(&trial.settings, split, data, backend)?;
                        if let Some(journal) = &mut journal {
                            journal.keep(&trial.settings, &outcome)?;
                        }
                        outcome
                    }
                };
                trial.outcomes.push(outcome);
                done += 1;
                told(&Progress { done, total, round: round + 1, trial, known: known.is_some() });
            }
        }
    }
    order(&mut trials, &tuning.base);
    Ok(Tuned { trials, complete })
}

/// Runs of all rounds, the defaults in each of them.
fn runs(rounds: &[(usize, u32)]) -> usize {
    let mut before = 0;
    let mut total = 0;
    for &(left, splits) in rounds {
        total += left * (splits - before) as usize;
        before = splits;
    }
    total
}

/// The best `left` of trials in their order, with the defaults among them.
fn survivors(trials: &[Trial], left: usize) -> Vec<usize> {
    let mut best: Vec<usize> = (0..trials.len().min(left)).collect();
    let defaults = trials.iter().position(|trial| trial.settings.is_empty());
    if let Some(defaults) = defaults.filter(|at| *at >= left) {
        best.pop();
        best.push(defaults);
    }
    best
}

/// Those with more outcomes first; of as many, the one with the lower error, and of equals the defaults.
fn order(trials: &mut [Trial], base: &TrainConfig) {
    trials.sort_by(|a, b| {
        let error = |trial: &Trial| trial.error(base);
        let by_error = error(a).total_cmp(&error(b));
        b.outcomes.len().cmp(&a.outcomes.len()).then(by_error).then(a.settings.len().cmp(&b.settings.len()))
    });
}

impl Tuning {
    /// The split with this number, by the seed.
    fn split(&self, ratings: &Ratings, number: u32) -> Result<Dataset> {
        let seed = self.seed(number);
        let (train, valid) = ratings.clone().split_by(self.holdout_by, self.holdout, seed)?;
        Ok(Dataset { train, valid: Some(valid), test: None })
    }

    fn seed(&self, split: u32) -> u64 {
        self.base.seed.wrapping_add(u64::from(split))
    }

    /// One run of one candidate.
    fn run(
        &self,
        settings: &Settings,
        split: u32,
        data: &Dataset,
        backend: &mut dyn Backend,
    ) -> Result<Outcome> {
        let config = TrainConfig { seed: self.seed(split), ..settings.config(&self.base)? };
        let mut curve = Curve::default();
        let controls = Controls { interrupt: self.interrupt.clone(), ..Controls::default() };
        let outcome = |curve: Curve| Outcome { split, curve: curve.errors, seconds: curve.seconds };
        match train_with(config.check()?, data, backend, &mut curve, controls) {
            Ok(_) => Ok(outcome(curve)),
            Err(Error::Diverged { .. }) => Ok(outcome(Curve { errors: Vec::new(), ..curve })),
            Err(error) => Err(error),
        }
    }
}

/// Keeps the validation RMSE of every epoch.
#[derive(Debug, Default)]
struct Curve {
    errors: Vec<f64>,
    seconds: f64,
}

impl Observer for Curve {
    fn event(&mut self, event: &Event) {
        if let Event::Epoch(epoch) = event {
            self.errors.extend(epoch.valid_rmse);
            self.seconds = epoch.seconds;
        }
    }
}

#[cfg(test)]
mod tests;
