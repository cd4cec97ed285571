//! Loading, memory and lists.

use std::process::{Command, Stdio};

use super::{Name, best};
use crate::figures::{Bar, Clock, Figure, Turns, median};
use crate::peer::Peer;
use crate::wire::Job;
use crate::{Failure, Options, sys};

/// polars' `read_csv` and the ids numbered, against [`deltav::data::read_ratings`].
pub fn load(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    best::prepared_csv(name, options)?;
    let folder = options.set(name.set)?;
    let mut polars = Peer::python("polars_load", &folder, options)?;
    let mut ours = Peer::native("ours", &folder, options)?;
    let job = Job { work: "load".to_owned(), threads: options.threads, ..Job::default() };
    let turns = Turns::take(options.turns, || polars.run(&job), || ours.run(&job))?;
    let what = "polars read_csv + factorise / read_ratings, 9M lines of CSV".to_owned();
    Ok(turns.figure(name.whole.to_owned(), what, Clock::Wall, Bar::AtLeast(1.0)))
}

/// implicit's `recommend` for all users against [`deltav::model::Predictor::top_n`].
pub fn recommend(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let folder = options.set(name.set)?;
    let mut implicit = Peer::python("implicit_als", &folder, options)?;
    let mut ours = Peer::native("ours", &folder, options)?;
    let job =
        Job { work: "recommend".to_owned(), rank: name.rank, threads: options.threads, ..Job::default() };
    let turns = Turns::take(options.turns, || implicit.run(&job), || ours.run(&job))?;
    let what = "implicit's recommend / top_n, ten unseen items for all users".to_owned();
    Ok(turns.figure(name.whole.to_owned(), what, Clock::Wall, Bar::AtLeast(1.0)))
}

/// The most memory that `deltav train` holds, from the CSV to the model, in MB.
pub fn memory(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    const BAR: f64 = 600.0;
    let csv = best::prepared_csv(name, options)?;
    let out = options.cache.join("memory.safetensors");
    let mut peaks = Vec::new();
    for _ in 0..2 {
        let child = Command::new(&options.program)
            .arg("train")
            .arg(&csv)
            .args([
                "--rank",
                &name.rank.to_string(),
                "--epochs",
                "7",
                "--device",
                "cpu",
                "--quiet",
                "--force",
            ])
            .args(["--threads", &options.threads.to_string(), "--out"])
            .arg(&out)
            .env("RAYON_NUM_THREADS", options.threads.to_string())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("{}: {error}; build it by `cargo build --release`", options.program.display())
            })?;
        let (_, peak, succeeded) = sys::wait(&child)?;
        if !succeeded {
            return Err("deltav train failed".into());
        }
        peaks.push(peak as f64 / 1e6);
    }
    let spread = (peaks[0].min(peaks[1]) / BAR, peaks[0].max(peaks[1]) / BAR);
    let peak = median(peaks);
    Ok(Figure {
        row: name.whole.to_owned(),
        what: format!("peak of deltav train / {BAR} MB, 9M ratings"),
        sides: [peak, BAR],
        unit: "MB",
        ratio: peak / BAR,
        cpu_ratio: None,
        spread,
        bar: Bar::AtMost(1.0),
    })
}
