//! Yesterday's model, today's ratings: what was learned is kept, what is new is learned.
//!
//! `cargo run --release --example warm_start`

#![expect(clippy::print_stdout, reason = "an example prints")]

use deltav::data::Duplicates;
use deltav::event::Epoch;
use deltav::{Event, Ratings, Result, Trainer};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/ratings.csv");

/// The training RMSE after each epoch, noted by a listener.
fn noting(curve: &mut Vec<f64>) -> impl FnMut(&Event) {
    |event| {
        if let Event::Epoch(Epoch { train_rmse: Some(rmse), .. }) = event {
            curve.push(*rmse);
        }
    }
}

fn main() -> Result<()> {
    let today = Ratings::read(SAMPLE)?;
    // Yesterday nobody had rated the last tenth of them.
    let then = today.iter().take(today.len() * 9 / 10);
    let triples = then.map(|(user, item, rating)| (today.users.get(user), today.items.get(item), rating));
    let yesterday = Ratings::from_triples(triples, Duplicates::Error)?;

    let trainer = Trainer::new().rank(8);
    let old = trainer.train(yesterday, |_: &Event| {})?;

    // The ids need not be in the same order: rows are found by id.
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    trainer.train(today.clone(), noting(&mut cold))?;
    let new = trainer.clone().start_from(&old).train(today, noting(&mut warm))?;
    println!("first epoch: {:.4} from the seed, {:.4} from yesterday's model", cold[0], warm[0]);
    println!("{} users and {} items in today's", new.users.len(), new.items.len());
    Ok(())
}
