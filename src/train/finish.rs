//! From the factors on the device to the model.

use super::run::Run;
use super::team::Users;
use crate::config::{Reg, WARM_UP_LAMBDA};
use crate::data::Side;
use crate::error::Result;
use crate::event::{Epoch, Event, StopReason, Stopped};
use crate::model::Model;
use crate::world::together::any;

impl Run<'_, '_> {
    /// Ends the run: brings the best epoch back, if the model is to have it, and tells.
    pub(super) fn end(mut self, reason: StopReason) -> Result<Model> {
        let best = self.best.filter(|_| self.keeps_best());
        if let Some(best) = best.filter(|best| best.epoch != self.last.epoch) {
            self.restore(best)?;
        }
        let kept = best.unwrap_or(self.last);
        let best_epoch = best.map(|best| best.epoch);
        self.observer.event(&Event::Stopped(Stopped { reason, last: self.last, kept, best_epoch }));
        match self.model(kept, best_epoch)? {
            Some(model) => {
                let rank = self.problem.rank;
                let found = self.config.optimizer.epoch_rank(kept.epoch, &self.problem);
                if found < rank && kept.epoch > 0 {
                    self.observer.event(&Event::Notice(format!(
                        "after epoch {} only {found} of {rank} factors hold anything: the others join later; pass more \
                         --epochs",
                        kept.epoch
                    )));
                }
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

    /// The model of the factors as they are, which are those of the epoch `kept`;
    /// `None` if they are not finite.
    pub(super) fn model(&mut self, kept: Epoch, best_epoch: Option<u32>) -> Result<Option<Model>> {
        let mut split = |role| -> Result<(Vec<f32>, Vec<f32>)> {
            Ok(self.problem.split_bias(role, self.problem.read_factors(role, self.backend)?))
        };
        let (user_factors, user_bias) = split(Side::Users)?;
        let (item_factors, item_bias) = split(Side::Items)?;
        let all = [&user_factors, &item_factors, &user_bias, &item_bias];
        let finite = all.into_iter().flatten().all(|x| x.is_finite());
        if any(self.backend.world(), !finite)? {
            return Ok(None);
        }
        let posterior = self.config.optimizer.posterior(&self.problem, self.backend)?;
        let config = &self.config.config;
        let train = &self.data.train;
        let (m, n) = (train.users.len(), train.items.len());
        let wrong = posterior.as_ref().is_some_and(|posterior| posterior.check(m, n, config.rank).is_err());
        if any(self.backend.world(), wrong)? {
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
            // Whoever made a model makes no other.
            seen: std::mem::take(&mut self.seen),
            posterior,
            baseline: self.baseline.clone(),
            metadata: self.metadata(kept, best_epoch),
        };
        let Some(team) = &self.saver.team else {
            if let Some(valid) = &self.data.valid {
                model.calibrate(valid);
            }
            return Ok(Some(model));
        };
        team.whole(&mut Users {
            ids: &mut model.users,
            factors: &mut model.user_factors,
            bias: &mut model.user_bias,
            seen: &mut model.seen,
            posterior: model.posterior.as_mut(),
            baseline: &mut model.baseline,
        })?;
        let valid = team.valid(self.data)?;
        if let Some(valid) = valid.filter(|_| team.leads()) {
            model.calibrate(&valid);
        }
        Ok(Some(model))
    }
}
