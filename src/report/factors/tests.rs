//! Spectrum and map against dense algebra, neighbours against a full sort.

use super::*;
use crate::config::ModelKind;
use crate::model::Model;
use crate::model::testing::{known_answers, random_model};

/// The dense U·Vᵀ of whom and what the model knows.
fn product(model: &Model) -> DMatrix<f64> {
    let predictor = model.predictor();
    let users: Vec<u32> = (0..model.users.len() as u32).filter(|&user| predictor.knows_user(user)).collect();
    let items: Vec<u32> = (0..model.items.len() as u32).filter(|&item| predictor.knows_item(item)).collect();
    let row = |factors: &[f32], row: u32, f: usize| f64::from(factors[row as usize * model.rank + f]);
    DMatrix::from_fn(users.len(), items.len(), |u, i| {
        (0..model.rank)
            .map(|f| row(&model.user_factors, users[u], f) * row(&model.item_factors, items[i], f))
            .sum()
    })
}

#[test]
fn strengths_are_the_singular_values_of_the_dense_product() {
    for (seed, rank) in [(1, 1), (2, 5), (3, 12)] {
        let model = random_model(ModelKind::Biased, 25, 8, rank, 0.3, seed);
        let spectrum = Spectrum::new(&model.predictor()).unwrap();
        let dense = product(&model);
        let pairs = (dense.nrows() * dense.ncols()) as f64;
        let mut expected: Vec<f64> = dense.singular_values().iter().copied().collect();
        expected.sort_by(|a, b| b.total_cmp(a));
        expected.resize(rank, 0.0);
        for (found, value) in spectrum.strengths.iter().zip(&expected) {
            let value = model.scale * value / pairs.sqrt();
            assert!((found - value).abs() < 1e-7, "rank {rank}: {found} for {value}");
        }
        // Squares add up to the mean square of all products.
        let square: f64 = spectrum.strengths.iter().map(|strength| strength.powi(2)).sum();
        assert!((square - model.scale.powi(2) * dense.norm_squared() / pairs).abs() < 1e-9);
        assert!((1.0..=rank as f64 + 1e-9).contains(&spectrum.effective));
        assert!((1..=rank).contains(&spectrum.for_most));
    }
}

#[test]
fn the_map_keeps_distances_as_well_as_a_plane_can() {
    let model = random_model(ModelKind::Biased, 60, 20, 2, 0.5, 4);
    let predictor = model.predictor();
    let popular = by_popularity(&predictor);
    assert!(popular.is_sorted_by_key(|&item| std::cmp::Reverse(predictor.item_ratings(item))));
    let map = Map::new(&predictor, &popular).unwrap();
    assert!((map.shown[0] + map.shown[1] - 1.0).abs() < 1e-9, "two factors have two axes");
    // Then the plane is all there is: distances are those of the unit vectors.
    for a in &map.places {
        for b in &map.places {
            let [u, v] = [a, b].map(|place| direction(&predictor, place.item).unwrap());
            let apart = u.iter().zip(&v).map(|(u, v)| (u - v).powi(2)).sum::<f64>().sqrt();
            let found = ((a.x - b.x).powi(2) + (a.y - b.y).powi(2)).sqrt();
            assert!((found - apart).abs() < 1e-9, "{found} for {apart}");
        }
    }
    let deep = random_model(ModelKind::Biased, 60, 200, 40, 0.5, 4);
    let predictor = deep.predictor();
    let map = Map::new(&predictor, &by_popularity(&predictor)).unwrap();
    assert_eq!(map.places.len(), MAPPED);
    assert!(map.shown[0] >= map.shown[1] && map.shown[0] + map.shown[1] < 1.0);
    assert_eq!(Map::new(&predictor, &by_popularity(&predictor)), Some(map), "the same every time");
}

#[test]
fn what_has_no_plane_has_no_map() {
    let line = random_model(ModelKind::Biased, 30, 20, 1, 0.5, 1);
    let predictor = line.predictor();
    assert_eq!(Map::new(&predictor, &by_popularity(&predictor)), None, "one factor");
    let few = known_answers(ModelKind::Biased);
    let predictor = few.predictor();
    assert_eq!(Map::new(&predictor, &by_popularity(&predictor)), None, "two items");
    let mut zero = random_model(ModelKind::Biased, 30, 20, 4, 0.5, 1);
    zero.item_factors.fill(0.0);
    let predictor = zero.predictor();
    assert_eq!(Map::new(&predictor, &by_popularity(&predictor)), None, "no direction");
    assert_eq!(Spectrum::new(&predictor), None);
    assert_eq!(nearest(&predictor, &by_popularity(&predictor)).unwrap(), []);
    zero.item_factors.fill(1.0);
    let predictor = zero.predictor();
    assert_eq!(Map::new(&predictor, &by_popularity(&predictor)), None, "all alike");
}

#[test]
fn shown_items_are_popular_and_differ_and_have_their_nearest() {
    let model = random_model(ModelKind::Biased, 60, 90, 6, 0.3, 2);
    let predictor = model.predictor();
    let popular = by_popularity(&predictor);
    let shown = nearest(&predictor, &popular).unwrap();
    assert_eq!((shown.len(), shown[0].item), (SHOWN, popular[0]));
    let least = least_ratings(&predictor, &popular);
    for one in &shown {
        let near = popular.iter().filter(|&&item| item != one.item && predictor.item_ratings(item) >= least);
        let cosine = |other: u32| -> f64 {
            let [a, b] = [one.item, other].map(|item| direction(&predictor, item).unwrap());
            a.iter().zip(&b).map(|(a, b)| a * b).sum()
        };
        let mut expected: Vec<f64> = near.map(|&item| cosine(item)).collect();
        expected.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(one.neighbors.len(), NEIGHBORS);
        for (found, expected) in one.neighbors.iter().zip(expected) {
            assert!((found.similarity - expected).abs() < 1e-9);
        }
    }
    let wide = random_model(ModelKind::Biased, 60, 300, 6, 0.1, 2);
    let predictor = wide.predictor();
    let popular = by_popularity(&predictor);
    let median = predictor.item_ratings(popular[popular.len() / 2]);
    let two_hundredth = predictor.item_ratings(popular[CHOSEN_FROM]);
    assert_eq!(least_ratings(&predictor, &popular), median.max(two_hundredth.min(SURE)));
    let small = random_model(ModelKind::Biased, 20, 3, 2, 0.9, 2);
    let predictor = small.predictor();
    let shown = nearest(&predictor, &by_popularity(&predictor)).unwrap();
    assert_eq!(shown.len(), 3, "those that are alike fill up");
}
