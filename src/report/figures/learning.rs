//! How the error fell: by epoch, and by time where that is known.

use super::super::Report;
use super::super::chart::{Chart, Form, Ink};
use super::super::html::{Figure, Table};
use super::super::scale::Scale;
use super::{figure, missing, or_dash, series};
use crate::error::Result;
use crate::model::CurvePoint;

/// What falls, for the eye: how to read both pictures.
const READING: &str = "Lower is better. The error on the training ratings may go on falling when that on held-out \
                       ratings rises again: from there on the model learns the noise.";

/// Rows of the table behind a long curve, at most.
const ROWS: usize = 200;

pub(in super::super) fn figures(report: &Report<'_>) -> Result<Vec<Figure>> {
    let metadata = &report.model.metadata;
    let curve = &metadata.curve;
    if curve.iter().all(|point| errors(point).iter().all(Option::is_none)) {
        let why = match metadata.epochs {
            0 => "The model is the one that epochs start from: none ran.",
            _ if report.average => "An average of several models has no curve of its own.",
            _ => "The model's file has no errors by epoch.",
        };
        return Ok(vec![missing("Error by epoch", why)]);
    }
    let xs: Vec<f64> = curve.iter().map(|point| f64::from(point.epoch)).collect();
    let kept = metadata.best_epoch.map(|epoch| {
        format!(" The model has the factors of epoch {epoch}, whose validation error was lowest.")
    });
    let learned = metadata.settings.get("reg").is_some_and(|reg| reg == "auto");
    let warm_up = metadata.settings.get("warm-up").filter(|_| learned).map(|epochs| {
        format!(
            " The first {epochs} epochs warm up with a fixed penalty; then the regularisation is learned, which lets \
             the error on the training ratings rise and that on others fall."
        )
    });
    let chart = chart("Error by epoch", curve, &xs, "epoch");
    let every = curve.len().div_ceil(ROWS).max(1);
    let rows = curve.iter().enumerate().filter(|(at, _)| (curve.len() - 1 - at).is_multiple_of(every));
    let rows = rows.map(|(_, point)| {
        let errors = errors(point).into_iter().map(or_dash);
        std::iter::once(point.epoch.to_string()).chain(errors).collect()
    });
    let table = Table::new(&["epoch", "train", "validation", "test"], rows);
    let mut figures = vec![figure(
        &chart,
        format!("{READING}{}{}", warm_up.unwrap_or_default(), kept.unwrap_or_default()),
        table,
    )?];
    if let Some(by_time) = by_time(report)? {
        figures.push(by_time);
    } else {
        figures.push(missing(
            "Error by time",
            "A model's file has no clock in it, so that equal runs write equal files: `deltav train … --report FILE` \
             draws the error by second while it knows the times.",
        ));
    }
    Ok(figures)
}

fn by_time(report: &Report<'_>) -> Result<Option<Figure>> {
    let known = report.epochs.iter().filter(|epoch| epoch.epoch > 0 && epoch.seconds.is_finite());
    let epochs: Vec<_> = known.collect();
    let Some(last) = epochs.last() else { return Ok(None) };
    let points: Vec<CurvePoint> = epochs
        .iter()
        .map(|epoch| CurvePoint {
            epoch: epoch.epoch,
            train: epoch.train_rmse,
            valid: epoch.valid_rmse,
            test: epoch.test_rmse,
        })
        .collect();
    let seconds: Vec<f64> = epochs.iter().map(|epoch| epoch.seconds).collect();
    let chart = chart("Error by time", &points, &seconds, "seconds of training");
    let rows = points.iter().zip(&seconds).map(|(point, seconds)| {
        let errors = errors(point).into_iter().map(or_dash);
        [format!("{seconds:.3}"), point.epoch.to_string()].into_iter().chain(errors).collect()
    });
    let every = points.len().div_ceil(ROWS).max(1);
    let table = Table::new(&["seconds", "epoch", "train", "validation", "test"], rows.step_by(every));
    let reading = format!(
        "The same errors by the time that training took, {:.2} s in all, without reading the files. Where the curve \
         is flat, more epochs are time for nothing.",
        last.seconds
    );
    figure(&chart, reading, table).map(Some)
}

fn errors(point: &CurvePoint) -> [Option<f64>; 3] {
    [point.train, point.valid, point.test]
}

fn chart(title: &str, curve: &[CurvePoint], xs: &[f64], axis: &str) -> Chart {
    let names = [("train", Ink::First), ("validation", Ink::Second), ("test", Ink::Third)];
    let line = |which: usize| -> Vec<(f64, f64)> {
        curve.iter().zip(xs).filter_map(|(point, &x)| Some((x, errors(point)[which]?))).collect()
    };
    let lines = names.into_iter().enumerate().map(|(at, (name, ink))| (name, ink, line(at)));
    let lines: Vec<_> = lines.filter(|(.., points)| !points.is_empty()).collect();
    let ys = lines.iter().flat_map(|(.., points)| points.iter().map(|point| point.1));
    Chart {
        title: title.to_owned(),
        x: (Scale::from_zero(xs.iter().copied(), 6), axis.to_owned()),
        y: (Scale::of(ys, 5), "RMSE, in rating units".to_owned()),
        series: lines.into_iter().map(|(name, ink, points)| series(name, ink, Form::Line(points))).collect(),
    }
}
