//! `deltav cv`: how good a model of these settings is, by cross-validation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::events::SCHEMA;
use super::help;
use super::input::{TrainingReading, at_most_one_stdin, read_held};
use super::interrupt;
use super::method::{Device, Method};
use super::progress::{Standing, read_shown};
use super::streams::Streams;
use super::table::{count, seconds, table};
use crate::data::text::measured;
use crate::data::{Held, Meter, Ratings};
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Stopped};
use crate::model::{Accuracy, METRICS, Unknown, evaluate};
use crate::train::{Controls, Dataset, train_with};

/// Cross-validate: train on all but a part of the ratings, measure on that part, in turn
#[derive(Debug, Args)]
#[command(after_help = help::CV_EXAMPLES)]
pub(super) struct Cv {
    /// Ratings, a user, an item and a rating a line: files, folders, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "fold_files", conflicts_with = "fold_files", long_help = help::inputs())]
    files: Vec<PathBuf>,

    /// Parts that the ratings are cut into, at random by --seed
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        allow_negative_numbers = true,
        conflicts_with = "fold_files"
    )]
    folds: u32,

    /// A fold as two files instead; give it once for each
    #[arg(long, value_name = "TRAIN:TEST")]
    fold_files: Vec<String>,

    /// JSON on stdout, an object a fold and one for all
    #[arg(long)]
    json: bool,

    #[command(flatten, next_help_heading = "Data")]
    reading: TrainingReading,

    #[command(flatten, next_help_heading = "Model and method")]
    method: Method,

    #[command(flatten, next_help_heading = "Device")]
    device: Device,
}

/// One fold's result.
#[derive(Debug, Serialize)]
struct Fold {
    schema: u32,
    event: &'static str,
    fold: u32,
    folds: u32,
    ratings: u64,
    test: u64,
    test_unknown: u64,
    epochs: u32,
    #[serde(flatten)]
    errors: BTreeMap<&'static str, f64>,
    seconds: f64,
}

/// All folds' results: mean and standard deviation by name.
#[derive(Debug, Serialize)]
struct Summary {
    schema: u32,
    event: &'static str,
    folds: u32,
    mean: BTreeMap<&'static str, f64>,
    sd: BTreeMap<&'static str, f64>,
    seconds: f64,
}

impl Cv {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        self.method.config().check()?;
        let pairs = self.fold_files.iter().map(|text| two_files(text)).collect::<Result<Vec<_>>>()?;
        self.device.limit_threads();
        let mut results = Vec::new();
        if !self.files.is_empty() {
            at_most_one_stdin(&[("FILE", &self.files)])?;
            let ratings = self.read(&self.files, streams)?;
            let parts = ratings.folds(self.folds, self.method.config().seed)?;
            let fold = |f, _: &mut Streams| Ok(ratings.fold(&parts, f));
            self.all(self.folds, fold, &mut results, streams)?;
        } else {
            let fold = |f: u32, streams: &mut Streams| match pairs.get(f as usize) {
                Some(pair) => self.read_fold(pair, streams),
                None => Err(Error::Internal(format!("there is no fold {f}"))),
            };
            self.all(pairs.len() as u32, fold, &mut results, streams)?;
        }
        let summary = summary(&results);
        if self.json {
            return streams.json(&summary);
        }
        for line in text(&results, &summary) {
            streams.line(line)?;
        }
        Ok(())
    }

    /// Whether somebody looks at bars.
    fn watched(&self, streams: &Streams) -> bool {
        !self.json && streams.draws()
    }

    fn read(&self, inputs: &[PathBuf], streams: &mut Streams) -> Result<Ratings> {
        read_shown(inputs, self.watched(streams), streams, |meter| self.reading.read(inputs, false, meter))
    }

    fn read_fold(
        &self,
        (train, test): &(PathBuf, PathBuf),
        streams: &mut Streams,
    ) -> Result<(Ratings, Held)> {
        let train = self.read(std::slice::from_ref(train), streams)?;
        let test = std::slice::from_ref(test);
        let (options, ids) = (self.reading.options(), [&train.users, &train.items]);
        let (caching, known) = (&self.reading.caching, train.known());
        let read = |meter: &Meter| read_held(test, &options, caching, ids, &known, meter);
        let test = read_shown(test, false, streams, read)?;
        Ok((train, test))
    }

    /// Trains and measures fold after fold, on one device.
    fn all(
        &self,
        folds: u32,
        fold: impl Fn(u32, &mut Streams) -> Result<(Ratings, Held)>,
        results: &mut Vec<Fold>,
        streams: &mut Streams,
    ) -> Result<()> {
        let mut backend = self.device.open_alone(streams, self.json)?;
        for number in 0..folds {
            let (train_part, test_part) = fold(number, streams)?;
            let what = || format!("fold {} of {folds}: training and measuring", number + 1);
            let bar = self.watched(streams).then(|| Standing::busy(what()));
            // The test part is measured afterwards: training knows nothing of it.
            let data = Dataset { train: train_part, valid: None, test: None };
            let mut end = End::default();
            let listening = interrupt::listening();
            let controls = Controls { interrupt: Some(listening.interrupt()), ..Controls::default() };
            let config = self.method.config().check()?;
            let model = listening.done(train_with(config, &data, &mut *backend, &mut end, controls))?;
            let accuracy = evaluate(&model.predictor(), test_part.iter(), Unknown::Mean)?;
            drop(bar);
            let result = result(number, folds, &data.train, &accuracy, &end);
            if self.json {
                streams.json(&result)?;
                streams.finish()?;
            } else {
                let rmse = accuracy.get("rmse").map_or("–".to_owned(), measured);
                streams.note(format!(
                    "fold {} of {folds}: RMSE {rmse}, {}",
                    number + 1,
                    seconds(result.seconds)
                ));
            }
            results.push(result);
        }
        Ok(())
    }
}

