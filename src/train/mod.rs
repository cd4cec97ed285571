//! The host loop: epochs, losses, events, and the model at the end.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::backend::Backend;
use crate::config::{Checked, ModelKind, Reg, RegScaling, WARM_UP_LAMBDA};
use crate::data::{Held, Ratings};
use crate::error::{Error, Result};
use crate::event::{Epoch, Event, Loaded, Observer, StopReason, Stopped};
use crate::model::{Metadata, Model};
use crate::optim::Objective;
use crate::problem::{Losses, Problem, Role, Setup};

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

/// Trains a model.
///
/// The factors start from the seed, so that every backend starts equal. A loss
/// is read back only if the observer wants epochs, and once at the end.
///
/// # Errors
/// [`Error::Diverged`] as soon as a loss that is read is not finite, or if the
/// final factors are not; [`Error::OutOfMemory`] and [`Error::Device`] from the device.
pub fn train(
    config: Checked,
    data: &Dataset,
    backend: &mut dyn Backend,
    observer: &mut dyn Observer,
) -> Result<Model> {
    Run::start(config, data, backend, observer)?.finish()
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
}

impl<'a> Run<'a> {
    fn start(
        mut config: Checked,
        data: &'a Dataset,
        backend: &'a mut dyn Backend,
        observer: &'a mut dyn Observer,
    ) -> Result<Self> {
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
            row_elements: config.spec.row_elements,
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
            epoch: 0,
            epochs: config.epochs,
            train_rmse: None,
            valid_rmse: None,
            test_rmse: None,
            seconds: 0.0,
            ratings_per_second: 0.0,
        };
        Ok(Self { config, data, backend, observer, problem, began: Instant::now(), curve: Vec::new(), last })
    }

    fn finish(mut self) -> Result<Model> {
        self.began = Instant::now();
        let mut recording = Vec::new();
        let epochs = self.config.epochs;
        let uses_residuals = self.config.optimizer.uses_residuals();
        if uses_residuals || epochs == 0 {
            self.problem.record_residuals(&mut recording)?;
        }
        for epoch in 1..=epochs {
            self.config.optimizer.record(epoch, &self.problem, &mut recording)?;
            let listen = self.observer.wants_epochs() || epoch == epochs;
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
        }
        if epochs == 0 {
            self.problem.record_losses(&mut recording)?;
            self.backend.dispatch(&recording)?;
            self.tell(0)?;
        }
        self.observer.event(&Event::Stopped(Stopped { reason: StopReason::Epochs, last: self.last }));
        self.model()
    }

    /// Reads the losses that were recorded and tells the observer.
    fn tell(&mut self, epoch: u32) -> Result<()> {
        let Losses { train, valid, test } = self.problem.read_losses(self.backend)?;
        if [train, valid, test].into_iter().flatten().any(|rmse| !rmse.is_finite()) {
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

    fn diverged(&self, epoch: u32) -> Error {
        let settings: Vec<String> =
            self.config.optimizer.settings().iter().map(|(key, value)| format!("{key}={value}")).collect();
        Error::Diverged {
            epoch,
            optimizer: self.config.spec.name,
            settings: settings.join(", "),
            remedy: self.config.optimizer.remedy(),
        }
    }

    fn model(self) -> Result<Model> {
        let wide = self.problem.read_factors(Role::Users, self.backend)?;
        let (user_factors, user_bias) = self.problem.split_bias(Role::Users, &wide);
        let wide = self.problem.read_factors(Role::Items, self.backend)?;
        let (item_factors, item_bias) = self.problem.split_bias(Role::Items, &wide);
        let all = [&user_factors, &item_factors, &user_bias, &item_bias];
        if !all.into_iter().flatten().all(|x| x.is_finite()) {
            return Err(self.diverged(self.config.epochs));
        }
        let posterior = self.config.optimizer.posterior(&self.problem, self.backend)?;
        let config = &self.config.config;
        let train = &self.data.train;
        let (seen, _) = train.by_user();
        let (m, n) = (train.users.len(), train.items.len());
        if posterior.as_ref().is_some_and(|posterior| posterior.check(m, n, config.rank).is_err()) {
            return Err(self.diverged(self.config.epochs));
        }
        let standard = self.problem.standard;
        let mut model = Model {
            kind: self.config.model,
            rank: config.rank,
            users: train.users.clone(),
            items: train.items.clone(),
            user_factors,
            item_factors,
            user_bias,
            item_bias,
            mean: standard.mean,
            scale: standard.scale,
            clip: config.clip,
            seen,
            posterior,
            metadata: self.metadata(),
        };
        if let Some(valid) = &self.data.valid {
            model.calibrate(valid);
        }
        Ok(model)
    }

    fn metadata(&self) -> Metadata {
        let config = &self.config.config;
        let stats = self.data.train.stats();
        let mut settings: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in self.config.optimizer.settings() {
            settings.insert(key.to_owned(), value);
        }
        settings.insert("loss".to_owned(), config.loss.name().to_owned());
        settings.insert("reg".to_owned(), self.config.reg.to_string());
        if self.config.reg != Reg::Auto {
            settings.insert("reg_scaling".to_owned(), self.config.reg_scaling.name().to_owned());
        }
        let losses = [
            ("train_rmse", self.last.train_rmse),
            ("valid_rmse", self.last.valid_rmse),
            ("test_rmse", self.last.test_rmse),
        ];
        Metadata {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_hash: self.data.train.hash(),
            ratings: stats.count,
            rating_min: stats.min,
            rating_max: stats.max,
            rating_mean: stats.mean,
            seed: config.seed,
            optimizer: self.config.spec.name.to_owned(),
            settings,
            epochs: self.last.epoch,
            metrics: losses.into_iter().filter_map(|(name, rmse)| Some((name.to_owned(), rmse?))).collect(),
            curve: self.curve.clone(),
            device: self.backend.describe().to_owned(),
        }
    }
}

fn loaded(data: &Dataset, backend: &dyn Backend) -> Loaded {
    let count = |held: &Option<Held>| held.as_ref().map_or(0, |held| held.value.len() as u64);
    Loaded {
        users: data.train.users.len() as u64,
        items: data.train.items.len() as u64,
        ratings: data.train.len() as u64,
        valid: count(&data.valid),
        test: count(&data.test),
        test_unknown: data.test.as_ref().map_or(0, |test| unknown(&data.train, test)),
        device: backend.describe().to_owned(),
    }
}

/// Held ratings whose user or item has no training rating.
fn unknown(train: &Ratings, held: &Held) -> u64 {
    let (users, items) = (train.user_counts(), train.item_counts());
    let rated = |index: Option<u32>, counts: &[u64]| index.is_some_and(|i| counts[i as usize] > 0);
    let known = |(&user, &item): (&Option<u32>, &Option<u32>)| rated(user, &users) && rated(item, &items);
    held.user.iter().zip(&held.item).filter(|pair| !known(*pair)).count() as u64
}

/// What may surprise in these settings on these data.
fn notices(config: &Checked, data: &Dataset) -> Vec<String> {
    let (users, items) = (data.train.users.len(), data.train.items.len());
    let rank = config.config.rank;
    let mut notices = Vec::new();
    if rank > users.min(items) {
        notices.push(format!(
            "rank {rank} exceeds the {users} users or the {items} items: {} would do",
            users.min(items)
        ));
    }
    let stats = data.train.stats();
    if stats.min == stats.max {
        notices.push(format!("all ratings are {}: the model can only predict that", stats.min));
    }
    notices
}
