//! A model's card: what it is, what it was trained on and how, in one view.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::FORMAT;
use super::{Calibration, Model};
use crate::data::text::{measured, one_line};

/// Epochs of the curve that the text shows, from the end.
const CURVE_ROWS: usize = 5;

/// The setting that has the epochs which were asked for.
const EPOCHS: &str = "epochs";

/// Everything that a model says about itself. Serialises to JSON as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Card {
    /// Number of the file format that this version writes.
    pub format: u32,
    /// Version of the crate that trained it.
    pub version: String,
    /// The form of a prediction, by name.
    pub model: &'static str,
    /// The form of a prediction, as a formula.
    pub formula: &'static str,
    /// Number of latent factors.
    pub rank: u64,
    /// Numbers that were learned: factors, and biases if the kind has them.
    pub parameters: u64,
    /// μ in rating units.
    pub mean: f64,
    /// s in rating units.
    pub scale: f64,
    /// Whether predictions are clipped to the range of the ratings.
    pub clip: bool,
    /// What it was trained on.
    pub data: CardData,
    /// How it was trained.
    pub training: CardTraining,
    /// How certain it is; `None` if it has no posterior.
    pub uncertainty: Option<CardUncertainty>,
    /// Last measured errors by name, in rating units.
    pub metrics: BTreeMap<String, f64>,
    /// RMSE by epoch, in rating units.
    pub curve: Vec<CardEpoch>,
}

/// The ratings that a model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CardData {
    /// SHA-256 of the training ratings, in hex.
    pub sha256: String,
    /// Users in the model.
    pub users: u64,
    /// Items in the model.
    pub items: u64,
    /// Items that have a name.
    pub named_items: u64,
    /// Users without a training rating.
    pub unknown_users: u64,
    /// Items without a training rating.
    pub unknown_items: u64,
    /// Training ratings.
    pub ratings: u64,
    /// Share of all pairs that are rated, 0 to 1; `None` if there are no pairs.
    pub density: Option<f64>,
    /// Least training rating.
    pub rating_min: f32,
    /// Greatest training rating.
    pub rating_max: f32,
    /// Mean training rating.
    pub rating_mean: f64,
}

/// How a model was trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CardTraining {
    /// The optimiser by name.
    pub optimizer: String,
    /// Epochs that ran.
    pub epochs: u32,
    /// The epoch whose factors the model has, where it was chosen for its error.
    pub best_epoch: Option<u32>,
    /// Seed of the initial factors and of the split.
    pub seed: u64,
    /// The device that trained it.
    pub device: String,
    /// Every other setting by name, as text.
    pub settings: BTreeMap<String, String>,
}

/// How certain a model is of its predictions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CardUncertainty {
    /// Standard deviation of ratings around their means, in rating units.
    pub noise_std: f64,
    /// The factor on a rating's standard deviation; `None` if no ratings were held out to tell.
    pub calibration: Option<Calibration>,
}

/// One epoch of the curve; `None` where it was not computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CardEpoch {
    /// The epoch; 0 is the state before the first update.
    pub epoch: u32,
    /// RMSE over the training ratings.
    pub train_rmse: Option<f64>,
    /// RMSE over the validation part.
    pub valid_rmse: Option<f64>,
    /// RMSE over the test file.
    pub test_rmse: Option<f64>,
}

/// A titled block of a card's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardSection {
    /// The title.
    pub title: &'static str,
    /// Names and values, in order.
    pub rows: Vec<(String, String)>,
}

impl Model {
    /// The model's card.
    ///
    /// The model must pass [`Model::check`], as a loaded one does.
    pub fn card(&self) -> Card {
        let (m, n, k) = (self.users.len() as u64, self.items.len() as u64, self.rank as u64);
        let metadata = &self.metadata;
        let predictor = self.predictor();
        let unknown_users = (0..m as u32).filter(|&user| !predictor.knows_user(user)).count();
        let unknown_items = (0..n as u32).filter(|&item| !predictor.knows_item(item)).count();
        let pairs = m as f64 * n as f64;
        Card {
            format: FORMAT,
            version: metadata.version.clone(),
            model: self.kind.name(),
            formula: self.kind.formula(),
            rank: k,
            parameters: (m + n) * (k + u64::from(self.kind.has_bias())),
            mean: self.mean,
            scale: self.scale,
            clip: self.clip,
            data: CardData {
                sha256: metadata.data_hash.clone(),
                users: m,
                items: n,
                named_items: self.named_items(),
                unknown_users: unknown_users as u64,
                unknown_items: unknown_items as u64,
                ratings: metadata.ratings,
                density: (pairs > 0.0).then(|| metadata.ratings as f64 / pairs),
                rating_min: metadata.rating_min,
                rating_max: metadata.rating_max,
                rating_mean: metadata.rating_mean,
            },
            training: CardTraining {
                optimizer: metadata.optimizer.clone(),
                epochs: metadata.epochs,
                best_epoch: metadata.best_epoch,
                seed: metadata.seed,
                device: metadata.device.clone(),
                settings: metadata.settings.clone(),
            },
            uncertainty: self.posterior.as_ref().map(|posterior| CardUncertainty {
                noise_std: self.scale * posterior.noise.sqrt(),
                calibration: posterior.calibration,
            }),
            metrics: metadata.metrics.clone(),
            curve: metadata
                .curve
                .iter()
                .map(|point| CardEpoch {
                    epoch: point.epoch,
                    train_rmse: point.train,
                    valid_rmse: point.valid,
                    test_rmse: point.test,
                })
                .collect(),
        }
    }
}

