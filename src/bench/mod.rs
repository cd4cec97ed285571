//! What a device does in a second: loading, epochs, time to a good model, lists,
//! beside what its memory allows. `deltav bench` prints it.
//!
//! An epoch can't do without one thing: for every rating, and for each side,
//! the other side's row of factors must come from memory. The kernel
//! [`gather_rows`](crate::kernel::gather_rows) does only that, on the same
//! indices; its time is the floor that an epoch is held against. All ratings are
//! planted, so that nobody needs a file to measure.

mod epochs;
mod limits;

use std::io::{BufWriter, Write};
use std::time::Instant;

use serde::Serialize;

use crate::backend::Backend;
use crate::config::{ModelKind, Precision, TrainConfig};
use crate::data::planted::{PlantedSplit, Shape};
use crate::data::{Ratings, ReadOptions, read_ratings};
use crate::error::{Error, Result};
use crate::event::{Event, Silent};
use crate::model::TopN;
use crate::train::{Dataset, train};

pub use epochs::EpochRun;
pub use limits::{Gather, copy_bytes_per_second};

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Reading a text.
    Load,
    /// Copy and gather.
    Limits,
    /// Epochs at each rank.
    Epochs,
    /// Time to a good model.
    Rmse,
    /// Lists for all users.
    TopN,
}

impl Part {
    /// Every part, in the order of the table.
    pub const ALL: [Part; 5] = [Part::Load, Part::Limits, Part::Epochs, Part::Rmse, Part::TopN];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Part::Load => "load",
            Part::Limits => "limits",
            Part::Epochs => "epochs",
            Part::Rmse => "rmse",
            Part::TopN => "top-n",
        }
    }
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Users, items and ratings.
    pub shape: Shape,
    /// Ranks of the epochs and the lists; time to RMSE is that of the first.
    pub ranks: Vec<usize>,
    /// Seed of the ratings and of the factors.
    pub seed: u64,
    /// In which precision epochs, and the gather beside them, take the other side's rows.
    pub precision: Precision,
    /// A few repetitions rather than some.
    pub quick: bool,
    /// What to measure.
    pub parts: Vec<Part>,
}

/// One line of the table. What does not apply is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measurement {
    /// What was done.
    pub work: &'static str,
    /// The rank.
    pub rank: Option<usize>,
    /// Seconds that it took.
    pub seconds: f64,
    /// What was handled a second.
    pub per_second: Option<f64>,
    /// Ratings, lists.
    pub unit: Option<&'static str>,
    /// Bytes a second: copied, or gathered as far as the work can't do without them.
    pub bytes_per_second: Option<f64>,
    /// The part of the time that the gather alone takes.
    pub of_limit: Option<f64>,
    /// Epochs of a whole run.
    pub epochs: Option<u32>,
    /// Its test RMSE.
    pub test_rmse: Option<f64>,
}

/// Seconds between two points in time never are 0.
pub(crate) fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64().max(1e-9)
}

/// The part of the ratings that is tested with.
const TEST: f64 = 0.1;
/// How near the best RMSE of a run is near enough.
const NEAR: f64 = 1.01;
const LIST: usize = 10;

/// Measures a device, and tells of each result when it is there.
///
/// # Errors
/// Those of the device and of training; [`Error::Io`] where the text can't be written.
pub fn run(
    plan: &Plan,
    backend: &mut dyn Backend,
    each: &mut dyn FnMut(&Measurement) -> Result<()>,
) -> Result<()> {
    let planted = plan.shape.planted().seed(plan.seed).generate()?;
    if plan.parts.contains(&Part::Load) {
        each(&load(&planted.ratings)?)?;
    }
    let PlantedSplit { train: ratings, test, .. } = planted.split(TEST, plan.seed)?;
    if plan.parts.contains(&Part::Limits) {
        let bytes_per_second = copy_bytes_per_second(backend, plan.quick)?;
        each(&Measurement {
            work: "copy",
            bytes_per_second: Some(bytes_per_second),
            ..Measurement::default()
        })?;
    }
    let data = Dataset { train: ratings, valid: None, test: Some(test) };
    let timed = [Part::Limits, Part::Epochs].iter().any(|part| plan.parts.contains(part));
    for &rank in plan.ranks.iter().filter(|_| timed) {
        let gather = Gather::measure(&data.train, rank, plan.precision, backend, plan.quick)?;
        if plan.parts.contains(&Part::Limits) {
            each(&gather.measurement(rank))?;
        }
        if plan.parts.contains(&Part::Epochs) {
            epochs::measure(plan, &data, rank, &gather, backend, each)?;
        }
    }
    if plan.parts.contains(&Part::Rmse) {
        for optimizer in ["line-search", "sgd"] {
            each(&to_rmse(plan, &data, optimizer, backend)?)?;
        }
    }
    if plan.parts.contains(&Part::TopN) {
        for &rank in &plan.ranks {
            each(&lists(plan, &data, rank, backend)?)?;
        }
    }
    Ok(())
}

