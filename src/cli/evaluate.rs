//! `deltav evaluate`: how far a model is from known ratings, and how well it ranks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use indicatif::HumanCount;
use serde::Serialize;

use super::args::one_of;
use super::events::SCHEMA;
use super::help;
use super::input::{Caching, RatingsReading, at_most_one_stdin, far_outside, outside_note, read_held};
use super::progress::Standing;
use super::streams::Streams;
use super::table::{count, table};
use crate::data::Meter;
use crate::data::text::measured;
use crate::error::Result;
use crate::model::{
    Accuracy, METRICS, Model, Ranking, RankingCounts, RankingOptions, RankingReport, Unknown, evaluate,
    evaluate_ranking,
};

/// Measure a model on ratings: its errors, and how well it ranks
#[derive(Debug, Args)]
#[command(after_long_help = help::metrics())]
pub(super) struct Evaluate {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// Ratings, a user, an item and a rating a line: files, folders, or - for standard input
    #[arg(value_name = "TEST", required = true, long_help = help::inputs())]
    test: Vec<PathBuf>,

    /// Lengths of the lists that are measured
    #[arg(
        short,
        value_name = "K,…",
        allow_negative_numbers = true,
        value_delimiter = ',',
        default_value = "10"
    )]
    k: Vec<usize>,

    /// An item is relevant to whoever rates it so or higher [default: the mean training rating]
    #[arg(long, value_name = "RATING", allow_negative_numbers = true)]
    relevant: Option<f32>,

    /// Errors where the user or the item has no training rating: predict from what is known, refuse, leave out
    #[arg(long, value_name = "WHAT", default_value = "mean", value_parser = one_of(&Unknown::ALL, Unknown::name))]
    unknown: Unknown,

    /// JSON instead of tables
    #[arg(long)]
    json: bool,

    #[command(flatten, next_help_heading = "Data")]
    reading: RatingsReading,

    #[command(flatten, next_help_heading = "Data")]
    caching: Caching,
}

type Values<'a> = BTreeMap<&'a str, Option<f64>>;

/// The measures as JSON, errors by metric.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    count: u64,
    unknown: u64,
    #[serde(flatten)]
    errors: BTreeMap<&'a str, f64>,
    mean_baseline: BTreeMap<&'a str, f64>,
    bias_baseline: Option<BTreeMap<&'a str, f64>>,
    ranking: RankingJson<'a>,
}

/// The rankings as JSON.
#[derive(Serialize)]
struct RankingJson<'a> {
    threshold: Threshold,
    #[serde(flatten)]
    counts: RankingCounts,
    model: ScorerJson<'a>,
    popularity: ScorerJson<'a>,
    bias: Option<ScorerJson<'a>>,
}

/// One scorer's values by metric: those that depend on k under `at`, by k.
#[derive(Serialize)]
struct ScorerJson<'a> {
    #[serde(flatten)]
    whole: Values<'a>,
    at: BTreeMap<usize, Values<'a>>,
}

/// In as many digits as it has.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Threshold {
    Given(f32),
    Mean(f64),
}

impl Evaluate {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        at_most_one_stdin(&[("TEST", &self.test)])?;
        let model = Model::load(&self.model)?;
        let predictor = model.predictor();
        let (options, ids) = (self.reading.options(), [&model.users, &model.items]);
        let meter = Meter::default();
        let watched = !self.json && streams.draws();
        let bar = watched.then(|| Standing::reading(&self.test, &meter));
        let (held, notices) = read_held(&self.test, &options, &self.caching, ids, predictor.known(), &meter)?;
        drop(bar);
        notices.into_iter().for_each(|notice| streams.note(format!("note: {notice}")));
        let ratings = held.iter();
        let trained = &model.metadata;
        let outside = far_outside(&held.value, trained);
        if let Some(note) = outside_note(held.len() as u64, outside, trained) {
            streams.note(note);
        }
        let pairs = held.iter().filter_map(|(user, item, _)| user.zip(item));
        let trained_on = pairs.filter(|&(user, item)| predictor.has_seen(user, item)).count() as u64;
        if trained_on > 0 {
            let all = count(held.len() as u64, "rating");
            let trained_on = HumanCount(trained_on);
            streams.note(format!(
                "note: of {all}, {trained_on} of pairs that were trained on: errors there say nothing of new ratings; \
                 `deltav report MODEL --ratings FILE` measures on those that were held out"
            ));
        }
        let bar = watched.then(|| Standing::busy("ranking every user's items"));
        let accuracy = evaluate(&predictor, ratings.clone(), self.unknown)?;
        let options = RankingOptions { cutoffs: self.k, relevant: self.relevant };
        let report = evaluate_ranking(&predictor, ratings, &options)?;
        drop(bar);
        let threshold = self.relevant.map_or(Threshold::Mean(report.threshold), Threshold::Given);
        if self.json {
            return streams.json(&json(&accuracy, &report, threshold));
        }
        for line in errors(&accuracy).into_iter().chain([String::new()]).chain(rankings(&report, threshold)) {
            streams.line(line)?;
        }
        if report.bias.is_none() {
            streams.note("note: no bias baseline: the model's file is older than it; train again to compare");
        }
        Ok(())
    }
}

