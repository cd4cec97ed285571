//! What `train` says at its end: the run in a few lines.

use std::time::Instant;

use super::table::{bytes, count, pairs, seconds};
use crate::data::Held;
use crate::data::text::measured;
use crate::event::Stopped;
use crate::model::{BiasBaseline, Model};
use crate::train::Dataset;

/// When the parts of a run began and ended.
#[derive(Debug, Default)]
pub(super) struct Clock {
    marks: Vec<(&'static str, f64)>,
    since: Option<Instant>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { marks: Vec::new(), since: Some(Instant::now()) }
    }

    /// Ends a part. Returns its seconds.
    pub(super) fn mark(&mut self, part: &'static str) -> f64 {
        let now = Instant::now();
        let took = self.since.replace(now).map_or(0.0, |since| (now - since).as_secs_f64());
        self.marks.push((part, took));
        took
    }

    fn text(&self) -> String {
        let parts: Vec<String> =
            self.marks.iter().map(|(part, took)| format!("{part} {}", seconds(*took))).collect();
        parts.join(", ")
    }
}

/// The run: data, model, errors beside those of biases alone, time and memory.
pub(super) fn lines(model: &Model, data: &Dataset, end: Option<&Stopped>, clock: &Clock) -> Vec<String> {
    let train = &data.train;
    let metadata = &model.metadata;
    let setting = |key: &str| metadata.settings.get(key).map(String::as_str);
    let penalty = match setting("reg") {
        Some("auto") => ", regularization learned".to_owned(),
        Some(lambda) => format!(", λ {lambda}"),
        None => String::new(),
    };
    let mut rows = vec![
        (
            "data",
            format!(
                "{}, {}, {}",
                count(train.users.len() as u64, "user"),
                count(train.items.len() as u64, "item"),
                count(metadata.ratings, "rating")
            ),
        ),
        ("model", format!("{} of rank {} by {}{penalty}", model.kind.name(), model.rank, metadata.optimizer)),
    ];
    if let Some(kept) = end.map(|end| end.kept) {
        let parts = [("train", kept.train_rmse), ("valid", kept.valid_rmse), ("test", kept.test_rmse)];
        rows.push(("RMSE", errors(parts)));
        if let Some(baseline) = model.bias_baseline() {
            let of = |held: &Option<Held>| held.as_ref().and_then(|held| rmse(&baseline, held));
            let biases = errors([("train", None), ("valid", of(&data.valid)), ("test", of(&data.test))]);
            if !biases.is_empty() {
                rows.push(("biases alone", biases));
            }
        }
    }
    rows.push(("time", clock.text()));
    if let Some(peak) = crate::memory::peak() {
        rows.push(("memory", format!("{} at most", bytes(peak))));
    }
    pairs(&rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<_>>())
}

fn rmse(baseline: &BiasBaseline, held: &Held) -> Option<f64> {
    baseline.evaluate(held.iter()).into_iter().find_map(|(name, value)| (name == "rmse").then_some(value))
}

/// `train 0.6213  valid 0.8812`.
pub(super) fn errors(parts: [(&str, Option<f64>); 3]) -> String {
    let shown: Vec<String> =
        parts.into_iter().filter_map(|(name, rmse)| Some(format!("{name} {}", measured(rmse?)))).collect();
    shown.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_tells_each_part_once() {
        let mut clock = Clock::start();
        assert!(clock.mark("reading") >= 0.0);
        clock.mark("training");
        let text = clock.text();
        assert!(text.starts_with("reading 0.0") && text.contains(" s, training 0.0"), "{text}");
    }

    #[test]
    fn only_what_was_computed_is_shown() {
        let parts = [("train", Some(0.51239)), ("valid", None), ("test", Some(1.0))];
        assert_eq!(errors(parts), "train 0.5124  test 1.0000");
    }
}
