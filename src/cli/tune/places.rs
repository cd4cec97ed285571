//! The candidates in their order, for people and for programs.

use serde::Serialize;

use crate::cli::table::{seconds, table};
use crate::config::TrainConfig;
use crate::data::text::measured;
use crate::tune::{Trial, Tuned};

/// One candidate's place.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    settings: String,
    splits: usize,
    valid_rmse: Option<f64>,
    epochs: Option<u32>,
    gain: Option<f64>,
    gain_error: Option<f64>,
    seconds: f64,
}

/// The candidates in their order, with what each gains over the defaults.
pub(super) fn places(tuned: &Tuned, base: &TrainConfig) -> Vec<Place> {
    let place = |trial: &Trial| {
        let best = trial.best(base);
        let gain = tuned.defaults().filter(|_| !trial.settings.is_empty());
        let gain = gain.and_then(|defaults| trial.gain(defaults, base));
        Place {
            settings: trial.settings.to_string(),
            splits: trial.outcomes.len(),
            valid_rmse: best.map(|best| best.1),
            epochs: best.map(|best| best.0),
            gain: gain.map(|gain| gain.0),
            gain_error: gain.filter(|_| trial.outcomes.len() > 1).map(|gain| gain.1),
            seconds: trial.seconds(),
        }
    };
    tuned.trials.iter().filter(|trial| !trial.outcomes.is_empty()).map(place).collect()
}

/// A table: what is gained over the defaults on the same splits stands with its standard error.
pub(super) fn lines(places: &[Place]) -> Vec<String> {
    let head = ["settings", "splits", "epochs", "RMSE", "gain", "±", "time"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for place in places {
        let number = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.4}"));
        let gain = place.gain.map_or("–".to_owned(), |gain| format!("{gain:+.4}"));
        rows.push(vec![
            place.settings.clone(),
            place.splits.to_string(),
            place.epochs.map_or("–".to_owned(), |epochs| epochs.to_string()),
            place.valid_rmse.map_or("diverged".to_owned(), measured),
            gain,
            number(place.gain_error),
            seconds(place.seconds),
        ]);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_a_candidate() {
        let place = |settings: &str, gain: Option<f64>| Place {
            settings: settings.to_owned(),
            splits: 2,
            valid_rmse: gain.map(|gain| 0.9 - gain),
            epochs: Some(26),
            gain,
            gain_error: gain.map(|_| 0.001),
            seconds: 1.5,
        };
        let lines = lines(&[place("--rank 64", Some(0.0123)), place("--opt rate=9", None)]);
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("+0.0123  0.0010  1.5 s"), "{}", lines[1]);
        assert!(lines[2].contains("diverged  "), "{}", lines[2]);
    }
}
