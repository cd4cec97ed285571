//! How often prediction intervals hold ratings that were never trained on.
//!
//! `cargo run --release --example coverage -- TRAIN TEST [SEED]`
//!
//! TEST `-` sets 10% of TRAIN aside instead. Another 10% of what is left is the
//! hold-out that calibrates. For three variants of one model it prints the
//! share of test ratings inside their interval, the intervals' mean width and
//! interval score, and how much the share differs between users.

#![allow(clippy::print_stdout, reason = "an example prints its answer")]

use deltav::backend::{DeviceChoice, OpenOptions, open};
use deltav::config::TrainConfig;
use deltav::data::{Held, IdMap, ReadOptions, read_ratings, read_triples};
use deltav::error::{Error, Result};
use deltav::event::Silent;
use deltav::model::{Level, Model, Posterior, interval_coverage};
use deltav::train::{Dataset, train};

/// A test rating with indices of the model.
type Rating = (Option<u32>, Option<u32>, f32);

fn main() -> Result<()> {
    let (data, seed) = read()?;
    let mut backend = open(DeviceChoice::default(), &OpenOptions::default())?.backend;
    let config = TrainConfig { seed, ..TrainConfig::default() };
    let model = train(config.check()?, &data, &mut *backend, &mut Silent)?;
    let test: Vec<Rating> = data.test.iter().flat_map(ratings).collect();
    println!("test RMSE {:.4}", model.metadata.metrics["test_rmse"]);

    let mut raw = model.clone();
    let mut even = model.clone();
    if let (Some(raw), Some(even)) = (&mut raw.posterior, &mut even.posterior) {
        raw.calibration = None;
        even.user_noise.fill(even.noise as f32);
    }
    if let Some(valid) = &data.valid {
        even.calibrate(valid);
    }
    for (name, model) in [("raw", &raw), ("calibrated", &model), ("calibrated, one noise for all", &even)] {
        let factor = model.posterior.as_ref().map_or(1.0, Posterior::factor);
        println!("\n{name}: factor {factor:.4}");
        for share in [0.5, 0.8, 0.9, 0.95, 0.99] {
            tell(&format!("{:.0}%", 100.0 * share), model, &test, Level::new(share)?);
        }
        println!("spread between users {:.4}", spread(model, &test));
    }
    by_count("item", &model, &test, &data.train.item_counts(), |rating| rating.1);
    by_count("user", &model, &test, &data.train.user_counts(), |rating| rating.0);
    Ok(())
}

fn read() -> Result<(Dataset, u64)> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [train_path, test_path, rest @ ..] = &arguments[..] else {
        return Err(Error::usage("two files are expected", "pass TRAIN TEST, or TRAIN -"));
    };
    let seed: u64 = rest.first().map_or(Ok(0), |seed| seed.parse()).map_err(|_| {
        Error::usage("the seed is not a whole number", "pass a seed such as 0, or leave it out")
    })?;
    let options = ReadOptions::default();
    let whole = read_ratings([train_path], &options)?;
    let (whole, test) = if test_path == "-" {
        whole.split(0.1, seed.wrapping_add(1000))?
    } else {
        let triples = read_triples([test_path], &options)?;
        let held = Held::from_triples(
            &triples,
            &IdMap::from(whole.users.clone()),
            &IdMap::from(whole.items.clone()),
        );
        (whole, held)
    };
    let (train, valid) = whole.split(0.1, seed)?;
    Ok((Dataset { train, valid: Some(valid), test: Some(test) }, seed))
}

fn ratings(held: &Held) -> impl Iterator<Item = Rating> {
    held.user.iter().zip(&held.item).zip(&held.value).map(|((&user, &item), &value)| (user, item, value))
}

fn tell(name: &str, model: &Model, test: &[Rating], level: Level) {
    if let Some(coverage) = interval_coverage(&model.predictor(), test.iter().copied(), level) {
        println!(
            "{name:>12}: {:>7} ratings, {:.4} inside, width {:.3}, score {:.3}",
            coverage.ratings, coverage.share, coverage.width, coverage.score
        );
    }
}

/// Standard deviation between users of the share inside an interval for 90%, less what chance
/// explains; of users with at least 10 test ratings.
fn spread(model: &Model, test: &[Rating]) -> f64 {
    let mut by_user = vec![Vec::new(); model.users.len()];
    for rating in test {
        if let Some(user) = rating.0 {
            by_user[user as usize].push(*rating);
        }
    }
    let predictor = model.predictor();
    let level = Level::calibrated();
    let (mut sum, mut users) = (0.0, 0.0);
    for own in by_user.into_iter().filter(|own| own.len() >= 10) {
        let chance = level.share() * (1.0 - level.share()) / own.len() as f64;
        if let Some(coverage) = interval_coverage(&predictor, own, level) {
            sum += (coverage.share - level.share()).powi(2) - chance;
            users += 1.0;
        }
    }
    (sum / users).max(0.0).sqrt()
}

fn by_count(side: &str, model: &Model, test: &[Rating], counts: &[u64], index: fn(&Rating) -> Option<u32>) {
    println!("\ncalibrated, 90%, by the {side}'s training ratings");
    for (least, end) in [(0, 1), (1, 20), (20, 50), (50, 150), (150, 400), (400, u64::MAX)] {
        let within =
            |rating: &&Rating| index(rating).is_some_and(|i| (least..end).contains(&counts[i as usize]));
        let part: Vec<Rating> = test.iter().filter(within).copied().collect();
        tell(&format!("from {least}"), model, &part, Level::calibrated());
    }
}
