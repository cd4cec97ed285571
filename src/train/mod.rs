//! The host loop: epochs, losses, events, the best epoch, and the model at the end.

mod average;
mod keep;
mod metadata;
mod notices;

use std::time::Instant;

use crate::backend::Backend;
use crate::config::{Checked, Keep, ModelKind, Reg, RegScaling, TrainConfig, WARM_UP_LAMBDA};
use crate::data::{Held, Ratings, Side};
use crate::error::{Error, Result};
use crate::event::{Epoch, Event, Observer, StopReason, Stopped};
use crate::kernel::Dispatch;
use crate::model::{BiasBaseline, Model};
use crate::optim::Objective;
use crate::problem::{Losses, Problem, Setup, Standard};

use self::keep::Snapshot;
use self::notices::{loaded, notices};

/// A training RMSE beyond this many times that of predicting no structure at
/// all is no overshoot: whatever moves so far does not come back.
const EXPLODED: f64 = 100.0;

/// What to train on.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The training ratings.
    pub train: Ratings,
    /// Ratings held out of them.
    pub valid: Option<Held>,
    /// Ratings from a test file: measured, never trained on.
    pub test: Option<Held>,
}

impl Dataset {
    /// Whether there is anything to validate with.
    pub fn validates(&self) -> bool {
        self.valid.as_ref().is_some_and(|valid| !valid.is_empty())
    }
}

/// Trains a model.
///
/// The factors start from the seed, so that every backend starts equal. With a
/// validation part the factors of its best epoch are kept on the device, and
/// the model has them, unless the configuration says otherwise.
///
/// An average trains its members one after the other, each with its own best
/// epoch, and tells of one end; a time limit is for all of them together.
///
/// The device's memory is given back. A loss is read back only if the observer wants epochs, once at the end, and
/// wherever the end depends on it.
///
/// # Errors
/// [`Error::Usage`] if the configuration needs a validation part and there is
/// none. [`Error::Diverged`] as soon as a loss that is read is not finite or
/// has exploded, or if the final factors are not finite: with the model of the
/// best epoch before, by validation RMSE or else by training RMSE, if one was
/// better than the mean for all. [`Error::OutOfMemory`] and [`Error::Device`] from the device.
pub fn train(
    config: Checked,
    data: &Dataset,
    backend: &mut dyn Backend,
    observer: &mut dyn Observer,
) -> Result<Model> {
    let first = backend.allocated();
    let model = if config.config.average > 1 {
        average::train(config, data, backend, observer)
    } else {
        Run::start(config, data, backend, observer).and_then(Run::finish)
    };
    backend.release(first);
    model
}

struct Run<'a> {
    config: Checked,
    data: &'a Dataset,
    backend: &'a mut dyn Backend,
    observer: &'a mut dyn Observer,
    problem: Problem,
    began: Instant,
    curve: Vec<(u32, Option<f64>, Option<f64>)>,
    last: Epoch,
    /// The epoch with the lowest error so far: validation RMSE, or else training RMSE.
    best: Option<Epoch>,
    /// Its factors, where they may be wanted.
    snapshot: Option<Snapshot>,
    /// The RMSE of a model that has learned nothing.
    unstructured: f64,
}

impl<'a> Run<'a> {
    fn start(
        mut config: Checked,
        data: &'a Dataset,
        backend: &'a mut dyn Backend,
        observer: &'a mut dyn Observer,
    ) -> Result<Self> {
        if !data.validates() {
            config.config.check_without_validation()?;
        }
        observer.event(&Event::Loaded(loaded(data, backend)));
        for notice in notices(&config, data) {
            observer.event(&Event::Notice(notice));
        }
        let written = &config.config;
        let (reg, reg_scaling) = match config.reg {
            Reg::Auto => (WARM_UP_LAMBDA, RegScaling::Sqrt),
            Reg::Fixed(lambda) => (lambda, config.reg_scaling),
        };
        let setup = Setup {
            kind: config.model,
            rank: written.rank,
            seed: written.seed,
            reg,
            reg_scaling,
            reg_bias: written.reg_bias,
            row_elements: config.spec.row_elements,
            cell_loops: config.spec.cell_loops,
            cell_work: config.spec.cell_work,
            clip: written.clip,
            train: &data.train,
            valid: data.valid.as_ref(),
            test: data.test.as_ref(),
        };
        let problem = Problem::new(&setup, backend)?;
        let objective = Objective {
            train: &data.train,
            loss: written.loss,
            reg: config.reg,
            mask: config.model == ModelKind::Svdpp,
            epochs: config.epochs,
        };
        config.optimizer.prepare(&problem, &objective, backend)?;
        let last = Epoch {
            member: None,
            epoch: 0,
            epochs: config.epochs,
            train_rmse: None,
            valid_rmse: None,
            test_rmse: None,
            seconds: 0.0,
            ratings_per_second: 0.0,
        };
        let unstructured = unstructured_rmse(&data.train, problem.standard);
        let mut run = Self {
            config,
            data,
            backend,
            observer,
            problem,
            began: Instant::now(),
            curve: Vec::new(),
            last,
            best: None,
            snapshot: None,
            unstructured,
        };
        let rescued = run.config.optimizer.can_diverge() && run.observer.wants_epochs();
        if (run.keeps_best() || rescued) && run.config.epochs > 0 {
            run.snapshot = Some(Snapshot::new(&run.problem, &*run.config.optimizer, run.backend)?);
        }
        Ok(run)
    }

