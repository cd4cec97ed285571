//! Test RMSE on well-known data, as a Markdown table.
//!
//! `cargo bench --bench accuracy -- DATA [--device cpu] [--threads N] [--only TEXT]`
//!
//! `DATA` is a folder with any of `ml-100k/u{1..5}.{train,test}.csv.gz`,
//! `ml-latest-small/ratings.csv` and `ml-1m/split90.{train,test}.csv.gz`; what
//! is missing is named on stderr. Planted ratings need no file. The test parts
//! are measured once, after the last epoch. The columns are the setting, and
//! what a user would wait for: seconds of training with nobody listening,
//! summed over a row's splits.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is the result")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use deltav::backend::{DeviceChoice, OpenOptions, open};
use deltav::config::{ModelKind, Reg, TrainConfig};
use deltav::data::planted::Planted;
use deltav::data::{Held, IdMap, Ratings, ReadOptions, read_ratings, read_triples};
use deltav::event::Silent;
use deltav::model::{Unknown, evaluate};
use deltav::train::{Dataset, train};

type Failure = Box<dyn Error>;

/// Training ratings, test ratings and the RMSE that none can beat, if it is known.
type Split = (Ratings, Held, Option<f64>);

/// One row of the table.
struct Row {
    data: &'static str,
    splits: fn(&Path) -> Result<Vec<Split>, Failure>,
    config: TrainConfig,
}

struct Call {
    data: PathBuf,
    device: DeviceChoice,
    options: OpenOptions,
    only: String,
}

fn main() -> Result<(), Failure> {
    let call = call()?;
    println!("| data | setting | rank | epochs | test RMSE | seconds |");
    println!("|---|---|--:|--:|---|--:|");
    for row in rows() {
        let setting = setting(&row.config);
        let name = format!("{} {setting} {}", row.data, row.config.rank);
        if !name.contains(&call.only) {
            continue;
        }
        match (row.splits)(&call.data) {
            Ok(splits) => print(&row, &setting, splits, &call)?,
            Err(error) => eprintln!("left out: {}: {error}", row.data),
        }
    }
    Ok(())
}

fn rows() -> Vec<Row> {
    let default = |rank| TrainConfig { rank, ..TrainConfig::default() };
    let biased = TrainConfig { model: Some(ModelKind::Biased), epochs: Some(12), ..default(64) };
    let fixed = TrainConfig { reg: Some(Reg::Fixed(1.2)), epochs: Some(8), ..biased.clone() };
    let average = TrainConfig { average: 4, epochs: Some(36), ..default(64) };
    let sgd = TrainConfig { optimizer: "sgd".to_owned(), ..default(32) };
    let row = |data, splits, config| Row { data, splits, config };
    vec![
        row("ml-100k, u1 to u5", ml_100k, default(32)),
        row("ml-100k, u1 to u5", ml_100k, default(128)),
        row("ml-latest-small, 5 × 90/10", ml_latest_small, default(32)),
        row("ml-latest-small, 5 × 90/10", ml_latest_small, sgd),
        row("ml-1m, 90/10", ml_1m, default(32)),
        row("ml-1m, 90/10", ml_1m, default(64)),
        row("ml-1m, 90/10", ml_1m, average),
        row("ml-1m, 90/10", ml_1m, biased),
        row("ml-1m, 90/10", ml_1m, fixed),
        row("planted, rank 16", planted, default(32)),
        row("planted, rank 16", planted, default(128)),
    ]
}

/// The flags that differ from the defaults, epochs and rank apart.
fn setting(config: &TrainConfig) -> String {
    let optimizer = Some(&config.optimizer).filter(|name| **name != TrainConfig::default().optimizer);
    let flags = [
        optimizer.map(|name| format!("--optimizer {name}")),
        (config.average > 1).then(|| format!("--average {}", config.average)),
        config.model.map(|kind| format!("--model {}", kind.name())),
        config.reg.map(|reg| format!("--reg {reg}")),
    ];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    if flags.is_empty() { "default".to_owned() } else { format!("`{}`", flags.join(" ")) }
}

