//! The average of several models as one: what differs by the seed cancels out.
//!
//! The mean of `u_s·v_s` over S models is one product: the factors side by
//! side, divided by √S, a model of S times the rank. Biases are averaged.

use std::time::Instant;

use super::Dataset;
use super::checkpoint::{Checkpoint, Tensors};
use super::run::Run;
use super::saver::Saver;
use crate::backend::Backend;
use crate::config::{Checked, TrainConfig};
use crate::error::{Error, Result};
use crate::event::{Epoch, Event, Observer, StopReason, Stopped};
use crate::model::{Model, Unknown, evaluate};

/// Trains the members, one after the other, and averages them.
///
/// # Errors
/// As [`train`](super::train), from any member.
pub(super) fn train(
    config: Checked,
    data: &Dataset,
    backend: &mut dyn Backend,
    observer: &mut dyn Observer,
    saver: &mut Saver<'_>,
    mut checkpoint: Option<Checkpoint>,
) -> Result<Model> {
    let began = Instant::now();
    let Checked { config, .. } = config;
    // Seconds of training before the run was resumed.
    let mut earlier = 0.0;
    if let Some(from) = &mut checkpoint {
        saver.members = Part::load_all(from, data, &config)?;
        earlier = saver.members.iter().map(|member| member.end.last.seconds).sum();
    }
    let mut last = None;
    for member in saver.members.len() as u32..config.average {
        let spent = earlier + began.elapsed().as_secs_f64();
        let left = config.max_seconds.map(|most| (most - spent).max(f64::MIN_POSITIVE));
        // The member that goes on counts its own.
        earlier += checkpoint.as_ref().map_or(0.0, |from| from.document().seconds);
        let seed = config.seed.wrapping_add(u64::from(member));
        let own = TrainConfig { seed, average: 1, max_seconds: left, ..config.clone() };
        let first_told = last.is_none();
        let mut listener = Member { observer: &mut *observer, number: member + 1, first_told, stopped: None };
        let first = backend.allocated();
        let run = Run::start(own.check()?, data, backend, &mut listener, saver, checkpoint.take())?;
        let model = run.finish();
        backend.release(first);
        let model = model?;
        if let Some(end) = listener.stopped.take() {
            saver.members.push(Part::of(&model, end));
        }
        last = Some(model);
    }
    let none = || Error::Internal("an average of no models".to_owned());
    let parts = std::mem::take(&mut saver.members);
    let mut model = combine(&parts, &config, last.ok_or_else(none)?);
    let ends: Vec<&Stopped> = parts.iter().map(|part| &part.end).collect();
    let metadata = &mut model.metadata;
    metadata.settings.insert("average".to_owned(), config.average.to_string());
    if let Some(seconds) = config.max_seconds {
        metadata.settings.insert("max_seconds".to_owned(), seconds.to_string());
    }
    let kept = measure(&mut model, data, earlier + began.elapsed().as_secs_f64(), &ends)?;
    let losses =
        [("train_rmse", kept.train_rmse), ("valid_rmse", kept.valid_rmse), ("test_rmse", kept.test_rmse)];
    model.metadata.metrics =
        losses.into_iter().filter_map(|(name, rmse)| Some((name.to_owned(), rmse?))).collect();
    let early = ends.iter().map(|end| end.reason).find(|&reason| reason != StopReason::Epochs);
    let reason = early.unwrap_or(StopReason::Epochs);
    observer.event(&Event::Stopped(Stopped { reason, last: kept, kept, best_epoch: None }));
    Ok(model)
}

/// Passes a member's events on: epochs with its number, what concerns all members once.
struct Member<'a> {
    observer: &'a mut dyn Observer,
    number: u32,
    /// Whether this is the first member that this run trains.
    first_told: bool,
    stopped: Option<Stopped>,
}

impl Observer for Member<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Epoch(epoch) => {
                self.observer.event(&Event::Epoch(Epoch { member: Some(self.number), ..*epoch }));
            }
            Event::Stopped(stopped) => self.stopped = Some(stopped.clone()),
            Event::Checkpointed(_) => self.observer.event(event),
            other if self.first_told => self.observer.event(other),
            _ => {}
        }
    }

    fn wants_epochs(&self) -> bool {
        self.observer.wants_epochs()
    }

    fn stops(&self) -> bool {
        self.observer.stops()
    }
}

/// What the average needs of a member that is done.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// U, V, b and c of the member.
    numbers: [Vec<f32>; 4],
    /// How it ended.
    pub(super) end: Stopped,
}

const NAMES: [&str; 4] = ["user_factors", "item_factors", "user_bias", "item_bias"];

