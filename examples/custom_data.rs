//! Ratings of one's own: from memory, a database or a queue rather than from a file.
//!
//! `cargo run --release --example custom_data`

#![expect(clippy::print_stdout, reason = "an example prints")]

use deltav::data::Duplicates;
use deltav::event::Silent;
use deltav::{Ratings, Trainer};

/// What the shop knows.
struct Purchase {
    customer: u64,
    product: &'static str,
    stars: Option<u8>,
}

/// What some query would return.
fn purchases() -> impl Iterator<Item = Purchase> {
    const PRODUCTS: [&str; 6] = ["Assam", "Darjeeling", "Ceylon", "espresso", "mocha", "latte"];
    (0..300).map(|n| {
        let (customer, product) = (n % 30, n / 30 % 6);
        // The even ones drink tea, the odd ones coffee; a few don't say.
        let likes = (customer % 2 == 0) == (product < 3);
        let stars = if likes { 5 - u8::from(n % 7 == 0) } else { 1 + u8::from(n % 5 == 0) };
        Purchase { customer, product: PRODUCTS[product as usize], stars: (n % 11 != 0).then_some(stars) }
    })
}

fn main() -> deltav::Result<()> {
    // Ids may be any bytes. Who bought twice counts once, with the mean of both.
    let triples = purchases().filter_map(|purchase| {
        Some((purchase.customer.to_string(), purchase.product, f32::from(purchase.stars?)))
    });
    let ratings = Ratings::from_triples(triples, Duplicates::Mean)?;
    println!(
        "{} customers, {} products, {} ratings",
        ratings.users.len(),
        ratings.items.len(),
        ratings.len()
    );

    let model = Trainer::new().rank(4).train(ratings, Silent)?;
    let predictor = model.predictor();
    for product in ["Assam", "mocha"] {
        let prediction = predictor.predict_ids(b"2", product.as_bytes());
        println!("customer 2, {product}: {:.1}", prediction.rating);
    }
    Ok(())
}
