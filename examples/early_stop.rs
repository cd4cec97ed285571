//! A rule of one's own for when to stop: here, once three epochs together gained next to nothing.
//!
//! `cargo run --release --example early_stop`

#![expect(clippy::print_stdout, reason = "an example prints")]

use deltav::event::until;
use deltav::{Event, Ratings, Trainer};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/ratings.csv");

fn main() -> deltav::Result<()> {
    let mut curve: Vec<f64> = Vec::new();
    let observer = until(|event| match event {
        Event::Epoch(epoch) => {
            curve.extend(epoch.valid_rmse);
            println!("{:>3}  {:.4}", epoch.epoch, epoch.valid_rmse.unwrap_or_default());
            // True ends training; the model is that of the best epoch so far.
            matches!(curve[..], [.., before, _, _, now] if before - now < 1e-3)
        }
        Event::Stopped(stopped) => {
            println!("stopped ({}) after epoch {}", stopped.reason.name(), stopped.last.epoch);
            false
        }
        _ => false,
    });
    // `patience` is the usual rule, and needs no closure.
    let ratings = Ratings::read(SAMPLE)?;
    let model = Trainer::new().rank(8).epochs(200).holdout(0.1).train(ratings, observer)?;
    println!("kept epoch {}", model.metadata.best_epoch.unwrap_or_default());
    Ok(())
}