    /// Whether the model will have the factors of the best epoch.
    fn keeps_best(&self) -> bool {
        self.data.validates() && self.config.config.keep != Some(Keep::Last)
    }

    /// Whether the end depends on the loss, or on the time, of every epoch.
    fn follows(&self) -> bool {
        let TrainConfig { patience, max_seconds, .. } = &self.config.config;
        self.keeps_best() || patience.is_some() || max_seconds.is_some()
    }

    fn finish(mut self) -> Result<Model> {
        self.began = Instant::now();
        let mut recording = Vec::new();
        let epochs = self.config.epochs;
        let uses_residuals = self.config.optimizer.uses_residuals();
        if uses_residuals || epochs == 0 {
            self.problem.record_residuals(&mut recording)?;
        }
        let mut reason = StopReason::Epochs;
        for epoch in 1..=epochs {
            self.config.optimizer.record(epoch, &self.problem, &mut recording)?;
            let listen = self.observer.wants_epochs() || self.follows() || epoch == epochs;
            if uses_residuals || listen {
                self.problem.record_residuals(&mut recording)?;
            }
            if listen {
                self.problem.record_losses(&mut recording)?;
            }
            self.backend.dispatch(&recording)?;
            recording.clear();
            if listen {
                self.tell(epoch)?;
            }
            self.config.optimizer.observe(epoch, &self.problem, self.backend)?;
            self.keep(epoch, &mut recording)?;
            if let Some(early) = self.stop(epoch) {
                reason = early;
                break;
            }
        }
        if epochs == 0 {
            self.problem.record_losses(&mut recording)?;
            self.backend.dispatch(&recording)?;
            self.tell(0)?;
        }
        let best = self.best.filter(|_| self.keeps_best());
        if let Some(best) = best.filter(|best| best.epoch != self.last.epoch) {
            self.restore(best)?;
        }
        let kept = best.unwrap_or(self.last);
        let best_epoch = best.map(|best| best.epoch);
        self.observer.event(&Event::Stopped(Stopped { reason, last: self.last, kept, best_epoch }));
        match self.model(kept, best_epoch)? {
            Some(model) => {
                if self.config.reg == Reg::Auto && model.posterior.is_none() && kept.epoch > 0 {
                    self.observer.event(&Event::Notice(format!(
                        "epoch {} belongs to the warm-up, where nothing is learned yet: λ = {WARM_UP_LAMBDA} \
                         and no prior means; pass more --epochs",
                        kept.epoch
                    )));
                }
                Ok(model)
            }
            None => Err(self.diverged(self.last.epoch)),
        }
    }

