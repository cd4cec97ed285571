//! From ratings to a model in a few lines: [`Trainer`].

use crate::backend::{DeviceChoice, OpenOptions, open};
use crate::config::TrainConfig;
use crate::data::Ratings;
use crate::error::Result;
use crate::event::{Event, Observer};
use crate::model::Model;
use crate::train::{Controls, Dataset, train_with};

/// Trains on ratings as `deltav train` does: its settings are the command's flags, with the same
/// defaults and the same bits at the end.
///
/// Whoever needs more, such as a test file, checkpoints, or a device that stays open for several
/// runs, calls [`train`](crate::train::train) or [`train_with`], of which this is a short form.
///
/// ```
/// use deltav::{Event, Ratings, Trainer};
///
/// let ratings = Ratings::read("examples/ratings.csv")?;
/// let model = Trainer::new().rank(8).epochs(10).holdout(0.1).train(ratings, |event: &Event| {
///     if let Event::Epoch(epoch) = event {
///         println!("{:>2}  {:?}", epoch.epoch, epoch.valid_rmse);
///     }
/// })?;
/// assert!(model.metadata.metrics["valid_rmse"] < 1.0);
/// # Ok::<(), deltav::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Trainer<'a> {
    config: TrainConfig,
    device: DeviceChoice,
    options: OpenOptions,
    holdout: Option<f64>,
    initial: Option<&'a Model>,
}

impl<'a> Trainer<'a> {
    /// With every default: rank 32, regularisation learned, the best GPU or else the CPU.
    pub fn new() -> Self {
        Self::default()
    }

    /// With all the settings of a configuration, for those that have no method here.
    pub fn with(config: TrainConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// The number k of latent factors, 1 to [`MAX_RANK`](crate::config::MAX_RANK).
    pub fn rank(mut self, rank: usize) -> Self {
        self.config.rank = rank;
        self
    }

    /// Passes over the ratings.
    pub fn epochs(mut self, epochs: u32) -> Self {
        self.config.epochs = Some(epochs);
        self
    }

    /// The seed of the initial factors and of the hold-out.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// Sets this part of the ratings aside, above 0 and below 1, drawn by the seed: the model is
    /// that of the epoch that predicts them best, and its intervals are calibrated by them.
    pub fn holdout(mut self, fraction: f64) -> Self {
        self.holdout = Some(fraction);
        self
    }

    /// Stops after so many epochs, at least 1, that did not predict the hold-out better.
    pub fn patience(mut self, epochs: u32) -> Self {
        self.config.patience = Some(epochs);
        self
    }

    /// Where to train. By default on the best GPU, else on the CPU.
    pub fn device(mut self, device: DeviceChoice) -> Self {
        self.device = device;
        self
    }

    /// Threads of the CPU. By default one a core; the bits do not depend on it.
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = Some(threads);
        self
    }

    /// Starts from the factors and biases of an older model, for the users and items that it
    /// knows; new ones start from the seed. The rank must be the older model's.
    pub fn start_from(mut self, model: &'a Model) -> Self {
        self.initial = Some(model);
        self
    }

    /// Trains a model, and tells the observer of it: a closure that takes `&Event`,
    /// [`until`](crate::event::until), or [`Silent`](crate::event::Silent).
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) for a setting out of range,
    /// [`Error::Device`](crate::Error::Device) if there is no such device, and those of
    /// [`train`](crate::train::train).
    pub fn train(&self, ratings: Ratings, mut observer: impl Observer) -> Result<Model> {
        let config = self.config.clone().check()?;
        let data = match self.holdout {
            Some(fraction) => {
                let (train, held) = ratings.split(fraction, self.config.seed)?;
                Dataset { train, valid: Some(held), test: None }
            }
            None => Dataset { train: ratings, valid: None, test: None },
        };
        let mut opened = open(self.device, &self.options)?;
        if let Some(notice) = opened.notice {
            observer.event(&Event::Notice(notice));
        }
        let controls = Controls { initial: self.initial, ..Controls::default() };
        let mut model = train_with(config, &data, &mut *opened.backend, &mut observer, controls)?;
        // As the program does: the model knows how its ratings were split.
        let holdout = self.holdout.map(|fraction| ("holdout".to_owned(), fraction.to_string()));
        model.metadata.settings.extend(holdout);
        Ok(model)
    }
}
