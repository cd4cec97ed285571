//! Time to the best test RMSE that a peer reaches, loading apart.

use serde::{Deserialize, Serialize};

use super::Name;
use crate::figures::{Bar, Clock, Figure, Turns};
use crate::peer::Peer;
use crate::wire::Job;
use crate::{Failure, Options, data};

/// λ that LIBMF chooses from, on the test part.
const LAMBDAS: [f64; 5] = [0.02, 0.05, 0.08, 0.1, 0.15];
const ITERATIONS: u32 = 30;

/// Where a peer is at its best.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Best {
    lambda: f64,
    epochs: u32,
    rmse: f64,
}

pub fn libmf(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let folder = options.set(name.set)?;
    let mut peer = Peer::native("libmf", &folder, options)?;
    let job = Job { rank: name.rank, threads: options.threads, ..Job::default() };
    let best = remembered(name, options, || {
        let mut all = Vec::new();
        for lambda in LAMBDAS {
            let job = Job { work: "curve".to_owned(), lambda, epochs: ITERATIONS, ..job.clone() };
            all.extend((1..).zip(peer.run(&job)?.curve).map(|(epochs, rmse)| Best { lambda, epochs, rmse }));
        }
        Ok(all)
    })?;
    let bar = Bar::AtLeast(if name.set == "ml-1m" { 4.0 } else { 2.0 });
    compare(name, options, peer, Job { epochs: best.epochs, lambda: best.lambda, ..job }, best, bar)
}

pub fn surprise(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    trained(name, options, "surprise_svd", &[0.02, 0.05, 0.1], &[30, 50], Bar::AtLeast(100.0))
}

pub fn cornac(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let epochs: Vec<u32> = (2..=30).step_by(2).collect();
    trained(name, options, "cornac_mf", &[0.02, 0.05], &epochs, Bar::AtLeast(3.0))
}

/// As [`libmf`], of a script, tried with these λ and numbers of epochs.
fn trained(
    name: Name<'_>,
    options: &Options,
    script: &str,
    lambdas: &[f64],
    epochs: &[u32],
    bar: Bar,
) -> Result<Figure, Failure> {
    let folder = options.set(name.set)?;
    let mut peer = Peer::python(script, &folder, options)?;
    let job = Job { work: "train".to_owned(), rank: name.rank, threads: options.threads, ..Job::default() };
    let best = remembered(name, options, || {
        let settings = lambdas.iter().flat_map(|&lambda| epochs.iter().map(move |&epochs| (lambda, epochs)));
        let run = |(lambda, epochs)| {
            let done = peer.run(&Job { lambda, epochs, ..job.clone() })?;
            Ok(Best { lambda, epochs, rmse: done.rmse })
        };
        settings.map(run).collect()
    })?;
    compare(name, options, peer, Job { epochs: best.epochs, lambda: best.lambda, ..job }, best, bar)
}

/// The least RMSE of a sweep, the first of equals; from the last call's file unless `--fresh`.
fn remembered(
    name: Name<'_>,
    options: &Options,
    sweep: impl FnOnce() -> Result<Vec<Best>, Failure>,
) -> Result<Best, Failure> {
    let path = options.cache.join(format!("best.{}.json", name.whole.replace('/', "-")));
    if !options.fresh
        && let Ok(text) = std::fs::read(&path)
    {
        return Ok(serde_json::from_slice(&text)?);
    }
    let all = sweep()?;
    let best = all.into_iter().reduce(|best, next| if next.rmse < best.rmse { next } else { best });
    let best = best.ok_or("a sweep without a run")?;
    std::fs::write(&path, serde_json::to_vec(&best)?)?;
    Ok(best)
}

/// The peer's time to its best over deltav's to the first epoch that is no worse, taking turns.
fn compare(
    name: Name<'_>,
    options: &Options,
    mut peer: Peer,
    theirs: Job,
    best: Best,
    bar: Bar,
) -> Result<Figure, Failure> {
    let folder = options.set(name.set)?;
    let mut ours = Peer::native("ours", &folder, options)?;
    let job = Job { rank: name.rank, threads: options.threads, ..Job::default() };
    let curve = ours.run(&Job { work: "curve".to_owned(), ..job.clone() })?.curve;
    let Some(at) = curve.iter().position(|&rmse| rmse <= best.rmse) else {
        let least = curve.iter().copied().fold(f64::INFINITY, f64::min);
        return Err(format!("deltav ends at {least:.4}, the peer at {:.4}", best.rmse).into());
    };
    let job = Job { work: "train".to_owned(), epochs: at as u32 + 1, ..job };
    let theirs = Job { work: "train".to_owned(), ..theirs };
    let turns = Turns::take(options.turns, || peer.run(&theirs), || ours.run(&job))?;
    let what = format!(
        "to RMSE {:.4}: {} epochs, λ {} (clipped {:.4}) / {} epochs ({:.4})",
        best.rmse,
        best.epochs,
        best.lambda,
        turns.last[0].clipped,
        at + 1,
        turns.last[1].rmse,
    );
    Ok(turns.figure(name.whole.to_owned(), what, Clock::Wall, bar))
}

/// The training part as a CSV beside the columns.
pub fn prepared_csv(name: Name<'_>, options: &Options) -> Result<std::path::PathBuf, Failure> {
    data::csv(&options.set(name.set)?)
}
