//! From a file to ratings by index, laid out by user: what stands before the first epoch.
//!
//! ```sh
//! cargo bench --bench loading -- plant FILE [USERS ITEMS RATINGS]   # writes planted ratings as CSV
//! cargo bench --bench loading -- time FILE [RUNS]                   # seconds of each run, one JSON object
//! cargo bench --bench loading -- cached FILE FOLDER [RUNS]          # the same, read from a cache
//! cargo bench --bench loading -- shared FILE PROCESSES [RUNS]       # by processes that are threads
//! ```
//!
//! `benches/loading.py` runs the second beside polars on the same file and prints ratios.
//! All threads are used; `RAYON_NUM_THREADS` says how many.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

use deltav::data::planted::Planted;
use deltav::data::{Cache, ReadOptions, SharedRequest, read_ratings, read_shared};
use deltav::world::{World, threads};

type Failure = Box<dyn Error>;

/// Users, items and ratings unless others are asked for.
const SHAPE: [usize; 3] = [70_000, 10_000, 10_000_000];
const RUNS: usize = 5;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["plant", file] => plant(file, SHAPE),
        ["plant", file, users, items, ratings] => {
            plant(file, [users.parse()?, items.parse()?, ratings.parse()?])
        }
        ["time", file] => time(file, None, RUNS),
        ["time", file, runs] => time(file, None, runs.parse()?),
        ["cached", file, folder] => time(file, Some(&Cache::new(folder)), RUNS),
        ["cached", file, folder, runs] => time(file, Some(&Cache::new(folder)), runs.parse()?),
        ["shared", file, processes] => shared(file, processes.parse()?, RUNS),
        ["shared", file, processes, runs] => shared(file, processes.parse()?, runs.parse()?),
        // As a bench among others there is nothing to do: the file decides what is measured.
        _ => {
            println!("loading: pass plant FILE, time FILE, cached FILE FOLDER or shared FILE PROCESSES");
            Ok(())
        }
    }
}

/// Writes planted ratings: ids are whole numbers, ratings halves of stars.
fn plant(file: &str, [users, items, count]: [usize; 3]) -> Result<(), Failure> {
    let ratings = Planted::new(users, items, count).generate()?.ratings;
    let mut out = BufWriter::new(File::create(file)?);
    writeln!(out, "user,item,rating")?;
    for (user, item, value) in ratings.iter() {
        // Planted ids are a letter and a number.
        out.write_all(&ratings.users.get(user)[1..])?;
        out.write_all(b",")?;
        out.write_all(&ratings.items.get(item)[1..])?;
        writeln!(out, ",{:.1}", (value * 2.0).round() / 2.0)?;
    }
    Ok(out.flush()?)
}

fn time(file: &str, cache: Option<&Cache>, runs: usize) -> Result<(), Failure> {
    let options = ReadOptions::default();
    if let Some(cache) = cache {
        cache.read_ratings([file], &options)?; // from now on it is there
    }
    let (mut read, mut index, mut sizes) = (Vec::new(), Vec::new(), [0; 3]);
    for _ in 0..runs {
        let start = Instant::now();
        let ratings = match cache {
            Some(cache) => cache.read_ratings([file], &options)?.0,
            None => read_ratings([file], &options)?,
        };
        read.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let (by_user, order) = ratings.by_user();
        index.push(start.elapsed().as_secs_f64());
        assert_eq!((by_user.len(), order.len()), (ratings.len(), ratings.len()));
        sizes = [ratings.users.len(), ratings.items.len(), ratings.len()];
    }
    let [users, items, ratings] = sizes;
    println!(
        "{{\"users\":{users},\"items\":{items},\"ratings\":{ratings},\"threads\":{},\"read\":{read:?},\"index\":{index:?}}}",
        rayon::current_num_threads()
    );
    Ok(())
}

/// Until each process has its users' ratings, and what there is to know of all.
fn shared(file: &str, processes: usize, runs: usize) -> Result<(), Failure> {
    let options = ReadOptions::default();
    let request = SharedRequest {
        inputs: vec![file.into()],
        options: &options,
        least: None,
        holdout: None,
        valid: Vec::new(),
        test: Vec::new(),
    };
    let (mut read, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let start = Instant::now();
        let each = threads::run(processes, |world| {
            read_shared(world, request.clone()).map(|shared| (shared.train.len(), world.sent()))
        });
        read.push(start.elapsed().as_secs_f64());
        sent = each.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let (ratings, bytes): (Vec<usize>, Vec<u64>) = sent.into_iter().unzip();
    println!(
        "{{\"processes\":{processes},\"ratings\":{ratings:?},\"sent\":{bytes:?},\"threads\":{},\"read\":{read:?}}}",
        rayon::current_num_threads()
    );
    Ok(())
}
