//! Deltav beside other trainers: the same data, the same seeds, taking turns, ratios.
//!
//! `benches/peers/run [ROW...]` builds and runs it; `benches/peers/run --help` has the flags.

mod data;
mod figures;
mod libmf;
mod ours;
mod peer;
mod rows;
mod sys;
mod wire;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::figures::Figure;
use crate::rows::{ROWS, Row};

pub type Failure = Box<dyn std::error::Error>;

const HELP: &str = "\
Deltav beside other trainers: the same data, the same seeds, taking turns, medians of ratios.

usage: benches/peers/run [OPTIONS] [ROW...]

A ROW is a name of the table or the beginning of one, such as `libmf` or `libmf/s1`.
Without one: all of them.

  --list            the names of all rows
  --quick           three turns, and no row that takes minutes
  --turns N         turns of each side [default: 5]
  --threads N       threads of each side [default: 2]
  --cores A,B,..    run on these cores only [default: as many as threads, from 0]
  --ml-1m FOLDER    where split90.{train,test}.csv.gz are; needed once
  --fresh           look for the peers' best settings anew
  --json            one object a line
";

/// How to measure.
#[derive(Debug)]
pub struct Options {
    pub home: PathBuf,
    pub cache: PathBuf,
    pub python: PathBuf,
    pub program: PathBuf,
    pub movielens: Option<PathBuf>,
    pub turns: usize,
    pub threads: usize,
    pub fresh: bool,
}

impl Options {
    /// The folder of a data set.
    pub fn set(&self, name: &str) -> Result<PathBuf, Failure> {
        data::prepare(&self.cache, name, self.movielens.as_deref())
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(met) => ExitCode::from(u8::from(!met)),
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every bar was met.
fn run() -> Result<bool, Failure> {
    let mut arguments = std::env::args().skip(1);
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target = home.join("../../target");
    let variable = |name: &str, default: PathBuf| std::env::var_os(name).map_or(default, PathBuf::from);
    let mut options = Options {
        cache: variable("PEERS_DATA", target.join("peers-data")),
        python: variable("PEERS_PYTHON", target.join("peers-python/bin/python")),
        program: variable("PEERS_DELTAV", target.join("release/deltav")),
        movielens: std::env::var_os("PEERS_ML_1M").map(PathBuf::from),
        home,
        turns: 5,
        threads: 2,
        fresh: false,
    };
    let (mut quick, mut json, mut cores, mut wanted) = (false, false, None, Vec::new());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--worker" => {
                let kind = value()?;
                worker::serve(&kind, Path::new(&value()?))?;
                return Ok(true);
            }
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(true);
            }
            "--list" => {
                ROWS.iter().for_each(|row| println!("{}", row.name));
                return Ok(true);
            }
            "--quick" => (quick, options.turns) = (true, 3),
            "--json" => json = true,
            "--fresh" => options.fresh = true,
            "--turns" => options.turns = value()?.parse()?,
            "--threads" => options.threads = value()?.parse()?,
            "--ml-1m" => options.movielens = Some(value()?.into()),
            "--cores" => {
                cores = Some(value()?.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?);
            }
            flag if flag.starts_with('-') => return Err(format!("no flag {flag}; see --help").into()),
            row => wanted.push(row.to_owned()),
        }
    }
    sys::pin(&cores.unwrap_or_else(|| (0..options.threads).collect()))?;
    std::fs::create_dir_all(&options.cache)?;
    let chosen = |row: &&Row| {
        if wanted.is_empty() {
            !(quick && row.long)
        } else {
            wanted.iter().any(|name| row.name.starts_with(name))
        }
    };
    let rows: Vec<&Row> = ROWS.iter().filter(chosen).collect();
    if rows.is_empty() {
        return Err("no such row; see --list".into());
    }
    let mut met = true;
    if !json {
        println!(
            "| row | first / second | first | second | ratio | least to most | CPU-s ratio | bar | met |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|---|");
    }
    for row in rows {
        match row.measure(&options) {
            Ok(figure) => {
                met &= figure.bar.met(figure.ratio) != Some(false);
                if json { println!("{}", object(&figure)) } else { println!("{}", line(&figure)) }
            }
            Err(error) => {
                met = false;
                eprintln!("peers: {}: {error}", row.name);
            }
        }
    }
    Ok(met)
}

fn line(figure: &Figure) -> String {
    let [first, second] = figure.sides;
    let digits = if figure.unit == "s" { 4 } else { 0 };
    let cpu = figure.cpu_ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
    let met = match figure.bar.met(figure.ratio) {
        Some(true) => "yes",
        Some(false) => "no",
        None => "–",
    };
    format!(
        "| {} | {} | {first:.digits$} {unit} | {second:.digits$} {unit} | **{:.2}** | {:.2} to {:.2} | {cpu} | {} | {met} |",
        figure.row,
        figure.what,
        figure.ratio,
        figure.spread.0,
        figure.spread.1,
        figure.bar.text(),
        unit = figure.unit,
    )
}

fn object(figure: &Figure) -> serde_json::Value {
    serde_json::json!({
        "row": figure.row,
        "what": figure.what,
        "first": figure.sides[0],
        "second": figure.sides[1],
        "unit": figure.unit,
        "ratio": figure.ratio,
        "least": figure.spread.0,
        "most": figure.spread.1,
        "cpu_ratio": figure.cpu_ratio,
        "bar": figure.bar.text(),
        "met": figure.bar.met(figure.ratio),
    })
}