fn print(row: &Row, setting: &str, splits: Vec<Split>, call: &Call) -> Result<(), Failure> {
    let (mut errors, mut ratios, mut seconds, mut epochs) = (Vec::new(), Vec::new(), 0.0, 0);
    for (ratings, test, floor) in splits {
        let mut backend = open(call.device, &call.options)?.backend;
        let data = Dataset { train: ratings, valid: None, test: None };
        let config = row.config.clone().check()?;
        let began = Instant::now();
        let model = train(config, &data, &mut *backend, &mut Silent)?;
        seconds += began.elapsed().as_secs_f64();
        epochs = model.metadata.epochs;

        let held = (0..test.len()).map(|p| (test.user[p], test.item[p], test.value[p]));
        let rmse =
            evaluate(&model.predictor(), held, Unknown::Mean)?.get("rmse").ok_or("an empty test part")?;
        errors.push(rmse);
        ratios.extend(floor.map(|floor| rmse / floor));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let spread = || {
        let parts: Vec<String> = errors.iter().map(|rmse| format!("{rmse:.4}")).collect();
        format!(" ({})", parts.join(" "))
    };
    let more = match (errors.len(), &ratios[..]) {
        (1, []) => String::new(),
        (1, _) => format!(" = {:.4} × floor", mean(&ratios)),
        _ => spread(),
    };
    println!(
        "| {} | {setting} | {} | {epochs} | {:.4}{more} | {seconds:.1} |",
        row.data,
        row.config.rank,
        mean(&errors)
    );
    Ok(())
}

fn pair(folder: &Path, name: &str) -> Result<Split, Failure> {
    let options = ReadOptions::default();
    let train = read_ratings([&folder.join(format!("{name}.train.csv.gz"))], &options)?;
    let test = read_triples([&folder.join(format!("{name}.test.csv.gz"))], &options)?;
    let held =
        Held::from_triples(&test, &IdMap::from(train.users.clone()), &IdMap::from(train.items.clone()));
    Ok((train, held, None))
}

fn ml_100k(data: &Path) -> Result<Vec<Split>, Failure> {
    (1..=5).map(|fold| pair(&data.join("ml-100k"), &format!("u{fold}"))).collect()
}

fn ml_1m(data: &Path) -> Result<Vec<Split>, Failure> {
    Ok(vec![pair(&data.join("ml-1m"), "split90")?])
}

fn ml_latest_small(data: &Path) -> Result<Vec<Split>, Failure> {
    let ratings = read_ratings([&data.join("ml-latest-small/ratings.csv")], &ReadOptions::default())?;
    let split = |seed| {
        let (train, held) = ratings.clone().split(0.1, seed)?;
        Ok((train, held, None))
    };
    (0..5).map(split).collect()
}

fn planted(_: &Path) -> Result<Vec<Split>, Failure> {
    let split = Planted::new(6_040, 3_706, 1_000_000).generate()?.split(0.1, 0)?;
    Ok(vec![(split.train, split.test, Some(split.floor))])
}

fn call() -> Result<Call, Failure> {
    let usage = "usage: cargo bench --bench accuracy -- DATA [--device D] [--threads N] [--only TEXT]";
    let mut data = None;
    let mut call = Call {
        data: PathBuf::new(),
        device: DeviceChoice::Cpu,
        options: OpenOptions::default(),
        only: String::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(usage);
        match &*argument {
            // What `cargo bench` itself adds.
            "--bench" => {}
            "--device" => call.device = value()?.parse()?,
            "--threads" => call.options.threads = Some(value()?.parse()?),
            "--only" => call.only = value()?,
            _ if data.is_none() && !argument.starts_with('-') => data = Some(PathBuf::from(argument)),
            _ => return Err(usage.into()),
        }
    }
    call.data = data.ok_or(usage)?;
    Ok(call)
}
