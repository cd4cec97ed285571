//! One model's epochs, from wherever they begin.

use std::time::Instant;

use super::keep::Snapshot;
use super::notices::{devices, loaded, notices, resumed};
use super::place::{Start, keeps_best, place, validates};
use super::saver::Saver;
use super::team::agreed;
use super::{Checkpoint, Dataset, curve, warm};
use crate::backend::Backend;
use crate::config::{Checked, TrainConfig};
use crate::data::{Compressed, Layout, Stats};
use crate::error::{Error, Result};
use crate::event::{Epoch, Event, Observer, StopReason};
use crate::kernel::Dispatch;
use crate::model::{BaselineBiases, BiasBaseline, CurvePoint, Model};
use crate::problem::{Losses, Problem, Standard};
use crate::world::together::{agreed_signal, any};

/// A training RMSE beyond this many times that of predicting no structure at
/// all is no overshoot: whatever moves so far does not come back.
const EXPLODED: f64 = 100.0;

/// A model that is being trained.
pub(super) struct Run<'a, 'b> {
    pub(super) config: Checked,
    pub(super) data: &'a Dataset,
    pub(super) backend: &'a mut dyn Backend,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) saver: &'a mut Saver<'b>,
    pub(super) problem: Problem,
    began: Instant,
    /// Seconds of training before the run was resumed.
    pub(super) earlier: f64,
    /// Epochs that ran.
    pub(super) done: u32,
    pub(super) curve: Vec<CurvePoint>,
    /// The last epoch that was measured.
    pub(super) last: Epoch,
    /// The epoch with the lowest error so far: validation RMSE, or else training RMSE.
    pub(super) best: Option<Epoch>,
    /// Its result, where it may be wanted and a run before, which nobody listened to, did not forget it.
    pub(super) snapshot: Option<Snapshot>,
    /// The RMSE of a model that has learned nothing.
    unstructured: f64,
    /// What the model will be compared with.
    pub(super) baseline: Option<BaselineBiases>,
    /// The items that each user has rated.
    pub(super) seen: Compressed,
    /// The training ratings in numbers.
    pub(super) stats: Stats,
    /// And their hash.
    pub(super) hash: String,
}

