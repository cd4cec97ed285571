//! From a file of ratings to a model, recommendations and a file of the model.
//!
//! `cargo run --release --example train -- ratings.csv`

#![expect(clippy::print_stdout, reason = "an example prints")]

use deltav::{Event, Ratings, Trainer};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/ratings.csv");

fn main() -> deltav::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| SAMPLE.to_owned());

    // Any format that the program reads. A bad line is an error with its number.
    let ratings = Ratings::read(&path)?;

    // A tenth is set aside to measure with. The library prints nothing: it tells of events.
    let model = Trainer::new().rank(16).holdout(0.1).train(ratings, |event: &Event| match event {
        Event::Loaded(loaded) => println!("{} ratings, on {}", loaded.ratings, loaded.device),
        Event::Epoch(epoch) => println!("{:>3}  {:.4}", epoch.epoch, epoch.valid_rmse.unwrap_or_default()),
        _ => {}
    })?;

    // Ids are what they were in the file, and any bytes.
    let predictor = model.predictor();
    let user = model.users.get(0);
    println!("for {}:", String::from_utf8_lossy(user));
    for best in predictor.recommend(user, 5, false)? {
        println!("  {}  {:.2}", model.items.text(best.item), best.score);
    }

    // Written whole or not at all, and over no other file unless forced.
    let saved = std::env::temp_dir().join("deltav-example.safetensors");
    println!("saved {} bytes", model.save(&saved, true)?);
    Ok(())
}
