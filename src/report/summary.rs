//! What the report says first, in words and a few numbers.

use super::html::{Table, note, paragraph};
use super::measured::Measured;
use super::text::{escape, grouped, percent};
use super::{Part, Report};
use crate::data::text::measured as rating;

/// Below the title.
pub(super) fn subtitle(report: &Report<'_>) -> String {
    let model = report.model;
    format!(
        "{} of rank {}: {} users, {} items, {} training ratings; trained by deltav {}",
        model.kind.name(),
        model.rank,
        grouped(model.users.len() as u64),
        grouped(model.items.len() as u64),
        grouped(model.metadata.ratings),
        model.metadata.version
    )
}

/// What the errors were measured on, and what that means.
pub(super) fn measured_on(part: Part) -> String {
    match part {
        Part::Test => paragraph(
            "Measured on the test ratings, which took no part in training: so good, on average, are predictions of \
             new ratings of this kind.",
        ),
        Part::Validation => paragraph(
            "Measured on the validation ratings, which were held out of training. They chose the best epoch and \
             calibrated the intervals, so that new ratings will be met a little less well; a test file (`--test`) \
             tells how well.",
        ),
        Part::Unseen => note(
            "Measured on ratings of a file that is not the training file, as its hash tells: those of its pairs that \
             were not trained on.",
        ),
        Part::Training => note(
            "Measured on the training ratings themselves. The model has seen all of them: new ratings will be met \
             less well, and nothing here tells by how much. Pass ratings that were not trained on: `--test FILE`, or \
             train with `--holdout 0.1`.",
        ),
    }
}

/// The numbers that matter most, the baselines, and what must be known.
pub(super) fn glance(report: &Report<'_>) -> String {
    let mut keys = Vec::new();
    match &report.measured {
        Some(measured) => keys.extend(of_measured(measured)),
        None => keys.extend(of_file(report)),
    }
    if let Some(lists) = &report.lists {
        let share = percent(lists.listed as f64 / lists.items as f64);
        keys.push(key("Coverage of top-10 lists", &share, "of the items are in anybody's list"));
    }
    if let Some(spectrum) = &report.spectrum {
        let all = format!("of {} directions hold 99% of the variance", spectrum.strengths.len());
        keys.push(key("Taste", &spectrum.for_most.to_string(), &all));
    }
    let mut html: String = report.notes.iter().map(|line| note(line)).collect();
    html += &format!("<dl class=\"keys\">{}</dl>", keys.concat());
    if let Some(measured) = &report.measured {
        html += &verdict(measured);
        html += &baselines(measured);
    }
    html
}

fn key(name: &str, value: &str, below: &str) -> String {
    let [name, value, below] = [name, value, below].map(escape);
    format!("<div><dt>{name}</dt><dd>{value}<small>{below}</small></dd></div>")
}

fn of_measured(measured: &Measured) -> Vec<String> {
    let on = format!("on {} of {}", grouped(measured.accuracy.count), measured.part.name());
    let named = [("rmse", "RMSE"), ("mae", "MAE")];
    let errors = named
        .into_iter()
        .filter_map(|(metric, name)| Some(key(name, &rating(measured.accuracy.get(metric)?), &on)));
    let held = measured.intervals.iter().find(|(level, _)| *level == 0.9);
    let held = held.map(|(_, coverage)| {
        let below = format!("of ratings in intervals for 90%, {} wide on average", rating(coverage.width));
        key("Intervals", &percent(coverage.share), &below)
    });
    errors.chain(held).collect()
}

fn of_file(report: &Report<'_>) -> Vec<String> {
    let named = [
        ("test_rmse", "on the test ratings of the run"),
        ("valid_rmse", "on the validation ratings of the run"),
        ("train_rmse", "on the training ratings: it says little of new ones"),
    ];
    let metrics = &report.model.metadata.metrics;
    let mut all =
        named.into_iter().filter_map(|(name, on)| Some(key("RMSE", &rating(*metrics.get(name)?), on)));
    all.next().into_iter().collect()
}

/// Whether the model is worth its while, in a sentence.
fn verdict(measured: &Measured) -> String {
    let accuracy = &measured.accuracy;
    let of = |values: &[(&str, f64)]| values.iter().find(|value| value.0 == "rmse").map(|value| value.1);
    let (Some(model), Some(mean)) = (accuracy.get("rmse"), of(&accuracy.mean_baseline)) else {
        return String::new();
    };
    let (against, baseline) = match accuracy.bias_baseline.as_deref().and_then(of) {
        Some(bias) => ("a bias for each user and item", bias),
        None => ("the mean rating for all", mean),
    };
    if baseline <= 0.0 {
        return paragraph(
            "All of these ratings are predicted without an error by their mean: there is nothing to learn.",
        );
    }
    let less = 1.0 - model / baseline;
    let trained_on = if measured.part == Part::Training { " on ratings that it has seen" } else { "" };
    paragraph(&match less {
        less if less > 0.001 => format!(
            "Its error is {} lower than that of {against}, which is what a model must beat{trained_on}.",
            percent(less)
        ),
        less if less > -0.001 => format!(
            "Its error is that of {against}{trained_on}: the factors add nothing. More ratings for each user and item \
             would help most."
        ),
        less => format!(
            "Its error is {} higher than that of {against}{trained_on}: do not use it as it is. Try the defaults of \
             `deltav train`, and `--holdout 0.1` to keep the best epoch.",
            percent(-less)
        ),
    })
}

fn baselines(measured: &Measured) -> String {
    let accuracy = &measured.accuracy;
    let names: Vec<String> = accuracy.values.iter().map(|(name, _)| name.to_uppercase()).collect();
    let row = |name: &str, values: &[(&str, f64)]| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(values.iter().map(|(_, value)| rating(*value))).collect()
    };
    let mut rows = vec![row("this model", &accuracy.values)];
    rows.extend(accuracy.bias_baseline.iter().map(|values| row("bias of user and item", values)));
    rows.push(row("mean rating for all", &accuracy.mean_baseline));
    let head: Vec<&str> = std::iter::once("").chain(names.iter().map(String::as_str)).collect();
    let unknown = match accuracy.unknown.unknown() {
        0 => String::new(),
        unknown => paragraph(&format!(
            "{} of these ratings are of a user or an item without a training rating, predicted by what is known.",
            grouped(unknown)
        )),
    };
    format!("{}{unknown}", Table::new(&head, rows).html())
}
