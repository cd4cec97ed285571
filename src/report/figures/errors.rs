//! How far predictions are from known ratings, and how sure the model may be of them.

use super::super::chart::{Chart, Form, Ink, Series};
use super::super::html::{Figure, Table};
use super::super::measured::{Calibrated, Distribution, Group, Measured};
use super::super::scale::Scale;
use super::super::text::percent;
use super::{figure, missing, number, or_dash, series};
use crate::data::text::measured as rating;
use crate::error::Result;

/// Ratings of a group or a bin from which on it is drawn; smaller ones are mostly chance.
const ENOUGH: u64 = 10;

pub(in super::super) fn figures(measured: &Measured) -> Result<Vec<Figure>> {
    let mut figures = vec![distribution(&measured.distribution)?, residuals(measured)?];
    figures.push(groups(
        &measured.by_user,
        "Error by activity of the user",
        "training ratings of the user",
        "The more a user has rated, the better a model can know them: the error should fall to the right. The \
         model should stay below the bias of user and item alone; where it does not, it learned nothing of such \
         users.",
    )?);
    figures.push(groups(
        &measured.by_item,
        "Error by popularity of the item",
        "training ratings of the item",
        "The same for items: what was hardly ever rated is predicted by little more than its mean. A model that \
         is good only at the right is good at what everybody knows.",
    )?);
    figures.push(calibration(&measured.calibration)?);
    figures.push(intervals(measured)?);
    Ok(figures)
}

fn distribution(of: &Distribution) -> Result<Figure> {
    let Distribution { middles, ratings, predictions } = of;
    let step = of.step();
    let shares = |counts: &[u64]| -> Vec<f64> {
        let all: u64 = counts.iter().sum();
        counts.iter().map(|&count| count as f64 / all.max(1) as f64).collect()
    };
    let (rated, predicted) = (shares(ratings), shares(predictions));
    let rows = middles.iter().enumerate().map(|(at, middle)| {
        vec![
            level(*middle, step),
            number(ratings[at]),
            percent(rated[at]),
            number(predictions[at]),
            percent(predicted[at]),
        ]
    });
    let table = Table::new(&["rating", "ratings", "share", "predictions", "share"], rows);
    // One place a bin: levels have their own names, whatever round numbers lie between them.
    let places = |shares: &[f64]| -> Vec<(f64, f64)> {
        shares.iter().enumerate().map(|(at, share)| (at as f64, 100.0 * share)).collect()
    };
    let bars = places(&rated).into_iter().map(|(x, y)| (x - 0.42, x + 0.42, y)).collect();
    let line = places(&predicted);
    let names: Vec<String> = middles.iter().map(|&middle| level(middle, step)).collect();
    let shares = rated.iter().chain(&predicted).map(|share| 100.0 * share);
    let chart = Chart {
        title: "Ratings and predictions".to_owned(),
        x: (Scale::names(&names), "rating".to_owned()),
        y: (Scale::from_zero(shares, 4), "percent".to_owned()),
        series: vec![
            series("ratings", Ink::First, Form::Bars(bars)),
            series("predictions", Ink::Second, Form::Line(line)),
        ],
    };
    figure(
        &chart,
        "How often each rating was given, and how often about that was predicted. Predictions are expectations, so \
         they lie closer to the middle than ratings do; that is no fault. They should have their peak where the \
         ratings have theirs.",
        table,
    )
}

