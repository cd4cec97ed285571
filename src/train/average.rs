//! The average of several models as one: what differs by the seed cancels out.
//!
//! The mean of `u_s·v_s` over S models is one product: the factors side by
//! side, divided by √S, a model of S times the rank. Biases are averaged.

use std::time::Instant;

use super::{Dataset, Run};
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
) -> Result<Model> {
    let began = Instant::now();
    let Checked { config, .. } = config;
    let mut members = Vec::new();
    let mut ends: Vec<Stopped> = Vec::new();
    for member in 0..config.average {
        let left =
            config.max_seconds.map(|most| (most - began.elapsed().as_secs_f64()).max(f64::MIN_POSITIVE));
        let seed = config.seed.wrapping_add(u64::from(member));
        let own = TrainConfig { seed, average: 1, max_seconds: left, ..config.clone() };
        let mut listener = Member { observer: &mut *observer, number: member + 1, stopped: None };
        let first = backend.allocated();
        let model = Run::start(own.check()?, data, backend, &mut listener)?.finish();
        backend.release(first);
        ends.extend(listener.stopped.take());
        members.push(model?);
    }
    let mut model = combine(&members).ok_or_else(|| Error::Internal("an average of no models".to_owned()))?;
    let metadata = &mut model.metadata;
    metadata.settings.insert("average".to_owned(), config.average.to_string());
    if let Some(seconds) = config.max_seconds {
        metadata.settings.insert("max_seconds".to_owned(), seconds.to_string());
    }
    let kept = measure(&mut model, data, began, &ends)?;
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
    stopped: Option<Stopped>,
}

impl Observer for Member<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Epoch(epoch) => {
                self.observer.event(&Event::Epoch(Epoch { member: Some(self.number), ..*epoch }));
            }
            Event::Stopped(stopped) => self.stopped = Some(stopped.clone()),
            other if self.number == 1 => self.observer.event(other),
            _ => {}
        }
    }

    fn wants_epochs(&self) -> bool {
        self.observer.wants_epochs()
    }
}

/// One model whose predictions are the mean of the members'; `None` without a member.
///
/// The members are of one kind and rank, and trained on the same ratings.
fn combine(members: &[Model]) -> Option<Model> {
    let first = members.first()?;
    let share = 1.0 / members.len() as f64;
    let factors = |of: fn(&Model) -> &[f32], rows: usize| -> Vec<f32> {
        let scaled = |&x: &f32| (f64::from(x) * share.sqrt()) as f32;
        let row = |model, row| of(model)[row * first.rank..][..first.rank].iter().map(scaled);
        (0..rows).flat_map(|r| members.iter().flat_map(move |model| row(model, r))).collect()
    };
    let bias = |of: fn(&Model) -> &[f32], rows: usize| -> Vec<f32> {
        let sum = |row: usize| members.iter().map(|model| f64::from(of(model)[row])).sum::<f64>();
        (0..rows).map(|row| (sum(row) * share) as f32).collect()
    };
    let (m, n) = (first.users.len(), first.items.len());
    let mut metadata = first.metadata.clone();
    metadata.epochs = members.iter().map(|model| model.metadata.epochs).max().unwrap_or(0);
    metadata.best_epoch = None;
    metadata.curve.clear();
    Some(Model {
        rank: first.rank * members.len(),
        user_factors: factors(|model| &model.user_factors, m),
        item_factors: factors(|model| &model.item_factors, n),
        user_bias: bias(|model| &model.user_bias, m),
        item_bias: bias(|model| &model.item_bias, n),
        // How certain a mean of several is, none of them knows.
        posterior: None,
        metadata,
        ..first.clone()
    })
}

/// The average's own errors, in the form of an epoch.
fn measure(model: &mut Model, data: &Dataset, began: Instant, ends: &[Stopped]) -> Result<Epoch> {
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
    let seconds = began.elapsed().as_secs_f64();
    let epochs: u32 = ends.iter().map(|end| end.last.epoch).sum();
    Ok(Epoch {
        member: None,
        epoch: model.metadata.epochs,
        epochs: ends.first().map_or(0, |end| end.last.epochs),
        train_rmse,
        valid_rmse,
        test_rmse,
        seconds,
        ratings_per_second: f64::from(epochs) * train.len() as f64 / seconds.max(1e-9),
    })
}