fn json<'a>(accuracy: &'a Accuracy, report: &'a RankingReport, threshold: Threshold) -> Report<'a> {
    let errors = |values: &'a Vec<(&'static str, f64)>| values.iter().copied().collect();
    let scorer = |ranking: &'a Ranking| ScorerJson {
        whole: ranking.whole.iter().copied().collect(),
        at: ranking.top.iter().map(|top| (top.k, top.values.iter().copied().collect())).collect(),
    };
    Report {
        schema: SCHEMA,
        count: accuracy.count,
        unknown: accuracy.unknown.unknown(),
        errors: errors(&accuracy.values),
        mean_baseline: errors(&accuracy.mean_baseline),
        bias_baseline: accuracy.bias_baseline.as_ref().map(errors),
        ranking: RankingJson {
            threshold,
            counts: report.counts,
            model: scorer(&report.model),
            popularity: scorer(&report.popularity),
            bias: report.bias.as_ref().map(scorer),
        },
    }
}

fn errors(accuracy: &Accuracy) -> Vec<String> {
    let row = |name: &str, values: &[(&str, f64)]| {
        let cells = values.iter().map(|&(_, value)| measured(value));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let names = METRICS.iter().map(|metric| metric.name.to_uppercase());
    let ratings = match accuracy.unknown.unknown() {
        0 => count(accuracy.count, "rating"),
        unknown if accuracy.count < accuracy.unknown.pairs => {
            format!("{}, {unknown} unknown left out", count(accuracy.count, "rating"))
        }
        unknown => format!("{}, {unknown} unknown", count(accuracy.count, "rating")),
    };
    let mut rows = vec![std::iter::once(ratings).chain(names).collect(), row("model", &accuracy.values)];
    rows.extend(accuracy.bias_baseline.iter().map(|values| row("bias of user and item", values)));
    rows.push(row("mean rating for all", &accuracy.mean_baseline));
    table(&rows)
}

fn rankings(report: &RankingReport, threshold: Threshold) -> Vec<String> {
    let counts = &report.counts;
    let from = match threshold {
        Threshold::Given(rating) => format!("{rating}"),
        Threshold::Mean(rating) => format!("{} (the mean training rating)", measured(rating)),
    };
    let mut lines = vec![match counts.users {
        0 => format!("nothing to rank: no user with training ratings has rated a candidate {from} or higher"),
        users => format!(
            "{} with {} among {}, rated {from} or higher",
            count(users, "user"),
            count(counts.relevant, "relevant candidate"),
            count(counts.items, "item"),
        ),
    }];
    let left_out = [
        (counts.users_without_relevant, "user", "without a relevant item"),
        (counts.users_without_candidate, "user", "whose relevant items are all unknown or rated in training"),
        (counts.unknown_users, "relevant rating", "of unknown users"),
        (counts.unknown_items, "relevant rating", "of unknown items"),
        (counts.seen, "relevant rating", "of what was rated in training"),
    ];
    let left_out: Vec<String> = left_out
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, what)| format!("{} {what}", count(number, one)))
        .collect();
    if !left_out.is_empty() {
        lines.push(format!("left out: {}", left_out.join(", ")));
    }
    if counts.users == 0 {
        return lines;
    }
    let scorers = || {
        let bias = report.bias.as_ref().map(|bias| ("bias", bias));
        [("model", &report.model), ("popularity", &report.popularity)].into_iter().chain(bias)
    };
    let cells = |values: &[(&str, Option<f64>)]| -> Vec<String> {
        values.iter().map(|(_, value)| value.map_or("–".to_owned(), |value| format!("{value:.4}"))).collect()
    };
    let names = |values: &[(&str, Option<f64>)]| values.iter().map(|(name, _)| (*name).to_owned()).collect();
    let row = |first: &[String], rest: Vec<String>| [first, &rest].concat();
    for (at, top) in report.model.top.iter().enumerate() {
        let mut rows = vec![row(&[format!("top {}", top.k)], names(&top.values))];
        let same = scorers().filter_map(|(name, ranking)| Some((name, ranking.top.get(at)?)));
        rows.extend(same.map(|(name, top)| row(&[name.to_owned()], cells(&top.values))));
        lines.extend(table(&rows));
    }
    let mut rows = vec![row(&["all items".to_owned()], names(&report.model.whole))];
    rows.extend(scorers().map(|(name, ranking)| row(&[name.to_owned()], cells(&ranking.whole))));
    lines.extend(table(&rows));
    lines
}
