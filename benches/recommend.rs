//! Lists of the ten best items for every user: one user at a time in f64
//! (`scan`) against blocks of users on each device (`Predictor::top_n`).
//!
//! `cargo bench --bench recommend [-- MODEL…]`; without models, on planted
//! ratings of the size of MovieLens 1M and on a large catalogue. Both ways use
//! all threads (`RAYON_NUM_THREADS` says how many) and must give the same lists.
//! The best of five runs counts. A product is one of `u·v`, or a bias.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use deltav::backend::{AdapterKind, DeviceChoice, OpenOptions, adapters, open};
use deltav::config::{ModelKind, TrainConfig};
use deltav::data::planted::Planted;
use deltav::event::Silent;
use deltav::model::{Model, Recommendation, TopN};
use deltav::train::{Dataset, train};
use rayon::prelude::*;

type Failure = Box<dyn Error>;
type Lists = Vec<Vec<Recommendation>>;

const RUNS: u32 = 5;
const N: usize = 10;

fn main() -> Result<(), Failure> {
    println!("| users × items × rank | way | seconds | G products/s | ratio | scanned |");
    println!("|---|---|--:|--:|--:|--:|");
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for file in &files {
        measure(&Model::load(Path::new(file))?)?;
    }
    if files.is_empty() {
        for (users, items, rank) in [(6_040, 3_706, 32), (6_040, 3_706, 128), (2_000, 200_000, 32)] {
            measure(&planted(users, items, rank)?)?;
        }
    }
    Ok(())
}

fn planted(users: usize, items: usize, rank: usize) -> Result<Model, Failure> {
    let ratings = Planted::new(users, items, 900_000).generate()?.ratings;
    let config =
        TrainConfig { model: Some(ModelKind::Biased), rank, epochs: Some(8), ..TrainConfig::default() };
    let mut cpu = open(DeviceChoice::Cpu, &OpenOptions::default())?.backend;
    let data = Dataset { train: ratings, valid: None, test: None };
    Ok(train(config.check()?, &data, &mut *cpu, &mut Silent)?)
}

fn measure(model: &Model) -> Result<(), Failure> {
    let predictor = model.predictor();
    let users: Vec<u32> = (0..model.users.len() as u32).collect();
    let size = format!("{} × {} × {}", users.len(), model.items.len(), model.rank);
    let products = (users.len() * model.items.len() * (model.rank + 1)) as f64;
    let line = |way: &str, seconds: f64, scan: f64, scanned: u64| {
        let speed = products / seconds / 1e9;
        println!("| {size} | {way} | {seconds:.3} | {speed:.1} | {:.1} | {scanned} |", scan / seconds);
    };
    let (scan, expected) = best(|| {
        Ok(users.par_iter().map(|&user| predictor.recommend_index(user, N, false)).collect::<Lists>())
    })?;
    line("scan", scan, scan, users.len() as u64);
    for (name, choice) in devices() {
        let mut backend = open(choice, &OpenOptions::default())?.backend;
        let (seconds, (lists, scanned)) = best(|| {
            let mut lists = Lists::new();
            let query = TopN { n: N, ..TopN::default() };
            let counts = predictor.top_n(&users, &query, &mut *backend, |block| {
                lists.extend(block.iter().map(|list| list.items.clone()));
                Ok(())
            })?;
            Ok((lists, counts.scanned))
        })?;
        if lists != expected {
            return Err(format!("{name}: the lists differ from the scan's").into());
        }
        line(name, seconds, scan, scanned);
    }
    Ok(())
}

/// The seconds of the fastest run, and what it returned.
fn best<T>(mut run: impl FnMut() -> Result<T, Failure>) -> Result<(f64, T), Failure> {
    let mut fastest: Option<(f64, T)> = None;
    for _ in 0..RUNS {
        let start = Instant::now();
        let result = run()?;
        let seconds = start.elapsed().as_secs_f64();
        if fastest.as_ref().is_none_or(|(least, _)| seconds < *least) {
            fastest = Some((seconds, result));
        }
    }
    fastest.ok_or_else(|| "no run".into())
}

/// The CPU, the best hardware GPU and the software adapter, as far as they are here.
fn devices() -> Vec<(&'static str, DeviceChoice)> {
    let adapters = adapters();
    let software = |wanted: bool| adapters.iter().any(|a| (a.kind == AdapterKind::Software) == wanted);
    let mut devices = vec![("cpu", DeviceChoice::Cpu)];
    devices.extend(software(false).then_some(("gpu", DeviceChoice::Gpu(None))));
    devices.extend(software(true).then_some(("software", DeviceChoice::Software)));
    devices
}
