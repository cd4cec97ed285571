//! What happens during a run, as values. The library reports events and never
//! prints; the command line renders them as bars, lines or JSON.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What was read before training.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Distinct users in the ratings.
    pub users: u64,
    /// Distinct items in the ratings.
    pub items: u64,
    /// Ratings that are trained on.
    pub ratings: u64,
    /// Ratings in the validation part (`--holdout`).
    pub valid: u64,
    /// Ratings in the test file.
    pub test: u64,
    /// Ratings of the test file whose user or item has no training rating.
    pub test_unknown: u64,
    /// The device that trains.
    pub device: String,
}

/// One epoch's numbers, after its update.
///
/// All RMSE are in rating units. `None` means not computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// The model of an average that is being trained, from 1; `None` where there is one model.
    pub member: Option<u32>,
    /// The epoch, from 1; 0 is the state before the first update.
    pub epoch: u32,
    /// Epochs asked for.
    pub epochs: u32,
    /// RMSE over the training ratings, unclipped.
    pub train_rmse: Option<f64>,
    /// RMSE over the validation part, clipped as predictions are.
    pub valid_rmse: Option<f64>,
    /// RMSE over the test file, clipped as predictions are.
    pub test_rmse: Option<f64>,
    /// Seconds of training since the first epoch began.
    pub seconds: f64,
    /// Training ratings handled a second in this epoch.
    pub ratings_per_second: f64,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// All epochs ran.
    Epochs,
    /// The validation RMSE did not improve for as many epochs as patience lasts.
    Patience,
    /// The time was up.
    MaxSeconds,
    /// The observer asked for the end: [`Observer::stops`].
    Observer,
}

impl StopReason {
    /// The reason as one word for scripts.
    pub fn name(self) -> &'static str {
        match self {
            StopReason::Epochs => "epochs",
            StopReason::Patience => "patience",
            StopReason::MaxSeconds => "max-seconds",
            StopReason::Observer => "observer",
        }
    }
}

/// The end of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// Why.
    pub reason: StopReason,
    /// The last epoch's numbers.
    pub last: Epoch,
    /// The numbers of the epoch whose factors the model has.
    pub kept: Epoch,
    /// That epoch's number, where the validation part chose it.
    pub best_epoch: Option<u32>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Where.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The model of an average that is being trained, from 1; `None` where there is one model.
    pub member: Option<u32>,
    /// Its last epoch.
    pub epoch: u32,
}

/// Such as `epoch 12`, or `epoch 12 of model 2`.
impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}", self.epoch)?;
        self.member.map_or(Ok(()), |member| write!(f, " of model {member}"))
    }
}

/// A run's state that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpointed {
    /// Where.
    pub path: PathBuf,
    /// How far the run had come.
    pub reached: Reached,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The ratings are in memory and on the device.
    Loaded(Loaded),
    /// An epoch ended.
    Epoch(Epoch),
    /// Training ended.
    Stopped(Stopped),
    /// A file was written.
    Saved(Saved),
    /// A checkpoint was written.
    Checkpointed(Checkpointed),
    /// Something the user should know, in one line.
    Notice(String),
}

/// Listens to a run.
pub trait Observer {
    /// Called for each event, in order.
    fn event(&mut self, event: &Event);

    /// Whether epoch numbers are wanted. If not, no loss is read back from
    /// the device between the first epoch and the last, unless an end depends
    /// on it: the best epoch, patience or a time limit.
    fn wants_epochs(&self) -> bool {
        true
    }

    /// Whether training ends with the epoch that was told of last: the model is that of the best
    /// epoch where there is a validation part, else of the last. Of an average, each member is asked.
    fn stops(&self) -> bool {
        false
    }
}

/// Any closure over events listens.
impl<F: FnMut(&Event)> Observer for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}

/// Listens with a closure that ends training where it returns true of an epoch.
///
/// ```
/// use deltav::event::{Event, until};
/// // Good enough is good enough.
/// let observer = until(|event| match event {
///     Event::Epoch(epoch) => epoch.valid_rmse.is_some_and(|rmse| rmse < 0.85),
///     _ => false,
/// });
/// # let _ = observer;
/// ```
pub fn until<F: FnMut(&Event) -> bool>(closure: F) -> Until<F> {
    Until { closure, stops: false }
}

/// What [`until`] makes of a closure.
#[derive(Debug, Clone)]
pub struct Until<F> {
    closure: F,
    stops: bool,
}

impl<F: FnMut(&Event) -> bool> Observer for Until<F> {
    fn event(&mut self, event: &Event) {
        let stops = (self.closure)(event);
        if matches!(event, Event::Epoch(_)) {
            self.stops = stops;
        }
    }

    fn stops(&self) -> bool {
        self.stops
    }
}

/// Listens to nothing: the fastest run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event) {}

    fn wants_epochs(&self) -> bool {
        false
    }
}
