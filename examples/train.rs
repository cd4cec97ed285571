//! Trains on a file of ratings with a listener of its own, and recommends.
//!
//! `cargo run --release --example train -- ratings.csv`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::path::PathBuf;

use deltav::backend::{DeviceChoice, OpenOptions, open};
use deltav::config::TrainConfig;
use deltav::data::{ReadOptions, read_ratings};
use deltav::event::Event;
use deltav::train::{Dataset, train};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).map(PathBuf::from).ok_or("pass a file of ratings")?;

    // A bad line is an error with its number; a tenth is set aside to measure with.
    let ratings = read_ratings([&path], &ReadOptions::default())?;
    let (ratings, held) = ratings.split(0.1, 0)?;
    let data = Dataset { train: ratings, valid: Some(held), test: None };

    // Only a checked configuration trains. The library prints nothing by itself.
    let config = TrainConfig { rank: 16, ..TrainConfig::default() }.check()?;
    let opened = open(DeviceChoice::Auto, &OpenOptions::default())?;
    let mut device = opened.backend;
    let mut listener = |event: &Event| match event {
        Event::Loaded(loaded) => println!("{} ratings, on {}", loaded.ratings, loaded.device),
        Event::Epoch(epoch) => {
            let rmse = epoch.valid_rmse.map_or_else(String::new, |rmse| format!("{rmse:.4}"));
            println!("{:>3}  {rmse}", epoch.epoch);
        }
        _ => {}
    };
    let model = train(config, &data, &mut *device, &mut listener)?;

    // Ids are what they were in the file.
    let predictor = model.predictor();
    let known = (0..model.users.len() as u32).find(|&user| predictor.knows_user(user));
    let user = known.ok_or("no user has a training rating")?;
    println!("for {}:", model.users.text(user));
    for best in predictor.recommend_index(user, 5, false) {
        println!("  {}  {:.2}", model.items.text(best.item), best.score);
    }
    Ok(())
}
