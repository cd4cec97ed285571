//! `deltav bench`: how fast this device is, and how near to what its memory allows.

use clap::Args;
use indicatif::HumanCount;
use serde::Serialize;

use super::args::one_of;
use super::events::SCHEMA;
use super::method::Device;
use super::render::Renderer;
use super::streams::Streams;
use super::table::{seconds, short, table};
use crate::backend::Backend;
use crate::bench::{Measurement, Part, Plan, run};
use crate::config::{MAX_RANK, Precision};
use crate::data::planted::{SHAPES, Shape};
use crate::error::Result;

/// Measure this device: loading, epochs, time to a good model, lists, beside what its memory allows
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Size of the planted ratings: users, items and ratings as many as that data set has
    #[arg(long, value_name = "SIZE", default_value = "ml-1m", value_parser = one_of(SHAPES, |shape: Shape| shape.name))]
    size: Shape,

    /// Ranks to measure
    #[arg(long, value_name = "K,..", value_delimiter = ',', default_value = "32,64,128", value_parser = rank)]
    rank: Vec<usize>,

    /// Measure these parts only
    #[arg(long, value_name = "PART,..", value_delimiter = ',', value_parser = one_of(&Part::ALL, Part::name))]
    only: Vec<Part>,

    /// In which precision epochs gather the other side's factors: f16 is for GPUs
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = one_of(&Precision::ALL, Precision::name))]
    precision: Precision,

    /// Fewer repetitions: sooner done, less to be trusted
    #[arg(long)]
    quick: bool,

    /// Seed of the ratings and of the factors
    #[arg(long, value_name = "SEED", allow_negative_numbers = true, default_value_t = 0)]
    seed: u64,

    /// JSON, one object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: Device,
}

fn rank(text: &str) -> Result<usize, String> {
    match text.trim().parse::<usize>() {
        Ok(rank) if (1..=MAX_RANK).contains(&rank) => Ok(rank),
        _ => Err(format!("pass ranks from 1 to {MAX_RANK}, such as 32,128")),
    }
}

/// The first line: what was measured on what.
#[derive(Serialize)]
struct Head<'a> {
    schema: u32,
    device: &'a str,
    size: &'a str,
    users: usize,
    items: usize,
    ratings: usize,
    seed: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    measurement: &'a Measurement,
}

impl Bench {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        self.device.limit_threads();
        let mut renderer = Renderer::new(streams, self.json);
        let mut backend = self.device.open(&mut renderer)?;
        renderer.finish()?;
        let Shape { name, users, items, ratings } = self.size;
        let parts = if self.only.is_empty() { Part::ALL.to_vec() } else { self.only };
        let plan = Plan {
            shape: self.size,
            ranks: self.rank,
            seed: self.seed,
            precision: self.precision,
            quick: self.quick,
            parts,
        };
        let device = backend.describe().to_owned();
        if self.json {
            let head =
                Head { schema: SCHEMA, device: &device, size: name, users, items, ratings, seed: self.seed };
            streams.json(&head)?;
            return run(&plan, &mut *backend, &mut |measurement| {
                streams.json(&Line { schema: SCHEMA, measurement })?;
                streams.finish()
            });
        }
        streams.line(format!(
            "{name}: {} users, {} items, {} planted ratings; {device}",
            HumanCount(users as u64),
            HumanCount(items as u64),
            HumanCount(ratings as u64)
        ))?;
        streams.finish()?;
        let rows = measured(&plan, &mut *backend, streams)?;
        table(&rows).into_iter().try_for_each(|line| streams.line(line))
    }
}

/// The table's cells; on stderr, how far it is.
fn measured(plan: &Plan, backend: &mut dyn Backend, streams: &mut Streams) -> Result<Vec<Vec<String>>> {
    let head = ["work", "rank", "time", "a second", "memory", "of the limit", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    run(plan, backend, &mut |measurement| {
        let cells = cells(measurement);
        streams.note(format!("measured {}", cells.join(" ").trim_end()));
        rows.push(cells);
        Ok(())
    })?;
    Ok(rows)
}

fn cells(m: &Measurement) -> Vec<String> {
    let or_empty = |cell: Option<String>| cell.unwrap_or_default();
    let unit = m.unit.unwrap_or_default();
    let end = m.epochs.zip(m.test_rmse).map(|(epochs, rmse)| format!("{rmse:.4} after {epochs} epochs"));
    vec![
        m.work.to_owned(),
        or_empty(m.rank.map(|rank| rank.to_string())),
        if m.seconds > 0.0 { time(m.seconds) } else { String::new() },
        or_empty(m.per_second.map(|number| format!("{} {unit}", short(number)))),
        or_empty(m.bytes_per_second.map(|bytes| format!("{:.1} GB/s", bytes / 1e9))),
        or_empty(m.of_limit.map(|part| format!("{:.0}%", 100.0 * part))),
        or_empty(end),
    ]
}

/// Short times in milliseconds.
fn time(of: f64) -> String {
    if of < 0.1 { format!("{:.2} ms", of * 1e3) } else { seconds(of) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_empty_where_nothing_applies() {
        let copy = Measurement { work: "copy", bytes_per_second: Some(12.34e9), ..Measurement::default() };
        assert_eq!(cells(&copy), ["copy", "", "", "", "12.3 GB/s", "", ""]);
        let run = Measurement {
            work: "to RMSE, sgd",
            rank: Some(32),
            seconds: 1.234,
            epochs: Some(4),
            test_rmse: Some(0.51236),
            ..Measurement::default()
        };
        assert_eq!(cells(&run), ["to RMSE, sgd", "32", "1.2 s", "", "", "", "0.5124 after 4 epochs"]);
    }

    #[test]
    fn a_line_has_the_measurement_s_fields() {
        let epoch = Measurement {
            work: "epoch, default",
            rank: Some(8),
            seconds: 0.5,
            per_second: Some(4.0),
            unit: Some("ratings"),
            bytes_per_second: Some(16.0),
            of_limit: Some(0.75),
            ..Measurement::default()
        };
        let json = serde_json::to_string(&Line { schema: SCHEMA, measurement: &epoch }).unwrap();
        assert_eq!(
            json,
            r#"{"schema":1,"work":"epoch, default","rank":8,"seconds":0.5,"per_second":4.0,"unit":"ratings","bytes_per_second":16.0,"of_limit":0.75,"epochs":null,"test_rmse":null}"#
        );
    }

    #[test]
    fn ranks_are_checked() {
        assert_eq!(rank("32"), Ok(32));
        for text in ["0", "513", "x", "", "-1"] {
            assert!(rank(text).is_err(), "{text}");
        }
    }

    #[test]
    fn short_times_are_milliseconds() {
        assert_eq!([0.0123, 0.25, 12.0].map(time), ["12.30 ms", "0.25 s", "12 s"]);
    }
}
