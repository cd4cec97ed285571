//! The figures, by section: what each shows, how to read it, and its numbers.

mod errors;
mod learning;
mod lists;
mod taste;

pub(super) use errors::figures as errors;
pub(super) use learning::figures as learning;
pub(super) use lists::figures as lists;
pub(super) use taste::figures as taste;

use super::chart::{Chart, Form, Ink, Series};
use super::html::{Figure, Table};
use super::text::grouped;
use crate::data::text::measured;
use crate::error::Result;

/// A series with a name.
fn series(name: &'static str, ink: Ink, form: Form) -> Series {
    Series { name: Some(name), ink, form }
}

/// A figure of a chart, which has its title.
fn figure(chart: &Chart, reading: impl Into<String>, numbers: Table) -> Result<Figure> {
    let (title, reading) = (chart.title.clone(), reading.into());
    Ok(Figure { title, reading, svg: Some(chart.svg()?), numbers, wide: false })
}

/// A figure that says why it has no picture.
fn missing(title: &str, why: impl Into<String>) -> Figure {
    Figure { title: title.to_owned(), reading: why.into(), ..Figure::default() }
}

/// An error, or a dash.
fn or_dash(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), measured)
}

fn number(count: u64) -> String {
    grouped(count)
}
