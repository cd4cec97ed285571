//! `deltav inspect`: what a model is, what it was trained on and how.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::events::SCHEMA;
use super::settings::train_table;
use super::streams::Streams;
use super::table::pairs;
use crate::data::text::{measured, one_line};
use crate::error::Result;
use crate::model::{Card, Model};

/// Characters of a curve, at most.
const WIDTH: usize = 60;

/// Show a model's card: its data, settings, curve, errors and device
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// JSON instead of text
    #[arg(long)]
    json: bool,

    /// The settings that it was trained with, as TOML for `deltav train --config`; the ratings' files are in no model
    #[arg(long, conflicts_with = "json")]
    train_config: bool,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    #[serde(flatten)]
    card: Card,
}

impl Inspect {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let model = Model::load(&self.model)?;
        if self.train_config {
            return streams.line(train_config(&model)?.trim_end());
        }
        let card = model.card();
        if self.json {
            return streams.json(&Report { schema: SCHEMA, card });
        }
        for (number, section) in card.sections().into_iter().enumerate() {
            if number > 0 {
                streams.line("")?;
            }
            streams.line(section.title)?;
            for line in pairs(&section.rows) {
                streams.line(format!("  {line}"))?;
            }
        }
        let curves = [
            ("train", card.curve.iter().filter_map(|epoch| epoch.train_rmse).collect()),
            ("valid", card.curve.iter().filter_map(|epoch| epoch.valid_rmse).collect::<Vec<f64>>()),
            ("test", card.curve.iter().filter_map(|epoch| epoch.test_rmse).collect()),
        ];
        for (name, curve) in &curves {
            if let [first, .., last] = &curve[..] {
                let (first, last) = (measured(*first), measured(*last));
                streams.line(format!("  {name}  {}  {first} to {last}", shape(curve)))?;
            }
        }
        Ok(())
    }
}

/// The settings of a model's training as the table of `train`.
fn train_config(model: &Model) -> Result<String> {
    let metadata = &model.metadata;
    Ok(format!(
        "# deltav {}: the settings of a model of {} ratings; its files, and how they are laid out, are not among them\n\
         # ratings' sha256: {}\n\n{}",
        one_line(&metadata.version),
        metadata.ratings,
        one_line(&metadata.data_hash),
        train_table(model.training_flags())?
    ))
}

/// A curve's shape in one line: a block for each of evenly spaced values,
/// from the least to the greatest.
fn shape(curve: &[f64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let least = curve.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = curve.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let block = |value: &f64| {
        let share = (value - least) / (greatest - least).max(f64::MIN_POSITIVE);
        BLOCKS.get((share * 8.0) as usize).unwrap_or(&'█')
    };
    let width = curve.len().min(WIDTH);
    let chosen = |at: usize| curve.get(at * curve.len().saturating_sub(1) / width.saturating_sub(1).max(1));
    (0..width).filter_map(chosen).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_its_first_value_to_its_last() {
        assert_eq!(shape(&[8.0, 4.0, 2.0, 1.0]), "█▄▂▁");
        assert_eq!(shape(&[1.0, 1.0]), "▁▁");
        let long: Vec<f64> = (0..1_000).map(f64::from).collect();
        let shown = shape(&long);
        assert_eq!(shown.chars().count(), WIDTH);
        assert!(shown.starts_with('▁') && shown.ends_with('█'));
    }
}
