//! Every optimiser on one data set: RMSE against epochs and against seconds,
//! as a picture and a table.
//!
//! `cargo bench --bench optimizers -- TRAIN TEST SVG [--device cpu] [--threads N]`
//!
//! All minimise the same objective, `--model biased --reg 1.2`, with their own
//! default epochs and settings; those that can learn run by default, too.
//! Each trains twice, heard and unheard: curves come from the first run,
//! seconds from the second, which measures nothing on the way.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use deltav::backend::{DeviceChoice, OpenOptions, open};
use deltav::config::{ModelKind, Reg, TrainConfig};
use deltav::data::{Held, IdMap, ReadOptions, read_ratings, read_triples};
use deltav::event::{Event, Observer, Silent};
use deltav::optim::OPTIMIZERS;
use deltav::train::{Dataset, train};

#[path = "support/chart.rs"]
mod chart;

use chart::{Chart, Curve};

type Failure = Box<dyn Error>;

/// The RMSE that the table's columns of epochs and seconds ask for: what a
/// biased factorisation by stochastic descent is known to reach on ml-1m.
const GOAL: f64 = 0.86;

struct Call {
    files: Vec<PathBuf>,
    device: DeviceChoice,
    options: OpenOptions,
}

fn main() -> Result<(), Failure> {
    let call = call()?;
    let [train_file, test_file, svg] = &call.files[..] else { return Err(USAGE.into()) };
    let options = ReadOptions::default();
    let ratings = read_ratings([train_file], &options)?;
    let test = read_triples([test_file], &options)?;
    let (users, items) = (IdMap::from(ratings.users.clone()), IdMap::from(ratings.items.clone()));
    let test = Held::from_triples(&test, &users, &items);
    let data = Dataset { train: ratings, valid: None, test: Some(test) };

    println!(
        "| optimizer | setting | epochs | test RMSE | epochs to {GOAL} | seconds to {GOAL} | seconds in all |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|");
    let mut curves = Vec::new();
    for config in configs() {
        let curve = measure(&config, &data, &call)?;
        println!("{}", line(&config, &curve));
        curves.push(curve);
    }
    let chart = Chart {
        title: format!(
            "Test RMSE of every optimizer, {}, rank {}",
            name(train_file),
            TrainConfig::default().rank
        ),
        curves,
    };
    std::fs::write(svg, chart.svg())?;
    Ok(())
}

/// What learns first, then all on one objective, in the order of the registry.
fn configs() -> Vec<TrainConfig> {
    let of = |name: &str| TrainConfig { optimizer: name.to_owned(), ..TrainConfig::default() };
    let fixed = |name| TrainConfig { model: Some(ModelKind::Biased), reg: Some(Reg::Fixed(1.2)), ..of(name) };
    let learning = OPTIMIZERS.iter().filter(|spec| spec.learns).map(|spec| of(spec.name));
    learning.chain(OPTIMIZERS.iter().map(|spec| fixed(spec.name))).collect()
}

/// Listens to epochs and keeps what the test part says.
#[derive(Default)]
struct Curves(Vec<f64>);

impl Observer for Curves {
    fn event(&mut self, event: &Event) {
        if let Event::Epoch(epoch) = event {
            self.0.extend(epoch.test_rmse);
        }
    }
}

fn measure(config: &TrainConfig, data: &Dataset, call: &Call) -> Result<Curve, Failure> {
    let mut heard = Curves::default();
    train(config.clone().check()?, data, &mut *open(call.device, &call.options)?.backend, &mut heard)?;

    let untested = Dataset { test: None, ..data.clone() };
    let mut backend = open(call.device, &call.options)?.backend;
    let checked = config.clone().check()?;
    let began = Instant::now();
    train(checked, &untested, &mut *backend, &mut Silent)?;
    let seconds = began.elapsed().as_secs_f64();
    let learned = if config.reg.is_none() { ", default" } else { "" };
    Ok(Curve { name: format!("{}{learned}", config.optimizer), rmse: heard.0, seconds })
}

fn line(config: &TrainConfig, curve: &Curve) -> String {
    let setting = if config.reg.is_none() { "default" } else { "`--model biased --reg 1.2`" };
    let epochs = curve.rmse.len();
    let last = curve.rmse.last().copied().unwrap_or(f64::NAN);
    let reached = curve.rmse.iter().position(|&rmse| rmse <= GOAL).map(|at| at + 1);
    let mut line = format!("| {} | {setting} | {epochs} | {last:.4} |", config.optimizer);
    // Writing to a String can't fail.
    let _ = match reached {
        Some(at) => write!(line, " {at} | {:.2} |", curve.seconds * at as f64 / epochs as f64),
        None => write!(line, " – | – |"),
    };
    let _ = write!(line, " {:.2} |", curve.seconds);
    line
}

fn name(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    format!("{}/{}", folder.to_string_lossy(), file.file_name().unwrap_or_default().to_string_lossy())
}

const USAGE: &str = "usage: cargo bench --bench optimizers -- TRAIN TEST SVG [--device D] [--threads N]";

fn call() -> Result<Call, Failure> {
    let mut call = Call { files: Vec::new(), device: DeviceChoice::Cpu, options: OpenOptions::default() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(USAGE);
        match &*argument {
            // What `cargo bench` itself adds.
            "--bench" => {}
            "--device" => call.device = value()?.parse()?,
            "--threads" => call.options.threads = Some(value()?.parse()?),
            _ if argument.starts_with('-') => return Err(USAGE.into()),
            _ => call.files.push(PathBuf::from(argument)),
        }
    }
    Ok(call)
}