impl<'a, 'b> Run<'a, 'b> {
    /// Puts everything on the device, as it is before the first epoch or after a checkpoint's.
    pub(super) fn start(
        mut config: Checked,
        data: &'a Dataset,
        backend: &'a mut dyn Backend,
        observer: &'a mut dyn Observer,
        saver: &'a mut Saver<'b>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self> {
        let share = saver.share();
        if !validates(data, share) {
            config.config.check_without_validation()?;
        }
        let hash = saver.ratings_hash();
        let (hash, layout) =
            rayon::join(|| hash.unwrap_or_else(|| data.train.hash()), || Layout::with(&data.train, share));
        observer.event(&Event::Loaded(loaded(data, share, backend)?));
        let told = checkpoint.iter().flat_map(|from| resumed(from, backend));
        for notice in
            notices(&config, data, share, &layout.stats).into_iter().chain(told).chain(devices(backend)?)
        {
            observer.event(&Event::Notice(notice));
        }
        // Needed at the end, and made while the ratings are there sorted.
        let baseline = BiasBaseline::fit_over(&layout, BiasBaseline::DAMPING, backend.world())?.biases();
        // All have one, or none.
        let none = any(backend.world(), baseline.is_none())?;
        let baseline = baseline.filter(|_| !none);
        let seen = Compressed::pattern(&layout.by_user, data.train.items.len());
        let stats = layout.stats;
        let start = Start { layout, baseline: baseline.as_ref(), filled: saver.initial.is_some() };
        let (problem, snapshot) = place(&mut config, data, start, saver, backend, observer)?;
        if let Some(initial) = saver.initial.filter(|_| checkpoint.is_none()) {
            warm::start(&problem, &data.train, &config, initial, backend)?;
        }
        let last = Epoch { epochs: config.epochs, ..Epoch::default() };
        let unstructured = unstructured_rmse(&stats, problem.standard);
        let mut run = Self {
            config,
            data,
            backend,
            observer,
            saver,
            problem,
            began: Instant::now(),
            earlier: 0.0,
            done: 0,
            curve: Vec::new(),
            last,
            best: None,
            snapshot,
            unstructured,
            baseline,
            seen,
            stats,
            hash,
        };
        if let Some(checkpoint) = checkpoint {
            run.resume(checkpoint)?;
        }
        run.reserve()?;
        Ok(run)
    }

    /// Whether the model will have the factors of the best epoch.
    pub(super) fn keeps_best(&self) -> bool {
        keeps_best(&self.config, validates(self.data, self.saver.share()))
    }

    /// Whether the end depends on the loss, or on the time, of every epoch.
    fn follows(&self) -> bool {
        let TrainConfig { patience, max_seconds, .. } = &self.config.config;
        self.keeps_best() || patience.is_some() || max_seconds.is_some()
    }

    /// Runs the epochs that are left, and makes the model.
    pub(super) fn finish(mut self) -> Result<Model> {
        self.began = Instant::now();
        let epochs = self.config.epochs;
        let uses_residuals = self.config.optimizer.uses_residuals();
        let mut recording = Vec::new();
        if uses_residuals {
            self.problem.record_residuals(&mut recording)?;
        }
        let mut reason = StopReason::Epochs;
        let mut saved = true; // by whoever saved what this run went on from
        // A checkpoint of an epoch that ends the run is no reason to go on.
        let mut early = if self.done > 0 { self.stop()? } else { None };
        while early.is_none() && self.done < epochs {
            let epoch = self.done + 1;
            self.config.optimizer.begin(epoch, &self.problem, &mut recording, self.backend)?;
            self.config.optimizer.record(epoch, &self.problem, &mut recording)?;
            let listen = self.saver.listened || self.follows() || epoch == epochs;
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
            self.done = epoch;
            self.keep(&mut recording)?;
            early = self.stop()?;
            let signal = agreed_signal(self.backend.world(), self.saver.interrupted())?;
            let signal = signal.filter(|_| early.is_none() && epoch < epochs);
            saved = self.saver.due(self.backend.world())? || (signal.is_some() && self.saver.saves());
            if saved {
                self.save(&mut recording)?;
            }
            if let Some(signal) = signal {
                return Err(self.saver.stopped_by(signal, epoch));
            }
        }
        if let Some(early) = early {
            reason = early;
        }
        if !saved {
            self.save(&mut recording)?;
        }
        if self.done == 0 || self.last.epoch != self.done {
            self.measure(&mut recording)?;
        }
        self.end(reason)
    }

    /// Measures the factors as they are, outside an epoch.
    fn measure(&mut self, recording: &mut Vec<Dispatch>) -> Result<()> {
        self.problem.record_residuals(recording)?;
        self.problem.record_losses(recording)?;
        self.backend.dispatch(recording)?;
        recording.clear();
        self.tell(self.done)
    }

    /// Seconds of training, before the run was resumed and since.
    pub(super) fn seconds(&self) -> f64 {
        self.earlier + self.began.elapsed().as_secs_f64()
    }

    /// Reads the losses that were recorded and tells the observer.
    fn tell(&mut self, epoch: u32) -> Result<()> {
        let Losses { train, valid, test } = self.problem.read_losses(self.backend)?;
        let finite = [train, valid, test].into_iter().flatten().all(f64::is_finite);
        if !finite || train.is_some_and(|train| train > EXPLODED * self.unstructured) {
            return Err(self.diverged(epoch));
        }
        let seconds = self.seconds();
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
        if epoch > self.done && self.saver.listened {
            curve::push(&mut self.curve, CurvePoint { epoch, train, valid, test });
            self.observer.event(&Event::Epoch(self.last));
        }
        Ok(())
    }

    /// Notes whether the epoch was the best, and records a copy of its factors.
    /// Called after the optimiser observed it: what is kept is what a run of
    /// just as many epochs ends with.
    fn keep(&mut self, recording: &mut Vec<Dispatch>) -> Result<()> {
        let better = self.best.is_none_or(|best| error(&self.last) < error(&best));
        if self.last.epoch != self.done || !better {
            return Ok(());
        }
        self.best = Some(self.last);
        if let Some(snapshot) = &mut self.snapshot {
            // Played with the next epoch: a copy costs no submission of its own.
            snapshot.record_keep(&*self.config.optimizer, recording)?;
        }
        Ok(())
    }

    /// Whether to stop before all epochs ran, as the first process sees it.
    fn stop(&self) -> Result<Option<StopReason>> {
        let TrainConfig { patience, max_seconds, .. } = self.config.config;
        let best = self.best.map_or(self.done, |best| best.epoch);
        let reason = if self.done >= self.config.epochs {
            None
        } else if patience.is_some_and(|patience| self.done.saturating_sub(best) >= patience) {
            Some(StopReason::Patience)
        } else if max_seconds.is_some_and(|most| self.seconds() >= most) {
            Some(StopReason::MaxSeconds)
        } else if self.observer.stops() {
            Some(StopReason::Observer)
        } else {
            None
        };
        let reasons = [StopReason::Patience, StopReason::MaxSeconds, StopReason::Observer];
        agreed(self.backend.world(), &reasons, reason)
    }

    /// Brings the best epoch's factors back. Whatever was copied since, a later epoch played.
    pub(super) fn restore(&mut self, best: Epoch) -> Result<()> {
        let mut recording = Vec::new();
        let Some(snapshot) = &self.snapshot else {
            return Err(Error::Internal(format!("epoch {} was not kept", best.epoch)));
        };
        let numbers = snapshot.record_restore(&mut recording)?;
        if !self.config.optimizer.set_numbers(numbers) {
            return Err(Error::Internal(format!("epoch {} was kept in part", best.epoch)));
        }
        self.backend.dispatch(&recording)
    }

    /// The model of an epoch that was kept, if it was.
    fn rescue(&mut self, best: Epoch) -> Result<Option<Model>> {
        if self.snapshot.as_ref().is_none_or(|snapshot| !snapshot.filled) {
            return Ok(None);
        }
        self.restore(best)?;
        self.model(best, Some(best.epoch))
    }

    pub(super) fn diverged(&mut self, epoch: u32) -> Error {
        let settings: Vec<String> =
            self.config.optimizer.settings().iter().map(|(key, value)| format!("{key}={value}")).collect();
        let best = self.best.filter(|best| best.epoch < epoch && error(best) <= self.unstructured);
        let kept = match best.map(|best| self.rescue(best)) {
            // Of several processes one alone has failed, for which the others wait.
            Some(Err(error)) if self.saver.team.is_some() => return error,
            // The divergence is what to report, even if the device is lost over the rescue.
            Some(rescued) => rescued.ok().flatten(),
            None => None,
        };
        Error::Diverged {
            epoch,
            optimizer: self.config.spec.name,
            settings: settings.join(", "),
            remedy: self.config.optimizer.remedy(),
            kept: kept.map(Box::new),
        }
    }
}

/// What says which epoch is the best.
fn error(epoch: &Epoch) -> f64 {
    epoch.valid_rmse.or(epoch.train_rmse).unwrap_or(f64::INFINITY)
}

/// The RMSE of predicting the mean for all, or 0 with a plain model; never
/// less than a prediction's unit, which is what is left if all ratings are equal.
fn unstructured_rmse(stats: &Stats, standard: Standard) -> f64 {
    (stats.std.powi(2) + (stats.mean - standard.mean).powi(2)).sqrt().max(standard.scale)
}