/// Keeps how training ended, and wants nothing else.
#[derive(Default)]
struct End(Option<Stopped>);

impl Observer for End {
    fn event(&mut self, event: &Event) {
        if let Event::Stopped(stopped) = event {
            self.0 = Some(stopped.clone());
        }
    }

    fn wants_epochs(&self) -> bool {
        false
    }
}

fn result(number: u32, folds: u32, train: &Ratings, accuracy: &Accuracy, end: &End) -> Fold {
    Fold {
        schema: SCHEMA,
        event: "fold",
        fold: number + 1,
        folds,
        ratings: train.len() as u64,
        test: accuracy.count,
        test_unknown: accuracy.unknown.unknown(),
        epochs: end.0.as_ref().map_or(0, |end| end.last.epoch),
        errors: accuracy.values.iter().copied().collect(),
        seconds: end.0.as_ref().map_or(0.0, |end| end.last.seconds),
    }
}

/// Mean and sample standard deviation (divided by one less than the folds) of each error.
fn summary(results: &[Fold]) -> Summary {
    let all = |name: &str| -> Vec<f64> {
        results.iter().filter_map(|fold| fold.errors.get(name).copied()).collect()
    };
    let by_name = |of: fn(&[f64]) -> f64| METRICS.iter().map(|m| (m.name, of(&all(m.name)))).collect();
    Summary {
        schema: SCHEMA,
        event: "cv",
        folds: results.len() as u32,
        mean: by_name(mean),
        sd: by_name(deviation),
        seconds: results.iter().map(|fold| fold.seconds).sum(),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// 0 for a single value.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len().max(2) - 1) as f64).sqrt()
}

fn text(results: &[Fold], summary: &Summary) -> Vec<String> {
    let names = || METRICS.iter().map(|metric| metric.name);
    let cell = |errors: &BTreeMap<&str, f64>, name: &str| {
        errors.get(name).map_or("–".to_owned(), |&error| measured(error))
    };
    let mut head = ["fold", "epochs"].map(str::to_owned).to_vec();
    head.extend(names().map(str::to_uppercase));
    head.push("seconds".to_owned());
    let mut rows = vec![head];
    for fold in results {
        let mut row = vec![fold.fold.to_string(), fold.epochs.to_string()];
        row.extend(names().map(|name| cell(&fold.errors, name)));
        row.push(format!("{:.2}", fold.seconds));
        rows.push(row);
    }
    for (title, errors) in [("mean", &summary.mean), ("± sd", &summary.sd)] {
        let mut row = vec![title.to_owned(), String::new()];
        row.extend(names().map(|name| cell(errors, name)));
        rows.push(row);
    }
    let tested: u64 = results.iter().map(|fold| fold.test).sum();
    let unknown: u64 = results.iter().map(|fold| fold.test_unknown).sum();
    let mut lines = table(&rows);
    if unknown > 0 {
        lines.push(format!("{unknown} of {} had an unknown user or item", count(tested, "test rating")));
    }
    lines
}

/// The two files of `TRAIN:TEST`. A name may have a colon of its own: then the
/// files that exist decide.
fn two_files(text: &str) -> Result<(PathBuf, PathBuf)> {
    let splits: Vec<(&str, &str)> = text
        .match_indices(':')
        .filter_map(|(at, _)| text.get(..at).zip(text.get(at + 1..)))
        .filter(|(train, test)| !train.is_empty() && !test.is_empty())
        .collect();
    let exist = |(train, test): &&(&str, &str)| Path::new(train).exists() && Path::new(test).exists();
    let chosen = if splits.len() == 1 { splits.first() } else { splits.iter().find(exist) };
    match chosen {
        Some((train, test)) => Ok((train.into(), test.into())),
        None => Err(Error::usage(
            format!("--fold-files {text} is not two files"),
            "pass TRAIN:TEST, such as u1.base:u1.test",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_by_hand() {
        assert_eq!((mean(&[1.0, 2.0, 6.0]), deviation(&[1.0, 2.0, 6.0])), (3.0, 7.0_f64.sqrt()));
        assert_eq!((mean(&[4.0]), deviation(&[4.0])), (4.0, 0.0));
    }

    #[test]
    fn two_files_are_parted_by_a_colon() {
        assert_eq!(two_files("a.csv:b.csv").unwrap(), ("a.csv".into(), "b.csv".into()));
        for text in ["a", ":b", "a:", ":", "", "a:b:c"] {
            assert_eq!(two_files(text).unwrap_err().exit_code(), 2, "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let files = ["x:1", "x:2"].map(|name| folder.path().join(name));
        files.iter().for_each(|file| std::fs::write(file, "").unwrap());
        let text = format!("{}:{}", files[0].display(), files[1].display());
        let [train, test] = files;
        assert_eq!(two_files(&text).unwrap(), (train, test));
    }
}
