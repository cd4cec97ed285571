//! `deltav plan`: what training would take of memory, before it takes it.

use std::path::PathBuf;

use clap::{Args, value_parser};
use serde::Serialize;

use super::events::SCHEMA;
use super::help;
use super::input::metered;
use super::render::Renderer;
use super::streams::Streams;
use super::table::{bytes, count, seconds, table};
use super::train::Train;
use crate::backend::Residence;
use crate::data::{IdMap, Known, Meter, ReadOptions, stream_ratings};
use crate::error::{Error, Result};
use crate::train::{Item, Place, Shape, Traffic, When};
use crate::world::Share;

/// Purposes below this part of the whole share a line.
const SMALL: u64 = 200;

/// Tell what memory a call of `train` needs, and what for, without training
#[derive(Debug, Args)]
#[command(about = "Tell what memory a call of `train` needs, and what for, without training",
    long_about = None, after_help = help::PLAN_EXAMPLES)]
pub(super) struct Plan {
    #[command(flatten)]
    train: Train,

    /// Plan for so many processes of deltav-mpi: the memory of the one that needs most, and what they tell each other
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), allow_negative_numbers = true, help_heading = "Processes")]
    ranks: Option<u32>,
}

/// Memory for a purpose as JSON.
#[derive(Serialize)]
struct Row<'a> {
    schema: u32,
    place: &'static str,
    purpose: &'a str,
    when: &'static str,
    bytes: u64,
}

/// The last line: all of it.
#[derive(Serialize)]
struct Whole<'a> {
    schema: u32,
    plan: Sums<'a>,
}

#[derive(Serialize)]
struct Sums<'a> {
    device: &'a str,
    users: u64,
    items: u64,
    ratings: u64,
    host_bytes: u64,
    host_available: Option<u64>,
    device_bytes: u64,
    device_available: Option<u64>,
    page_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch_network_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch_link_bytes: Option<u64>,
    fits: bool,
}

impl Plan {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let train = self.train;
        let config = train.config()?;
        train.at_most_one_stdin()?;
        train.device.limit_threads();
        let mut renderer = Renderer::new(streams, train.json);
        let meter = renderer.reading(&train.files);
        let shape = if train.reading.leaves_out() { left(&train, &meter)? } else { shape(&train, &meter)? };
        let mut backend = train.device.open(&mut renderer)?;
        backend.set_mapping(config.config().kernels.mapping());
        renderer.finish()?;
        let shape = match self.ranks {
            Some(ranks) if ranks > 1 => largest(&shape, ranks as usize)?,
            _ => shape,
        };
        let plan = crate::train::Plan::new(&config, &shape, true, &*backend)?;
        let checked = plan.check(true);
        if train.json {
            json(&plan, &shape, checked.is_ok(), streams)?;
        } else {
            for line in lines(&plan, &shape, checked.is_ok()) {
                streams.line(line)?;
            }
        }
        streams.finish()?;
        checked
    }
}

/// Counts users, items and ratings; keeps no rating.
fn shape(train: &Train, meter: &Meter) -> Result<Shape> {
    let mut sides = [(IdMap::new(), Vec::new()), (IdMap::new(), Vec::new())];
    let time = train.times();
    stream_ratings(
        metered(&train.files, meter),
        &ReadOptions { time, ..train.reading.options() },
        |rated| {
            for ((ids, counts), id) in sides.iter_mut().zip([rated.pair.user, rated.pair.item]) {
                let full = || {
                    Error::data_at(
                        rated.pair.location(),
                        "has too many users or items",
                        "split the file into parts",
                    )
                };
                let index = ids.get_or_insert(id).ok_or_else(full)? as usize;
                if index == counts.len() {
                    counts.push(0u64);
                }
                counts.get_mut(index).into_iter().for_each(|count| *count += 1);
            }
            Ok(())
        },
    )?;
    let [(users, user_counts), (items, item_counts)] = sides;
    let id_bytes = [&users, &items].map(|ids| ids.ids().parts().0.len() as u64).iter().sum();
    let ratings: u64 = user_counts.iter().sum();
    shape_of(train, [user_counts, item_counts], id_bytes, ratings)
}

