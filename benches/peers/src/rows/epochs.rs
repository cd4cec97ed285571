//! Time of an epoch: what more epochs cost than fewer.

use super::Name;
use crate::figures::{Bar, Clock, Figure, Turns, per_epoch};
use crate::peer::Peer;
use crate::wire::Job;
use crate::{Failure, Options};

/// Epochs of the short and of the long run. Deltav's default has all its factors, and learns, from the sixth on.
const FEW: u32 = 6;
const MANY: u32 = 16;

fn ours(name: Name<'_>, options: &Options) -> Job {
    Job { work: "train".to_owned(), rank: name.rank, threads: options.threads, ..Job::default() }
}

/// implicit's ALS iteration against an epoch of our default.
pub fn implicit(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let what = "an ALS iteration (CG) / an epoch of line-search, svdpp";
    against(name, options, "implicit_als", ours(name, options), (1, 4), what, Bar::AtLeast(3.0))
}

/// PyTorch's full-batch Adam against ours.
pub fn torch(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let job = Job { optimizer: Some("adam".to_owned()), ..ours(name, options) };
    against(name, options, "torch_adam", job, (1, 4), "an epoch of full-batch Adam, both", Bar::None)
}

/// The same in NumPy and SciPy.
pub fn numpy(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let job = Job { optimizer: Some("adam".to_owned()), ..ours(name, options) };
    against(name, options, "numpy_adam", job, (2, 12), "an epoch of full-batch Adam, both", Bar::None)
}

fn against(
    name: Name<'_>,
    options: &Options,
    script: &str,
    job: Job,
    epochs: (u32, u32),
    what: &str,
    bar: Bar,
) -> Result<Figure, Failure> {
    let folder = options.set(name.set)?;
    let mut peer = Peer::python(script, &folder, options)?;
    let mut us = Peer::native("ours", &folder, options)?;
    let theirs = ours(name, options);
    let turns = Turns::take(
        options.turns,
        || per_epoch(&mut peer, &theirs, epochs.0, epochs.1),
        || per_epoch(&mut us, &job, FEW, MANY),
    )?;
    Ok(turns.figure(name.whole.to_owned(), what.to_owned(), Clock::Wall, bar))
}

/// CPU seconds of a gradient epoch against an epoch of LIBMF.
pub fn gradient(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let folder = options.set(name.set)?;
    let mut us = Peer::native("ours", &folder, options)?;
    let mut libmf = Peer::native("libmf", &folder, options)?;
    let job =
        Job { optimizer: Some("gd".to_owned()), model: Some("biased".to_owned()), ..ours(name, options) };
    let theirs = Job { lambda: 0.02, ..ours(name, options) };
    let turns = Turns::take(
        options.turns,
        || per_epoch(&mut us, &job, FEW, MANY + MANY),
        || per_epoch(&mut libmf, &theirs, FEW, MANY + MANY),
    )?;
    let what = "a gradient epoch / LIBMF's SGD epoch, CPU seconds".to_owned();
    Ok(turns.figure(name.whole.to_owned(), what, Clock::Cpu, Bar::AtMost(0.8)))
}

/// The kernels that are written to be read against the fused ones, on a software adapter.
pub fn fused(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let folder = options.set(name.set)?;
    let worker = || Peer::native("ours", &folder, options);
    let (mut textbook, mut fused) = (worker()?, worker()?);
    let job = Job { device: Some("software".to_owned()), ..ours(name, options) };
    let slow = Job { kernels: Some("textbook".to_owned()), ..job.clone() };
    let turns = Turns::take(
        options.turns.min(3),
        || per_epoch(&mut textbook, &slow, FEW, FEW + 2),
        || per_epoch(&mut fused, &job, FEW, FEW + 2),
    )?;
    let what = "our epoch on the software adapter, textbook / fused kernels".to_owned();
    Ok(turns.figure(name.whole.to_owned(), what, Clock::Wall, Bar::AtLeast(2.0)))
}

/// One thread over two.
pub fn threads(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let folder = options.set(name.set)?;
    let worker = || Peer::native("ours", &folder, options);
    let (mut one, mut two) = (worker()?, worker()?);
    let job = ours(name, options);
    let alone = Job { threads: 1, ..job.clone() };
    let turns = Turns::take(
        options.turns,
        || per_epoch(&mut one, &alone, FEW, MANY),
        || per_epoch(&mut two, &job, FEW, MANY),
    )?;
    let what = format!("our epoch, 1 thread / {} threads", options.threads);
    Ok(turns.figure(name.whole.to_owned(), what, Clock::Wall, Bar::AtLeast(1.8)))
}

/// Ten times the ratings.
pub fn growth(name: Name<'_>, options: &Options) -> Result<Figure, Failure> {
    let mut large = Peer::native("ours", &options.set(name.set)?, options)?;
    let mut small = Peer::native("ours", &options.set("s1")?, options)?;
    let job = ours(name, options);
    let turns = Turns::take(
        options.turns,
        || per_epoch(&mut large, &job, FEW, FEW + 12),
        || per_epoch(&mut small, &job, FEW, MANY),
    )?;
    let what = "our epoch, 9M ratings / 0.9M ratings".to_owned();
    Ok(turns.figure(name.whole.to_owned(), what, Clock::Wall, Bar::AtMost(11.0)))
}
