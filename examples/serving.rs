//! A model in memory that answers requests from many threads: lists, neighbours, newcomers.
//!
//! `cargo run --release --example serving -- [model.safetensors]`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::thread;

use deltav::event::Silent;
use deltav::model::{Neighborhood, Predictor, TopN};
use deltav::{Model, Ratings, Result, Trainer};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/ratings.csv");

/// What somebody asks for.
enum Request<'a> {
    Recommend { user: &'a [u8] },
    Similar { item: &'a [u8] },
    Newcomer { ratings: Vec<(&'a [u8], f32)> },
}

/// An answer takes microseconds, and changes nothing: threads share the predictor.
fn answer(predictor: &Predictor<'_>, request: &Request<'_>) -> Result<String> {
    let items = &predictor.model().items;
    let listed = |indices: Vec<u32>| {
        indices.into_iter().map(|item| items.text(item).into_owned()).collect::<Vec<_>>().join(", ")
    };
    let text = match request {
        Request::Recommend { user } => {
            let list = predictor.recommend(user, 3, false)?;
            format!("recommended: {}", listed(list.iter().map(|best| best.item).collect()))
        }
        Request::Similar { item } => {
            let wanted = Neighborhood { n: 3, ..Neighborhood::default() };
            let list = predictor.similar_items(predictor.known_item(item)?, &wanted)?;
            format!("similar: {}", listed(list.iter().map(|neighbor| neighbor.index).collect()))
        }
        // Nobody trains anew: the newcomer's factors follow from the ratings.
        Request::Newcomer { ratings } => {
            let known = ratings.iter().filter_map(|(id, rating)| Some((predictor.item(id)?, *rating)));
            let row = predictor.fold_in_user(&known.collect::<Vec<_>>())?;
            let list = predictor.recommend_for(&row, &TopN { n: 3, ..TopN::default() });
            format!("for a newcomer: {}", listed(list.iter().map(|scored| scored.index).collect()))
        }
    };
    Ok(text)
}

fn main() -> Result<()> {
    let model = match std::env::args_os().nth(1) {
        Some(path) => Model::load(path)?,
        None => Trainer::new().rank(8).train(Ratings::read(SAMPLE)?, Silent)?,
    };
    // Made once: it knows who has rated what, and looks ids up.
    let predictor = model.predictor();
    let (user, item) = (model.users.get(0), model.items.get(0));
    let requests = [
        Request::Recommend { user },
        Request::Similar { item },
        Request::Newcomer { ratings: vec![(item, 5.0)] },
        Request::Recommend { user: b"nobody" },
    ];
    thread::scope(|scope| {
        let threads = requests.each_ref().map(|request| scope.spawn(|| answer(&predictor, request)));
        for thread in threads {
            match thread.join().expect("an answer is an answer or an error, never a panic") {
                Ok(answer) => println!("{answer}"),
                // One line, with what to do.
                Err(error) => println!("refused: {error}"),
            }
        }
    });
    Ok(())
}