    /// Reads the losses that were recorded and tells the observer.
    fn tell(&mut self, epoch: u32) -> Result<()> {
        let Losses { train, valid, test } = self.problem.read_losses(self.backend)?;
        let finite = [train, valid, test].into_iter().flatten().all(f64::is_finite);
        if !finite || train.is_some_and(|train| train > EXPLODED * self.unstructured) {
            return Err(self.diverged(epoch));
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let since = u64::from(epoch - self.last.epoch) * self.problem.ratings;
        self.last = Epoch {
            epoch,
            train_rmse: train,
            valid_rmse: valid,
            test_rmse: test,
            ratings_per_second: since as f64 / (seconds - self.last.seconds).max(1e-9),
            seconds,
            ..self.last
        };
        if epoch > 0 && self.observer.wants_epochs() {
            self.curve.push((epoch, train, valid));
            self.observer.event(&Event::Epoch(self.last));
        }
        Ok(())
    }

    /// Notes whether the epoch was the best, and records a copy of its factors.
    /// Called after the optimiser observed it: what is kept is what a run of
    /// just as many epochs ends with.
    fn keep(&mut self, epoch: u32, recording: &mut Vec<Dispatch>) -> Result<()> {
        let better = self.best.is_none_or(|best| error(&self.last) < error(&best));
        if self.last.epoch != epoch || !better {
            return Ok(());
        }
        self.best = Some(self.last);
        if let Some(snapshot) = &self.snapshot {
            // Played with the next epoch: a copy costs no submission of its own.
            snapshot.record_keep(recording)?;
            self.config.optimizer.keep();
        }
        Ok(())
    }

    /// Whether to stop before all epochs ran.
    fn stop(&self, epoch: u32) -> Option<StopReason> {
        let TrainConfig { patience, max_seconds, .. } = self.config.config;
        let best = self.best.map_or(epoch, |best| best.epoch);
        if epoch == self.config.epochs {
            None
        } else if patience.is_some_and(|patience| epoch - best >= patience) {
            Some(StopReason::Patience)
        } else if max_seconds.is_some_and(|most| self.began.elapsed().as_secs_f64() >= most) {
            Some(StopReason::MaxSeconds)
        } else {
            None
        }
    }

    /// Brings the best epoch's factors back. Whatever was copied since, a later epoch played.
    fn restore(&mut self, best: Epoch) -> Result<()> {
        let Some(snapshot) = &self.snapshot else {
            return Err(Error::Internal(format!("epoch {} was not kept", best.epoch)));
        };
        let mut recording = Vec::new();
        snapshot.record_restore(&mut recording)?;
        self.backend.dispatch(&recording)?;
        self.config.optimizer.restore();
        Ok(())
    }

    fn diverged(&mut self, epoch: u32) -> Error {
        let settings: Vec<String> =
            self.config.optimizer.settings().iter().map(|(key, value)| format!("{key}={value}")).collect();
        let best = self.best.filter(|best| best.epoch < epoch && error(best) <= self.unstructured);
        // The divergence is what to report, even if the device is lost over the rescue.
        let kept = best.and_then(|best| {
            self.snapshot.as_ref()?;
            self.restore(best).ok()?;
            self.model(best, Some(best.epoch)).ok()?
        });
        Error::Diverged {
            epoch,
            optimizer: self.config.spec.name,
            settings: settings.join(", "),
            remedy: self.config.optimizer.remedy(),
            kept: kept.map(Box::new),
        }
    }

    /// The model of the factors as they are, which are those of the epoch `kept`;
    /// `None` if they are not finite.
    fn model(&mut self, kept: Epoch, best_epoch: Option<u32>) -> Result<Option<Model>> {
        let wide = self.problem.read_factors(Side::Users, self.backend)?;
        let (user_factors, user_bias) = self.problem.split_bias(Side::Users, &wide);
        let wide = self.problem.read_factors(Side::Items, self.backend)?;
        let (item_factors, item_bias) = self.problem.split_bias(Side::Items, &wide);
        let all = [&user_factors, &item_factors, &user_bias, &item_bias];
        if !all.into_iter().flatten().all(|x| x.is_finite()) {
            return Ok(None);
        }
        let posterior = self.config.optimizer.posterior(&self.problem, self.backend)?;
        let config = &self.config.config;
        let train = &self.data.train;
        let (seen, _) = train.by_user();
        let (m, n) = (train.users.len(), train.items.len());
        if posterior.as_ref().is_some_and(|posterior| posterior.check(m, n, config.rank).is_err()) {
            return Ok(None);
        }
        let standard = self.problem.standard;
        let mut model = Model {
            kind: self.config.model,
            rank: config.rank,
            users: train.users.clone(),
            items: train.items.clone(),
            item_names: None,
            user_factors,
            item_factors,
            user_bias,
            item_bias,
            mean: standard.mean,
            scale: standard.scale,
            clip: config.clip,
            seen,
            posterior,
            baseline: BiasBaseline::fit(train, BiasBaseline::DAMPING).biases(),
            metadata: self.metadata(kept, best_epoch),
        };
        if let Some(valid) = &self.data.valid {
            model.calibrate(valid);
        }
        Ok(Some(model))
    }
}

/// What says which epoch is the best.
fn error(epoch: &Epoch) -> f64 {
    epoch.valid_rmse.or(epoch.train_rmse).unwrap_or(f64::INFINITY)
}

/// The RMSE of predicting the mean for all, or 0 with a plain model; never
/// less than a prediction's unit, which is what is left if all ratings are equal.
fn unstructured_rmse(train: &Ratings, standard: Standard) -> f64 {
    let stats = train.stats();
    (stats.std.powi(2) + (stats.mean - standard.mean).powi(2)).sqrt().max(standard.scale)
}
