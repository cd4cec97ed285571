//! `deltav evaluate`: how far a model is from known ratings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::events::SCHEMA;
use super::help;
use super::input::{RatingsReading, at_most_one_stdin, read_held};
use super::streams::Streams;
use super::table::{count, table};
use crate::error::Result;
use crate::model::{Accuracy, METRICS, Model, Unknown, evaluate};

/// Measure a model on ratings
#[derive(Debug, Args)]
pub(super) struct Evaluate {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// Ratings, a user, an item and a rating a line: files, folders, or - for standard input
    #[arg(value_name = "TEST", required = true, long_help = help::inputs())]
    test: Vec<PathBuf>,

    /// JSON instead of a table
    #[arg(long)]
    json: bool,

    #[command(flatten, next_help_heading = "Data")]
    reading: RatingsReading,
}

/// The measures as JSON, errors by metric.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    count: u64,
    unknown: u64,
    #[serde(flatten)]
    errors: BTreeMap<&'a str, f64>,
    mean_baseline: BTreeMap<&'a str, f64>,
}

impl Evaluate {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        at_most_one_stdin(&[("TEST", &self.test)])?;
        let model = Model::load(&self.model)?;
        let held = read_held(&self.test, &self.reading.options(), &model.users, &model.items)?;
        let ratings = (0..held.len()).map(|p| (held.user[p], held.item[p], held.value[p]));
        let accuracy = evaluate(&model.predictor(), ratings, Unknown::Mean)?;
        if self.json {
            return streams.json(&Report {
                schema: SCHEMA,
                count: accuracy.count,
                unknown: accuracy.unknown.unknown(),
                errors: accuracy.values.iter().copied().collect(),
                mean_baseline: accuracy.mean_baseline.iter().copied().collect(),
            });
        }
        for line in text(&accuracy) {
            streams.line(line)?;
        }
        Ok(())
    }
}

fn text(accuracy: &Accuracy) -> Vec<String> {
    let row = |name: &str, values: &[(&str, f64)]| {
        let cells = values.iter().map(|(_, value)| format!("{value:.4}"));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let names = METRICS.iter().map(|metric| metric.name.to_uppercase());
    let ratings = match accuracy.unknown.unknown() {
        0 => count(accuracy.count, "rating"),
        unknown => format!("{}, {unknown} unknown", count(accuracy.count, "rating")),
    };
    table(&[
        std::iter::once(ratings).chain(names).collect(),
        row("model", &accuracy.values),
        row("mean rating for all", &accuracy.mean_baseline),
    ])
}