impl Part {
    fn of(model: &Model, end: Stopped) -> Self {
        let Model { user_factors, item_factors, user_bias, item_bias, .. } = model;
        Self { numbers: [user_factors, item_factors, user_bias, item_bias].map(Vec::clone), end }
    }

    /// Adds its tensors to a checkpoint.
    pub(super) fn tensors<'a>(&'a self, number: usize, tensors: &mut Tensors<'a>) {
        for (name, values) in NAMES.into_iter().zip(&self.numbers) {
            tensors.host(format!("member_{number}_{name}"), values);
        }
    }

    /// The members of a checkpoint that are done.
    fn load_all(from: &mut Checkpoint, data: &Dataset, config: &TrainConfig) -> Result<Vec<Self>> {
        let ends = from.document().ends.clone();
        if ends.len() >= config.average as usize {
            return Err(from.bad(format!("has {} members of {}", ends.len(), config.average)));
        }
        let (m, n, k) = (data.train.users.len(), data.train.items.len(), config.rank);
        let mut parts = Vec::new();
        for (number, end) in ends.into_iter().enumerate() {
            let mut numbers = [const { Vec::new() }; 4];
            for ((to, name), len) in numbers.iter_mut().zip(NAMES).zip([m * k, n * k, m, n]) {
                *to = from.read(&format!("member_{number}_{name}"), len)?;
            }
            parts.push(Self { numbers, end });
        }
        Ok(parts)
    }
}

/// One model whose predictions are the mean of the members'. `last` is one of them: what
/// all have in common is taken from it.
fn combine(parts: &[Part], config: &TrainConfig, last: Model) -> Model {
    let share = 1.0 / parts.len() as f64;
    let rank = last.rank;
    let factors = |which: usize, rows: usize| -> Vec<f32> {
        let scaled = |&x: &f32| (f64::from(x) * share.sqrt()) as f32;
        let row = |part: &'_ Part, row| -> Vec<f32> {
            part.numbers[which][row * rank..][..rank].iter().map(scaled).collect()
        };
        (0..rows).flat_map(|r| parts.iter().flat_map(move |part| row(part, r))).collect()
    };
    let bias = |which: usize, rows: usize| -> Vec<f32> {
        let sum = |row: usize| parts.iter().map(|part| f64::from(part.numbers[which][row])).sum::<f64>();
        (0..rows).map(|row| (sum(row) * share) as f32).collect()
    };
    let (m, n) = (last.users.len(), last.items.len());
    let mut metadata = last.metadata.clone();
    metadata.seed = config.seed;
    metadata.epochs = parts.iter().map(|part| part.end.last.epoch).max().unwrap_or(0);
    metadata.best_epoch = None;
    metadata.curve.clear();
    metadata.settings.insert("average".to_owned(), config.average.to_string());
    Model {
        rank: rank * parts.len(),
        user_factors: factors(0, m),
        item_factors: factors(1, n),
        user_bias: bias(2, m),
        item_bias: bias(3, n),
        // How certain a mean of several is, none of them knows.
        posterior: None,
        metadata,
        ..last
    }
}

/// The average's own errors, in the form of an epoch, after so many seconds of training.
fn measure(model: &mut Model, data: &Dataset, seconds: f64, ends: &[&Stopped]) -> Result<Epoch> {
    let rmse = |model: &Model, ratings: &mut dyn Iterator<Item = (Option<u32>, Option<u32>, f32)>| {
        Ok::<_, Error>(evaluate(&model.predictor(), ratings, Unknown::Mean)?.get("rmse"))
    };
    let held = |part: &Option<crate::data::Held>| match part {
        Some(held) => {
            let pairs = (0..held.len()).map(|p| (held.user[p], held.item[p], held.value[p]));
            rmse(model, &mut pairs.into_iter())
        }
        None => Ok(None),
    };
    let (valid_rmse, test_rmse) = (held(&data.valid)?, held(&data.test)?);
    // As everywhere, the training error is that of what was fitted: unclipped.
    let clip = std::mem::replace(&mut model.clip, false);
    let train = &data.train;
    let mut pairs = (0..train.len()).map(|p| (Some(train.user[p]), Some(train.item[p]), train.value[p]));
    let train_rmse = rmse(model, &mut pairs)?;
    model.clip = clip;
    let epochs: u64 = ends.iter().map(|end| u64::from(end.last.epoch)).sum();
    Ok(Epoch {
        member: None,
        epoch: model.metadata.epochs,
        epochs: ends.first().map_or(0, |end| end.last.epochs),
        train_rmse,
        valid_rmse,
        test_rmse,
        seconds,
        ratings_per_second: epochs as f64 * train.len() as f64 / seconds.max(1e-9),
    })
}