impl Card {
    /// The card as text in sections; those without rows are left out. Of the curve it shows the end.
    pub fn sections(&self) -> Vec<CardSection> {
        let Card { data, training, .. } = self;
        let model = vec![
            row("model", format!("{}: {}", self.model, self.formula)),
            row("rank", self.rank.to_string()),
            row("parameters", self.parameters.to_string()),
            row("mean, scale", format!("{}, {}", measured(self.mean), measured(self.scale))),
            row("clip", if self.clip { "to the range of the ratings" } else { "no" }),
            row("trained by", format!("deltav {}", self.version)),
        ];
        let density = data.density.map_or("–".to_owned(), |density| format!("{:.4}%", 100.0 * density));
        let range =
            format!("{} to {}, mean {}", data.rating_min, data.rating_max, measured(data.rating_mean));
        let without = |count, unknown| match unknown {
            0 => format!("{count}"),
            _ => format!("{count}, {unknown} of them without a rating"),
        };
        let data = vec![
            row("users", without(data.users, data.unknown_users)),
            row("items", without(data.items, data.unknown_items)),
            row(
                "item names",
                if data.named_items == 0 { "none".to_owned() } else { data.named_items.to_string() },
            ),
            row("ratings", format!("{}, {density} of all pairs", data.ratings)),
            row("range", range),
            row("sha256", &data.sha256),
        ];
        let ran = training.epochs.to_string();
        // How many were asked for, where that is known.
        let ran = match training.settings.get(EPOCHS).filter(|asked| **asked != ran) {
            Some(asked) => format!("{ran} of {asked}"),
            None => ran,
        };
        let epochs = match training.best_epoch {
            Some(best) => format!("{ran}, the best of them, {best}, kept"),
            None => ran,
        };
        let mut settings = vec![
            row("optimizer", &training.optimizer),
            row("epochs", epochs),
            row("seed", training.seed.to_string()),
            row("device", &training.device),
        ];
        settings.extend(
            training
                .settings
                .iter()
                .filter(|(name, _)| *name != EPOCHS)
                .map(|(name, value)| row(name, value)),
        );
        let uncertainty = self.uncertainty.iter().flat_map(|uncertainty| {
            let calibration = match uncertainty.calibration {
                Some(Calibration { factor, ratings }) => {
                    format!("{factor:.4}, from {ratings} ratings held out")
                }
                None => "none: no ratings were held out, or too few".to_owned(),
            };
            [row("noise", measured(uncertainty.noise_std)), row("calibration", calibration)]
        });
        let metrics = self.metrics.iter().map(|(name, value)| row(name, measured(*value))).collect();
        let rmse = |value: Option<f64>| value.map_or("–".to_owned(), measured);
        let curve = self.curve[self.curve.len().saturating_sub(CURVE_ROWS)..].iter().map(|epoch| {
            let test = epoch.test_rmse.map_or(String::new(), |test| format!(", test {}", measured(test)));
            let values = format!("train {}, valid {}{test}", rmse(epoch.train_rmse), rmse(epoch.valid_rmse));
            row(format!("epoch {}", epoch.epoch), values)
        });
        let sections = [
            CardSection { title: "Model", rows: model },
            CardSection { title: "Data", rows: data },
            CardSection { title: "Training", rows: settings },
            CardSection { title: "Uncertainty", rows: uncertainty.collect() },
            CardSection { title: "Errors", rows: metrics },
            CardSection { title: "RMSE by epoch", rows: curve.collect() },
        ];
        sections.into_iter().filter(|section| !section.rows.is_empty()).collect()
    }
}

