//! Rankings that explore, against the posterior that they explore.

use super::super::Model;
use super::super::testing::{known_answers, random_model, random_posterior};
use super::*;
use crate::config::ModelKind;

fn uncertain(kind: ModelKind, seed: u64) -> Model {
    let mut model = random_model(kind, 6, 40, 5, 0.4, seed);
    model.posterior = Some(random_posterior(&model, seed));
    model
}

#[test]
fn ucb_with_z_0_is_recommend() {
    for (seed, kind) in (0..8).zip(ModelKind::ALL.into_iter().cycle()) {
        let model = uncertain(kind, seed);
        let predictor = model.predictor();
        for user in 0..6 {
            for include_seen in [false, true] {
                let list = predictor.explore_index(user, 10, include_seen, Explore::Ucb { z: 0.0 }).unwrap();
                let plain = predictor.recommend_index(user, 10, include_seen);
                let pairs: Vec<_> = list.iter().map(|e| (e.item, e.score)).collect();
                assert_eq!(pairs, plain.iter().map(|r| (r.item, r.score)).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn ucb_ranks_by_the_upper_bound() {
    let model = uncertain(ModelKind::Svdpp, 3);
    let predictor = model.predictor();
    for z in [-1.5, 0.5, 1.0, 3.0] {
        let list = predictor.explore_index(2, usize::MAX, true, Explore::Ucb { z }).unwrap();
        let mut expected: Vec<(u32, f64)> = (0..40)
            .filter(|&item| predictor.knows_item(item))
            .map(|item| {
                let prediction = predictor.predict(Some(2), Some(item));
                (item, prediction.unclipped + z * prediction.mean_std.unwrap())
            })
            .collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        assert_eq!(
            list.iter().map(|e| e.item).collect::<Vec<_>>(),
            expected.iter().map(|e| e.0).collect::<Vec<_>>()
        );
        for (explored, (item, bound)) in list.iter().zip(expected) {
            assert!((explored.ranked_by - bound).abs() < 1e-12);
            assert_eq!(explored.score, predictor.predict(Some(2), Some(item)).rating);
        }
    }
}

#[test]
fn a_seed_gives_a_user_one_list() {
    let model = uncertain(ModelKind::Biased, 5);
    let predictor = model.predictor();
    let list = |user: u32, n: usize, include_seen: bool, seed: u64| {
        predictor.explore_index(user, n, include_seen, Explore::Thompson { seed }).unwrap()
    };
    let whole = list(1, 40, true, 7);
    assert_eq!(whole, list(1, 40, true, 7));
    assert_eq!(whole[..5], list(1, 5, true, 7));
    // Leaving out what was seen changes no draw.
    let unseen = list(1, 40, false, 7);
    assert!(!unseen.is_empty() && unseen.len() < whole.len());
    let kept: Vec<_> = whole.iter().filter(|e| unseen.iter().any(|u| u.item == e.item)).copied().collect();
    assert_eq!(kept, unseen);
    assert_ne!(whole, list(1, 40, true, 8));
    assert_ne!(whole, list(1, 40, true, 7 + (1 << 32)), "the upper half of the seed counts");
    assert_ne!(whole, list(2, 40, true, 7));
    let first: std::collections::HashSet<u32> = (0..50).map(|seed| list(1, 1, true, seed)[0].item).collect();
    assert!(first.len() > 3, "{first:?}");
}

#[test]
fn thompson_draws_are_the_posterior_s() {
    let model = uncertain(ModelKind::Svdpp, 9);
    let posterior = model.posterior.as_ref().unwrap();
    let predictor = model.predictor();
    let items: Vec<usize> =
        (0..40).filter(|&item| predictor.knows_item(item)).map(|item| item as usize).collect();
    let (one, two) = (items[0], items[1]);
    let draws = 40_000;
    let (mut sums, mut squares, mut product) = ([0.0; 40], [0.0; 40], 0.0);
    for seed in 0..draws {
        let list = predictor.explore_index(3, 40, true, Explore::Thompson { seed }).unwrap();
        let mut drawn = [0.0; 40];
        for explored in list {
            let item = explored.item as usize;
            drawn[item] = explored.ranked_by - predictor.unclipped(3, item);
            sums[item] += drawn[item];
            squares[item] += drawn[item] * drawn[item];
        }
        product += drawn[one] * drawn[two];
    }
    let mean = |sum: f64| sum / draws as f64;
    for item in items {
        let std = predictor.predict(Some(3), Some(item as u32)).mean_std.unwrap();
        assert!(mean(sums[item]).abs() < 0.025 * std, "item {item}: {} of {std}", mean(sums[item]));
        let drawn = mean(squares[item]).sqrt();
        assert!((drawn / std - 1.0).abs() < 0.02, "item {item}: {drawn} for {std}");
    }
    // Two items share the user's draw and nothing else: Cov = s²·(Σ ũ·v̄₁·v̄₂ + b̃).
    let shared: f64 = (0..5)
        .map(|f| {
            let (v, w) = (model.item_factors[one * 5 + f], model.item_factors[two * 5 + f]);
            f64::from(posterior.user_variances[3 * 5 + f]) * f64::from(v) * f64::from(w)
        })
        .sum();
    let expected = model.scale.powi(2) * (shared + f64::from(posterior.user_bias_variances[3]));
    let scale = (mean(squares[one]) * mean(squares[two])).sqrt();
    assert!((mean(product) - expected).abs() < 0.03 * scale, "{} for {expected}", mean(product));
}

#[test]
fn what_can_t_be_explored_is_refused_in_one_line() {
    let model = known_answers(ModelKind::Biased);
    let error = model.predictor().explore(b"ann", 3, true, Explore::Ucb { z: 1.0 }).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().starts_with("the model knows nothing of its uncertainty; train it with --reg auto"),
        "{error}"
    );
    let model = uncertain(ModelKind::Biased, 1);
    let predictor = model.predictor();
    for z in [f64::NAN, f64::INFINITY] {
        assert_eq!(predictor.explore(b"u1", 3, true, Explore::Ucb { z }).unwrap_err().exit_code(), 2);
    }
    let error = predictor.explore(b"nobody", 3, true, Explore::Thompson { seed: 1 }).unwrap_err();
    assert!(error.to_string().contains("\"nobody\" is not in the model"), "{error}");
    assert!(predictor.explore_index(99, 3, true, Explore::Thompson { seed: 1 }).unwrap().is_empty());
}