/// A rating with as many digits as its bins need.
fn level(middle: f64, step: f64) -> String {
    if (1e-3..1e5).contains(&step) && middle.abs() < 1e6 {
        let text = format!("{middle:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    rating(middle)
}

fn residuals(measured: &Measured) -> Result<Figure> {
    let of = &measured.residuals;
    let bins = of.counts.len();
    let width = (of.high - of.low) / bins as f64;
    let all: u64 = of.counts.iter().sum();
    let left = |at: usize| of.low + width * at as f64;
    let share = |count: u64| count as f64 / all.max(1) as f64;
    let rows = of.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(at, &count)| {
        let ends = format!("{} to {}", rating(left(at)), rating(left(at + 1)));
        vec![ends, number(count), percent(share(count))]
    });
    let table = Table::new(&["rating − prediction", "ratings", "share"], rows);
    let bars = of
        .counts
        .iter()
        .enumerate()
        .map(|(at, &count)| (left(at) + 0.06 * width, left(at + 1) - 0.06 * width, 100.0 * share(count)));
    let highest = of.counts.iter().map(|&count| 100.0 * share(count));
    let (x, y) = (Scale::of([of.low, of.high], 8), Scale::from_zero(highest, 4));
    let zero = Series { name: None, ink: Ink::Guide, form: Form::Plain(vec![(0.0, 0.0), (0.0, y.high())]) };
    let chart = Chart {
        title: "Residuals".to_owned(),
        x: (x, "rating − prediction, in rating units".to_owned()),
        y: (y, "percent".to_owned()),
        series: vec![Series { name: None, ink: Ink::First, form: Form::Bars(bars.collect()) }, zero],
    };
    let reading = format!(
        "What predictions miss. A good model's residuals are narrow, with their peak at 0 (the dashed line) and both \
         sides alike. Their mean here is {:+.4}.",
        of.mean
    );
    figure(&chart, reading, table)
}

fn groups(groups: &[Group], title: &str, axis: &str, reading: &str) -> Result<Figure> {
    let rows = groups.iter().map(|group| {
        vec![group.label(), number(group.ratings), rating(group.rmse), or_dash(group.bias_rmse)]
    });
    let table = Table::new(&[axis, "ratings", "model", "bias alone"], rows);
    let drawn: Vec<&Group> = groups.iter().filter(|group| group.ratings >= ENOUGH).collect();
    let few = groups.len() - drawn.len();
    if drawn.is_empty() {
        let why = format!("No group has {ENOUGH} ratings or more, which would say little.");
        return Ok(Figure { numbers: table, ..missing(title, why) });
    }
    let points = |of: fn(&Group) -> Option<f64>| -> Vec<(f64, f64)> {
        drawn.iter().enumerate().filter_map(|(at, group)| Some((at as f64, of(group)?))).collect()
    };
    let (model, bias) = (points(|group| Some(group.rmse)), points(|group| group.bias_rmse));
    let labels: Vec<String> = drawn.iter().map(|group| group.from.to_string()).collect();
    let ys: Vec<f64> = model.iter().chain(&bias).map(|point| point.1).collect();
    let mut lines = vec![series("model", Ink::First, Form::Line(model))];
    if !bias.is_empty() {
        lines.push(series("bias alone", Ink::Second, Form::Line(bias)));
    }
    let chart = Chart {
        title: title.to_owned(),
        x: (Scale::names(&labels), format!("{axis}, from … on")),
        y: (Scale::of(ys, 5), "RMSE, in rating units".to_owned()),
        series: lines,
    };
    let few = match few {
        0 => String::new(),
        1 => format!(" One group with fewer than {ENOUGH} ratings is in the table only."),
        few => format!(" {few} groups with fewer than {ENOUGH} ratings are in the table only."),
    };
    figure(&chart, format!("{reading}{few}"), table)
}

fn calibration(bins: &[Calibrated]) -> Result<Figure> {
    const TITLE: &str = "Predicted and given ratings";
    let rows = bins
        .iter()
        .map(|bin| vec![rating(bin.predicted), rating(bin.rated), or_dash(bin.error), number(bin.ratings)]);
    let table = Table::new(&["mean prediction", "mean rating", "standard error", "ratings"], rows);
    let drawn: Vec<&Calibrated> = bins.iter().filter(|bin| bin.ratings >= ENOUGH).collect();
    if drawn.is_empty() {
        let why = format!("No bin of predictions has {ENOUGH} ratings or more, which would say little.");
        return Ok(Figure { numbers: table, ..missing(TITLE, why) });
    }
    let points: Vec<(f64, f64)> = drawn.iter().map(|bin| (bin.predicted, bin.rated)).collect();
    let spans: Vec<(f64, f64, f64)> = drawn
        .iter()
        .filter_map(|bin| Some((bin.predicted, bin.rated - 2.0 * bin.error?, bin.rated + 2.0 * bin.error?)))
        .collect();
    let both = points.iter().flat_map(|point| [point.0, point.1]);
    let scale = Scale::of(both.chain(spans.iter().flat_map(|span| [span.1, span.2])), 5);
    let ends = vec![(scale.low(), scale.low()), (scale.high(), scale.high())];
    let chart = Chart {
        title: TITLE.to_owned(),
        x: (scale.clone(), "predicted rating".to_owned()),
        y: (scale, "mean rating given".to_owned()),
        series: vec![
            series("as good as can be", Ink::Guide, Form::Plain(ends)),
            Series { name: None, ink: Ink::First, form: Form::Spans(spans) },
            series("model", Ink::First, Form::Line(points)),
        ],
    };
    figure(
        &chart,
        "Of all pairs that were predicted about so, the mean of what was given, with two standard errors either way. \
         On the dashed diagonal a prediction means what it says; a flatter line is a model that exaggerates, a \
         steeper one a model that is too careful.",
        table,
    )
}

fn intervals(measured: &Measured) -> Result<Figure> {
    const TITLE: &str = "Intervals";
    if measured.intervals.is_empty() {
        return Ok(missing(
            TITLE,
            "The model knows nothing of its uncertainty: train it with `--reg auto` (the default) and more epochs than \
             the warm-up, without `--average`.",
        ));
    }
    let rows = measured.intervals.iter().map(|(level, coverage)| {
        vec![percent(*level), percent(coverage.share), rating(coverage.width), rating(coverage.score)]
    });
    let table = Table::new(&["meant to hold", "held", "mean width", "interval score"], rows);
    let held = measured.intervals.iter();
    let points: Vec<(f64, f64)> = held.map(|(level, of)| (100.0 * level, 100.0 * of.share)).collect();
    let scale = Scale::of(points.iter().flat_map(|point| [point.0, point.1]).chain([50.0, 100.0]), 5);
    let ends = vec![(scale.low(), scale.low()), (scale.high(), scale.high())];
    let chart = Chart {
        title: TITLE.to_owned(),
        x: (scale.clone(), "percent that intervals are to hold".to_owned()),
        y: (scale, "percent of ratings that they held".to_owned()),
        series: vec![
            series("as good as can be", Ink::Guide, Form::Plain(ends)),
            series("model", Ink::First, Form::Line(points)),
        ],
    };
    figure(
        &chart,
        "An interval for 90% should hold nine of ten ratings. Above the dashed diagonal intervals are too wide \
         (careful), below it too narrow (boastful). Ratings are whole steps, so intervals that end between them may \
         hold a little more than they are to.",
        table,
    )
}