/// A row on one line, whatever stands in the file.
fn row(name: impl Into<String>, value: impl Into<String>) -> (String, String) {
    (one_line(&name.into()), one_line(&value.into()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{known_answers, known_posterior};
    use super::*;
    use crate::config::ModelKind;

    #[test]
    fn the_numbers_are_the_model_s() {
        let card = known_answers(ModelKind::Biased).card();
        assert_eq!((card.rank, card.parameters), (2, 6 * 3));
        assert_eq!(known_answers(ModelKind::Plain).card().parameters, 6 * 2);
        assert_eq!((card.data.users, card.data.unknown_users, card.data.unknown_items), (3, 1, 1));
        assert_eq!(card.data.density, Some(3.0 / 9.0));
        assert_eq!(
            card.curve[1],
            CardEpoch { epoch: 3, train_rmse: Some(1.0 / 3.0), valid_rmse: None, test_rmse: None }
        );
    }

    #[test]
    fn the_text_has_every_section_and_the_end_of_the_curve() {
        let mut model = known_answers(ModelKind::Biased);
        model.metadata.curve = (0..20).map(|epoch| (epoch, Some(0.5), None).into()).collect();
        let sections = model.card().sections();
        let titles: Vec<_> = sections.iter().map(|section| section.title).collect();
        assert_eq!(titles, ["Model", "Data", "Training", "Errors", "RMSE by epoch"]);
        let find = |name: &str| {
            let mut rows = sections.iter().flat_map(|section| &section.rows);
            rows.find(|row| row.0 == name).map(|row| row.1.as_str())
        };
        assert_eq!(find("users"), Some("3, 1 of them without a rating"));
        assert_eq!(find("ratings"), Some("3, 33.3333% of all pairs"));
        assert_eq!(find("range"), Some("1 to 5, mean 3.5000"));
        assert_eq!(find("rate"), Some("0.1"));
        assert_eq!(find("train_rmse"), Some("0.3000"));
        assert_eq!(find("epoch 19"), Some("train 0.5000, valid –"));
        assert_eq!(find("epoch 14"), None);

        model.metadata.metrics.clear();
        model.metadata.curve.clear();
        assert_eq!(model.card().sections().len(), 3);

        // Epochs are told once, and what a stranger wrote into the file stays on its line.
        for (asked, told) in [("4", "4"), ("9", "4 of 9")] {
            model.metadata.settings.insert(EPOCHS.to_owned(), asked.to_owned());
            let rows: Vec<_> = model.card().sections().into_iter().flat_map(|section| section.rows).collect();
            let epochs: Vec<&str> =
                rows.iter().filter(|row| row.0 == "epochs").map(|row| row.1.as_str()).collect();
            assert_eq!(epochs, [told]);
        }
        model.metadata.version = "1\n[train]".to_owned();
        model.metadata.settings.insert("a\u{1b}[31m".to_owned(), "b\nc".to_owned());
        let rows: Vec<_> = model.card().sections().into_iter().flat_map(|section| section.rows).collect();
        assert!(
            rows.contains(&row("a [31m", "b c")) && rows.contains(&row("trained by", "deltav 1 [train]"))
        );
    }

    #[test]
    fn it_says_whether_intervals_are_calibrated() {
        let section = |model: &Model| {
            let sections = model.card().sections();
            sections.into_iter().find(|section| section.title == "Uncertainty").map(|section| section.rows)
        };
        let mut model = known_answers(ModelKind::Biased);
        assert_eq!(section(&model), None);
        model.posterior = Some(known_posterior(ModelKind::Biased));
        // 2·√0.25
        assert_eq!(section(&model).unwrap()[0], row("noise", "1.0000"));
        assert!(section(&model).unwrap()[1].1.starts_with("none: "));
        let calibration = Some(Calibration { factor: 1.25, ratings: 40 });
        model.posterior.as_mut().unwrap().calibration = calibration;
        assert_eq!(section(&model).unwrap()[1].1, "1.2500, from 40 ratings held out");
        assert_eq!(model.card().uncertainty.unwrap().calibration, calibration);
    }

    #[test]
    fn it_serialises_with_numbers_as_numbers() {
        let json = serde_json::to_value(known_answers(ModelKind::Centered).card()).unwrap();
        assert_eq!(json["model"], "centered");
        assert_eq!(json["data"]["rating_max"], 5.0);
        assert_eq!(json["training"]["seed"], u64::MAX);
        assert_eq!(json["curve"][0]["train_rmse"], serde_json::Value::Null);
    }
}
