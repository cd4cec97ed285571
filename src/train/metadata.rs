//! What a model's file says of the run.

use std::collections::BTreeMap;

use super::run::Run;
use crate::config::{Kernels, Precision, Reg};
use crate::event::Epoch;
use crate::model::Metadata;

impl Run<'_, '_> {
    /// The record of the run, with the errors of the epoch whose factors are `kept`.
    pub(super) fn metadata(&self, kept: Epoch, best_epoch: Option<u32>) -> Metadata {
        let config = &self.config.config;
        let stats = self.stats;
        let mut settings: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in self.config.optimizer.settings() {
            settings.insert(key.to_owned(), value);
        }
        settings.insert("loss".to_owned(), config.loss.name().to_owned());
        settings.insert("reg".to_owned(), self.config.reg.to_string());
        if self.config.reg != Reg::Auto {
            settings.insert("reg_scaling".to_owned(), self.config.reg_scaling.name().to_owned());
        }
        if let Some(lambda) = config.reg_bias {
            settings.insert("reg_bias".to_owned(), lambda.to_string());
        }
        // Those that ran may be fewer.
        settings.insert("epochs".to_owned(), self.config.epochs.to_string());
        for (key, name, usual) in [
            ("kernels", config.kernels.name(), Kernels::default().name()),
            ("precision", config.precision.name(), Precision::default().name()),
        ] {
            if name != usual {
                settings.insert(key.to_owned(), name.to_owned());
            }
        }
        if let Some(keep) = config.keep {
            settings.insert("keep".to_owned(), keep.name().to_owned());
        }
        if let Some(patience) = config.patience {
            settings.insert("patience".to_owned(), patience.to_string());
        }
        if let Some(seconds) = config.max_seconds {
            settings.insert("max_seconds".to_owned(), seconds.to_string());
        }
        let losses =
            [("train_rmse", kept.train_rmse), ("valid_rmse", kept.valid_rmse), ("test_rmse", kept.test_rmse)];
        Metadata {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_hash: self.hash.clone(),
            ratings: stats.count,
            rating_min: stats.min,
            rating_max: stats.max,
            rating_mean: stats.mean,
            seed: config.seed,
            optimizer: self.config.spec.name.to_owned(),
            settings,
            epochs: self.done,
            best_epoch,
            metrics: losses.into_iter().filter_map(|(name, rmse)| Some((name.to_owned(), rmse?))).collect(),
            curve: self.curve.clone(),
            device: self.backend.describe().to_owned(),
        }
    }
}