/// The same with `--min-ratings`: who is left out shows only where all are known.
fn left(train: &Train, meter: &Meter) -> Result<Shape> {
    let (ratings, _) = train.reading.read(&train.files, train.times(), meter)?;
    let id_bytes = [&ratings.users, &ratings.items].map(|ids| ids.parts().0.len() as u64).iter().sum();
    let counts = [ratings.user_counts(), ratings.item_counts()];
    shape_of(train, counts, id_bytes, ratings.len() as u64)
}

/// The shape of so many ratings of each user and of each item, less the hold-out.
fn shape_of(
    train: &Train,
    [user_counts, item_counts]: [Vec<u64>; 2],
    id_bytes: u64,
    ratings: u64,
) -> Result<Shape> {
    let (options, times) = (train.reading.options(), train.times());
    let held = |inputs: &[PathBuf]| match inputs {
        [] => Ok(0),
        inputs => stream_ratings(inputs, &options, |_| Ok(())),
    };
    let holdout = train.holdout.map_or(0, |part| (part * ratings as f64) as u64);
    let valid = holdout + held(&train.valid)?;
    let test = held(&train.test)?;
    // Each row keeps about the same part.
    let keep = |counts: Vec<u64>| rest(&counts, ratings, holdout);
    let known = Known { user_counts: keep(user_counts), item_counts: keep(item_counts) };
    Ok(Shape { known, held: [valid, test], id_bytes, times, validates: valid > 0, share: None })
}

/// The part of the process, of so many, that has most ratings.
fn largest(shape: &Shape, processes: usize) -> Result<Shape> {
    let Known { user_counts, item_counts } = &shape.known;
    let mut share = Share::planned(user_counts, item_counts, shape.held, [0, processes])?;
    let of = |share: &Share| user_counts.get(share.own()).unwrap_or_default().to_vec();
    let ratings = |process: &usize| of(&Share { process: *process, ..share.clone() }).iter().sum::<u64>();
    // The first of those that have most: it collects the model as well.
    share.process = (0..processes).rev().max_by_key(ratings).unwrap_or(0);
    let own = of(&share);
    let part = |count: u64| {
        let part =
            u128::from(count) * u128::from(own.iter().sum::<u64>()) / u128::from(share.stats.count.max(1));
        u64::try_from(part).unwrap_or(count)
    };
    Ok(Shape {
        held: shape.held.map(part),
        known: Known { user_counts: own.clone(), item_counts: item_counts.clone() },
        share: Some(share),
        ..shape.clone()
    })
}

/// What is left of each where `taken` of all are taken away evenly.
fn rest(counts: &[u64], all: u64, taken: u64) -> Vec<u64> {
    let left = |before: u64| {
        let taken = u128::from(before) * u128::from(taken) / u128::from(all.max(1));
        before - u64::try_from(taken).unwrap_or(before)
    };
    let mut before = 0;
    let each = counts.iter().map(|count| {
        let start = left(before);
        before += count;
        left(before) - start
    });
    each.collect()
}

fn json(plan: &crate::train::Plan, shape: &Shape, fits: bool, streams: &mut Streams) -> Result<()> {
    for Item { place, purpose, when, bytes } in &plan.items {
        let row = Row { schema: SCHEMA, place: place.name(), purpose, when: when.name(), bytes: *bytes };
        streams.json(&row)?;
    }
    let [users, items, ratings] = shape.sizes();
    let sums = Sums {
        device: &plan.device,
        users,
        items,
        ratings,
        host_bytes: plan.host(true),
        host_available: plan.host_available,
        device_bytes: plan.device(),
        device_available: plan.memory.available,
        page_bytes: plan.page_bytes,
        processes: plan.traffic.map(|traffic| traffic.processes),
        epoch_network_bytes: plan.traffic.map(|traffic| traffic.bytes),
        epoch_link_bytes: plan.traffic.map(|traffic| traffic.link),
        fits,
    };
    streams.json(&Whole { schema: SCHEMA, plan: sums })
}