/// Reads the ratings back from a text like MovieLens', in the folder for temporary files.
fn load(ratings: &Ratings) -> Result<Measurement> {
    let folder = std::env::temp_dir();
    let broken = |source| Error::Io { path: folder.clone(), source };
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile_in(&folder).map_err(broken)?;
    let mut text = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    text.write_all(b"userId,movieId,rating\n").map_err(broken)?;
    for (user, item, value) in ratings.iter() {
        writeln!(text, "{user},{item},{value:.3}").map_err(broken)?;
    }
    text.flush().map_err(broken)?;
    drop(text);
    let start = Instant::now();
    let read = read_ratings([file.path()], &ReadOptions::default())?;
    let seconds = since(start);
    Ok(Measurement {
        work: "load, CSV",
        seconds,
        per_second: Some(read.len() as f64 / seconds),
        unit: Some("ratings"),
        ..Measurement::default()
    })
}

/// Time of a run of as many epochs as come within 1% of the best test RMSE: one run says how many
/// these are, another one, that nobody listens to, is timed. The problem's layout is part of it.
fn to_rmse(
    plan: &Plan,
    data: &Dataset,
    optimizer: &'static str,
    backend: &mut dyn Backend,
) -> Result<Measurement> {
    let rank = plan.ranks.first().copied().unwrap_or(TrainConfig::default().rank);
    let config =
        TrainConfig { rank, seed: plan.seed, optimizer: optimizer.to_owned(), ..TrainConfig::default() };
    let mut curve = Vec::new();
    train(config.clone().check()?, data, backend, &mut |event: &Event| {
        if let Event::Epoch(epoch) = event {
            curve.extend(epoch.test_rmse.map(|rmse| (epoch.epoch, rmse)));
        }
    })?;
    let best = curve.iter().map(|(_, rmse)| *rmse).fold(f64::INFINITY, f64::min);
    let near = curve.iter().find(|(_, rmse)| *rmse <= best * NEAR);
    let &(epochs, rmse) = near.ok_or_else(|| Error::Internal("a run without an epoch".to_owned()))?;

    let alone = Dataset { train: data.train.clone(), valid: None, test: None };
    let config = TrainConfig { epochs: Some(epochs), ..config }.check()?;
    let start = Instant::now();
    train(config, &alone, backend, &mut Silent)?;
    Ok(Measurement {
        work: if optimizer == "sgd" { "to RMSE, sgd" } else { "to RMSE, line-search" },
        rank: Some(rank),
        seconds: since(start),
        epochs: Some(epochs),
        test_rmse: Some(rmse),
        ..Measurement::default()
    })
}

/// The ten best unseen items of every user.
fn lists(plan: &Plan, data: &Dataset, rank: usize, backend: &mut dyn Backend) -> Result<Measurement> {
    let config = TrainConfig {
        rank,
        seed: plan.seed,
        model: Some(ModelKind::Biased),
        epochs: Some(2),
        ..TrainConfig::default()
    };
    let alone = Dataset { train: data.train.clone(), valid: None, test: None };
    let model = train(config.check()?, &alone, backend, &mut Silent)?;
    let predictor = model.predictor();
    let users: Vec<u32> = (0..model.users.len() as u32).collect();
    let query = TopN { n: LIST, ..TopN::default() };
    let start = Instant::now();
    predictor.top_n(&users, &query, backend, |_| Ok(()))?;
    let seconds = since(start);
    Ok(Measurement {
        work: "top 10, all users",
        rank: Some(rank),
        seconds,
        per_second: Some(users.len() as f64 / seconds),
        unit: Some("lists"),
        ..Measurement::default()
    })
}

#[cfg(test)]
mod tests;