fn lines(plan: &crate::train::Plan, shape: &Shape, fits: bool) -> Vec<String> {
    let [users, items, ratings] = shape.sizes();
    let [users, items, ratings] =
        [(users, "user"), (items, "item"), (ratings, "rating")].map(|(n, one)| count(n, one));
    let mut lines = vec![format!("{users}, {items}, {ratings}; training on {}", plan.device), String::new()];
    if let Some(share) = &shape.share {
        let (process, all) = (share.process, share.bounds.len() - 1);
        let [ratings, everyone] =
            [(share.stats.count, "rating"), (share.users as u64, "user")].map(|(n, one)| count(n, one));
        lines.insert(0, format!("process {process} of {all}, which has most of {everyone} and {ratings}"));
    }
    // Of the CPU, buffers are the host's.
    let two = plan.memory.residence != Residence::Process;
    let row = |purpose: &str, when: &str, host: String, device: String| {
        let mut row = vec![purpose.to_owned(), when.to_owned(), host];
        row.extend(two.then_some(device));
        row
    };
    let mut rows = vec![row("memory", "when", "host".to_owned(), "device".to_owned())];
    let cell = |item: &Item, place: Place| {
        let here = item.place == place || (!two && place == Place::Host);
        if here { bytes(item.bytes) } else { String::new() }
    };
    let least = (plan.host(true) + plan.device()) / SMALL;
    let (small, large): (Vec<&Item>, Vec<&Item>) = plan.items.iter().partition(|item| item.bytes < least);
    for item in large {
        let when = if item.when == When::Always { "" } else { item.when.name() };
        rows.push(row(&item.purpose, when, cell(item, Place::Host), cell(item, Place::Device)));
    }
    if !small.is_empty() {
        let sum = |place| bytes(small.iter().filter(|item| item.place == place).map(|item| item.bytes).sum());
        let all = bytes(small.iter().map(|item| item.bytes).sum());
        let host = if two { sum(Place::Host) } else { all };
        rows.push(row(&format!("{} small ones", small.len()), "", host, sum(Place::Device)));
    }
    let known = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), super::table::bytes);
    rows.push(row("at most at a time", "", bytes(plan.host(true)), bytes(plan.device())));
    rows.push(row("free", "", known(plan.host_available), known(plan.memory.available)));
    lines.extend(table(&rows));
    lines.push(String::new());
    if let Some(traffic) = &plan.traffic {
        lines.extend(network(traffic));
        if shape.share.as_ref().is_some_and(|share| share.process > 0) {
            lines.push(format!(
                "the first process takes {} more at the end, for all of the model",
                bytes(plan.collected)
            ));
        }
        lines.push(String::new());
    }
    lines.push(verdict(plan, fits));
    lines
}

/// A time that may be far below a second.
fn milliseconds(time: f64) -> String {
    if time < 0.0995 { format!("{:.2} ms", 1e3 * time) } else { seconds(time) }
}

/// What an epoch sends over networks of a few speeds, and what it means.
fn network(traffic: &Traffic) -> Vec<String> {
    let mut lines = vec![format!(
        "network: {} an epoch between all processes, {} each way for one, in {} exchanges",
        bytes(traffic.bytes),
        bytes(traffic.link),
        traffic.exchanges
    )];
    let mut rows =
        vec![["link", "an epoch", "is the bound for devices that gather more than"].map(str::to_owned)];
    for gigabits in [10, 100, 400] {
        let bits = f64::from(gigabits) * 1e9;
        rows.push([
            format!("{gigabits} Gb/s"),
            milliseconds(traffic.seconds(bits)),
            format!("{}/s", bytes(traffic.even(bits) as u64)),
        ]);
    }
    lines.extend(table(&rows.into_iter().map(Vec::from).collect::<Vec<_>>()));
    lines
}

fn verdict(plan: &crate::train::Plan, fits: bool) -> String {
    let unknown = plan.memory.residence == Residence::Device && plan.memory.available.is_none();
    match (fits, plan.page_bytes) {
        (false, _) => "verdict: too much".to_owned(),
        (true, Some(page)) => {
            format!("verdict: fits, with the ratings streamed to the device, {} at a time", bytes(page))
        }
        (true, None) if unknown && plan.fused => {
            "verdict: fits the computer; if the device, which does not tell its memory, has less, the ratings \
             are streamed"
                .to_owned()
        }
        (true, None) if unknown => "verdict: fits the computer; the device does not tell its memory".to_owned(),
        (true, None) if plan.host_available.is_none() => {
            "verdict: unknown; this system does not tell its memory".to_owned()
        }
        (true, None) => "verdict: fits".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_adds_up() {
        for (counts, taken) in [(&[5, 0, 1, 94][..], 10), (&[1; 100], 33), (&[7], 7), (&[3, 4], 0)] {
            let all: u64 = counts.iter().sum();
            let left = rest(counts, all, taken);
            assert_eq!(left.iter().sum::<u64>(), all - taken);
            assert!(left.iter().zip(counts).all(|(left, count)| left <= count));
        }
    }
}
