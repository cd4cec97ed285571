//! Against the definition, written out in dense f64, and against answers by hand.

mod definition;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::testing::{ids, known_answers, known_posterior, pattern, random_model, random_posterior};
use super::*;
use crate::config::ModelKind;

use self::definition::Definition;

/// A model with a fixed penalty.
fn with_settings(mut model: Model, settings: &[(&str, &str)]) -> Model {
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    model.metadata.settings.extend(settings);
    model
}

/// Every kind, fixed and learned.
fn models() -> Vec<Model> {
    let mut models = Vec::new();
    for (seed, kind) in (0..8).zip(ModelKind::ALL.into_iter().cycle()) {
        let model = random_model(kind, 14, 17, [3, 5, 1, 8][seed as usize % 4], 0.5, seed);
        let scaling = ["sqrt", "none", "count"][seed as usize % 3];
        let fixed = [("reg", "0.7"), ("reg_scaling", scaling)];
        models.push(with_settings(model.clone(), &fixed));
        models.push(with_settings(model.clone(), &[&fixed[..], &[("reg_bias", "3")]].concat()));
        models.push(Model { posterior: Some(random_posterior(&model, seed)), ..model });
    }
    models
}

/// Ratings of some rows of the other side, one of them unknown.
fn ratings(model: &Model, side: Side, count: usize, seed: u64) -> Vec<(u32, f32)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows = if side == Side::Users { model.items.len() } else { model.users.len() } as u32;
    let mut all: Vec<u32> = (0..rows).chain([rows + 7]).collect();
    all.shuffle(&mut rng);
    all.into_iter().take(count).map(|index| (index, rng.random_range(0.5..5.0))).collect()
}

fn fold_in(model: &Model, side: Side, ratings: &[(u32, f32)]) -> Result<FoldedIn> {
    match side {
        Side::Users => model.predictor().fold_in_user(ratings),
        Side::Items => model.predictor().fold_in_item(ratings),
    }
}

fn solution(row: &FoldedIn) -> Vec<f64> {
    row.factors.iter().chain([&row.bias]).map(|&w| f64::from(w)).collect()
}

#[test]
fn a_folded_row_is_the_dense_solution() {
    for (number, model) in models().iter().enumerate() {
        for side in [Side::Users, Side::Items] {
            for count in [1, 2, 5, 15] {
                let ratings = ratings(model, side, count, number as u64);
                let row = fold_in(model, side, &ratings).unwrap();
                assert_eq!(row.rated.len() as u64 + row.unknown, ratings.len() as u64);
                let definition = Definition::of(model, side, &ratings);
                if definition.cells.is_empty() {
                    assert!(solution(&row).iter().all(|&w| w == 0.0));
                    continue;
                }
                let expected = definition.minimum();
                for (f, (w, expected)) in solution(&row).iter().zip(&expected).enumerate() {
                    let near = (w - expected).abs() <= 1e-6 * (1.0 + expected.abs());
                    assert!(near, "model {number}, {side:?}, {count} ratings, {f}: {w} for {expected}");
                }
                let Some(uncertainty) = &row.uncertainty else {
                    assert_eq!(model.posterior, None);
                    continue;
                };
                let noise = model.posterior.as_ref().unwrap().noise;
                let (h, _) = definition.equations();
                for (f, &variance) in uncertainty.variances.iter().enumerate() {
                    assert!((f64::from(variance) * h[f][f] / noise - 1.0).abs() < 1e-5);
                }
                let bias = if definition.bias { noise / h[model.rank][model.rank] } else { 0.0 };
                assert!((f64::from(uncertainty.bias_variance) - bias).abs() < 1e-6);
                // E(e²) of independent factors, summed up cell by cell.
                let (n, k) = (definition.cells.len() as f64, model.rank);
                let energy: f64 = definition
                    .cells
                    .iter()
                    .map(|cell| {
                        let product: f64 = (0..k).map(|f| cell.x[f] * expected[f]).sum();
                        let unsure: f64 = (0..k)
                            .map(|f| {
                                let (v, dv, u) = (cell.x[f], cell.variances[f], expected[f]);
                                let du = noise / h[f][f];
                                du * v * v + u * u * dv + du * dv
                            })
                            .sum();
                        (cell.y - product - expected[k]).powi(2) + unsure + cell.bias_variance + bias
                    })
                    .sum();
                let own = if side == Side::Users { (10.0 * noise + energy) / (10.0 + n) } else { noise };
                assert!((f64::from(uncertainty.noise) / own - 1.0).abs() < 1e-5, "{uncertainty:?}, {own}");
            }
        }
    }
}

#[test]
fn the_objective_is_flat_where_the_row_lies() {
    for (number, model) in models().iter().enumerate() {
        for side in [Side::Users, Side::Items] {
            let ratings = ratings(model, side, 12, 100 + number as u64);
            let row = fold_in(model, side, &ratings).unwrap();
            let definition = Definition::of(model, side, &ratings);
            let w = solution(&row);
            let (h, _) = definition.equations();
            for f in 0..h.len() {
                let moved = |by: f64| {
                    let mut w = w.clone();
                    w[f] += by;
                    definition.objective(&w)
                };
                // Exact for a parabola, but for rounding: that of the row to f32, and of the objective.
                let gradient = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                assert!(gradient.abs() < 1e-5 * (1.0 + h[f][f]), "model {number}, {side:?}, {f}: {gradient}");
            }
        }
    }
}

#[test]
fn at_rank_1_the_answer_is_a_quotient() {
    let model = Model {
        kind: ModelKind::Centered,
        rank: 1,
        users: ids(&["a", "b"]),
        items: ids(&["x", "y"]),
        user_factors: vec![1.0, 1.0],
        item_factors: vec![2.0, -1.0],
        user_bias: vec![0.0; 2],
        item_bias: vec![0.0; 2],
        mean: 3.0,
        scale: 2.0,
        seen: pattern(&[vec![0, 1], vec![0]]),
        ..known_answers(ModelKind::Centered)
    };
    // y = 1 and −½: (1·2 + ½·1) / (2² + 1² + λ), λ = 3·√2 or 3.
    for (scaling, lambda) in [("sqrt", 3.0 * 2_f64.sqrt()), ("none", 3.0), ("count", 6.0)] {
        let model = with_settings(model.clone(), &[("reg", "3"), ("reg_scaling", scaling)]);
        let row = model.predictor().fold_in_user(&[(0, 5.0), (1, 2.0)]).unwrap();
        assert!((f64::from(row.factors[0]) - 2.5 / (5.0 + lambda)).abs() < 1e-7, "{row:?}");
        let predicted = model.predictor().predict_for(&row, Some(0)).unclipped;
        assert!((predicted - (3.0 + 2.0 * 2.0 * f64::from(row.factors[0]))).abs() < 1e-12);
    }
    let mut learned = model.clone();
    learned.posterior = Some(Posterior {
        noise: 0.5,
        item_variances: vec![0.25, 0.75],
        user_variances: vec![1.0; 2],
        user_noise: vec![0.5; 2],
        user_bias_variances: vec![0.0; 2],
        item_bias_variances: vec![0.0; 2],
        user_prior: vec![0.25],
        item_prior: vec![1.0],
        ..known_posterior(ModelKind::Centered)
    });
    // ρ = ½ / ¼ = 2, Σ x̃ = 1.
    let row = learned.predictor().fold_in_user(&[(0, 5.0), (1, 2.0)]).unwrap();
    assert!((f64::from(row.factors[0]) - 2.5 / 8.0).abs() < 1e-7, "{row:?}");
    assert_eq!(row.uncertainty.unwrap().variances, [0.5 / 8.0]);
}

#[test]
fn the_order_of_the_ratings_changes_no_bit() {
    for (number, model) in models().iter().enumerate() {
        let mut ratings = ratings(model, Side::Users, 13, number as u64);
        ratings.push(ratings[3]);
        let row = fold_in(model, Side::Users, &ratings).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..4 {
            ratings.shuffle(&mut rng);
            assert_eq!(fold_in(model, Side::Users, &ratings).unwrap(), row);
        }
    }
}

#[test]
fn other_units_of_the_ratings_give_the_same_row() {
    for model in models().iter().filter(|model| model.kind != ModelKind::Plain) {
        let ratings = ratings(model, Side::Users, 9, 4);
        let row = fold_in(model, Side::Users, &ratings).unwrap();
        // Twice the rating and 10 more: in a model of such ratings the same taste.
        let other = Model { mean: 2.0 * model.mean + 10.0, scale: 2.0 * model.scale, ..model.clone() };
        let moved: Vec<(u32, f32)> = ratings.iter().map(|&(item, r)| (item, 2.0 * r + 10.0)).collect();
        let same = fold_in(&other, Side::Users, &moved).unwrap();
        for (a, b) in solution(&row).iter().zip(solution(&same)) {
            assert!((a - b).abs() < 1e-5 * (1.0 + a.abs()), "{a} and {b}");
        }
    }
}

#[test]
fn someone_of_whom_nothing_is_known_gets_the_prior_and_what_most_people_like() {
    for model in models() {
        let predictor = model.predictor();
        for ratings in [&[][..], &[(999, 5.0), (u32::MAX, 1.0)]] {
            let row = predictor.fold_in_user(ratings).unwrap();
            assert!(row.factors.iter().all(|&w| w == 0.0) && row.bias == 0.0);
            assert_eq!((row.unknown, row.rated.len()), (ratings.len() as u64, 0));
            if let (Some(posterior), Some(uncertainty)) = (&model.posterior, &row.uncertainty) {
                for (variance, prior) in uncertainty.variances.iter().zip(&posterior.user_prior) {
                    assert!((f64::from(*variance) / prior - 1.0).abs() < 1e-6);
                }
                assert_eq!(uncertainty.noise, posterior.noise as f32);
            }
            for item in 0..model.items.len() as u32 {
                assert_eq!(predictor.predict_for(&row, Some(item)), predictor.predict(None, Some(item)));
            }
            let list = predictor.recommend_for(&row, &TopN { n: 5, ..TopN::default() });
            assert_eq!(list.len(), 5);
            let best = |item: u32| if model.kind.has_bias() { model.item_bias[item as usize] } else { 0.0 };
            let most = (0..model.items.len() as u32).filter(|&item| predictor.knows_item(item));
            let most = most.max_by(|&a, &b| best(a).total_cmp(&best(b)).then(b.cmp(&a))).unwrap();
            assert_eq!(list[0].index, most);
            assert_eq!(list[0].score, predictor.predict(None, Some(most)).rating);
        }
    }
}

#[test]
fn lists_are_what_a_full_sort_of_the_predictions_gives() {
    for (number, model) in models().iter().enumerate() {
        let model = Model { clip: number % 2 == 0, ..model.clone() };
        let predictor = model.predictor();
        for side in [Side::Users, Side::Items] {
            let row = fold_in(&model, side, &ratings(&model, side, 6, number as u64)).unwrap();
            let rows = if side == Side::Users { model.items.len() } else { model.users.len() } as u32;
            let some = Some(vec![9, 2, 2, 999, 4]);
            for (n, include_seen, candidates, exclude) in [
                (0, true, None, vec![]),
                (1, false, None, vec![]),
                (4, true, None, vec![3, 700, 3]),
                (usize::MAX, false, None, vec![]),
                (usize::MAX, false, some.clone(), vec![]),
                (usize::MAX, true, some, vec![4, 1]),
                (3, true, Some(vec![]), vec![]),
            ] {
                let allowed = |other: &u32| {
                    candidates.as_ref().is_none_or(|some| some.contains(other)) && !exclude.contains(other)
                };
                let mut expected: Vec<(u32, Prediction)> = (0..rows)
                    .map(|other| (other, predictor.predict_for(&row, Some(other))))
                    .filter(|(_, prediction)| prediction.unknown.is_none())
                    .filter(|(other, _)| include_seen || !row.rated.contains(other))
                    .filter(|(other, _)| allowed(other))
                    .collect();
                expected.sort_by(|a, b| b.1.unclipped.total_cmp(&a.1.unclipped).then(a.0.cmp(&b.0)));
                expected.truncate(n);
                let query = TopN { n, include_seen, candidates, exclude };
                let list = predictor.recommend_for(&row, &query);
                assert!(n > 4 || list.capacity() <= 2 * n, "room for what is not listed");
                let list: Vec<(u32, f64)> = list.iter().map(|s| (s.index, s.score)).collect();
                let expected: Vec<(u32, f64)> = expected.iter().map(|(o, p)| (*o, p.rating)).collect();
                assert_eq!(list, expected, "model {number}, {side:?}");
            }
        }
    }
}

/// A row that is put into the model predicts as it does outside of it.
#[test]
fn a_folded_user_predicts_as_one_of_the_model_s() {
    for model in models() {
        let ratings = ratings(&model, Side::Users, 9, 11);
        let row = fold_in(&model, Side::Users, &ratings).unwrap();
        let mut inside = model.clone();
        let k = model.rank;
        inside.user_factors[..k].copy_from_slice(&row.factors);
        inside.user_bias[0] = row.bias;
        let mut rows: Vec<Vec<u32>> = (0..14).map(|user| model.seen_by(user).to_vec()).collect();
        rows[0].clone_from(&row.rated);
        inside.seen = pattern(&rows);
        if let (Some(posterior), Some(uncertainty)) = (&mut inside.posterior, &row.uncertainty) {
            posterior.user_variances[..k].copy_from_slice(&uncertainty.variances);
            posterior.user_bias_variances[0] = uncertainty.bias_variance;
            posterior.user_noise[0] = uncertainty.noise;
        }
        let (predictor, inside) = (model.predictor(), inside.predictor());
        for item in (0..17).filter(|&item| predictor.knows_item(item) && inside.knows_item(item)) {
            assert_eq!(predictor.predict_for(&row, Some(item)), inside.predict(Some(0), Some(item)));
        }
        let (unknown, expected) = (predictor.predict_for(&row, None), inside.predict(Some(0), None));
        assert_eq!((unknown.rating, unknown.unknown), (expected.rating, Some(Part::Item)));
    }
}

#[test]
fn ratings_beyond_bounds_are_refused() {
    for model in models() {
        for rating in [f32::NAN, f32::INFINITY] {
            assert_eq!(fold_in(&model, Side::Users, &[(0, rating)]).unwrap_err().exit_code(), 2);
        }
        let small = Model { scale: f64::MIN_POSITIVE, ..model.clone() };
        let known = (0..17).find(|&item| model.predictor().knows_item(item)).unwrap();
        assert_eq!(fold_in(&small, Side::Users, &[(known, f32::MAX)]).unwrap_err().exit_code(), 2);
        let flat = Model { scale: 0.0, ..model };
        assert!(fold_in(&flat, Side::Users, &[(known, 3.0)]).is_ok());
    }
}

#[test]
fn without_a_penalty_the_shortest_of_the_solutions_is_taken() {
    let model = random_model(ModelKind::Plain, 9, 12, 6, 0.9, 2);
    let model = with_settings(model, &[("reg", "0"), ("reg_scaling", "none")]);
    // Fewer ratings than factors: all of them are met, and w lies in the span of the x.
    let ratings = [(1, 4.0), (5, 2.0)];
    let row = model.predictor().fold_in_user(&ratings).unwrap();
    for (item, rating) in ratings {
        let predicted = model.predictor().predict_for(&row, Some(item)).unclipped;
        assert!((predicted - f64::from(rating)).abs() < 1e-3, "{predicted} for {rating}");
    }
    let x = |item: usize| &model.item_factors[item * 6..][..6];
    let [aa, ab, bb] = [dot(x(1), x(1)), dot(x(1), x(5)), dot(x(5), x(5))];
    let determinant = aa * bb - ab * ab;
    let (p, q) = ((4.0 * bb - 2.0 * ab) / determinant, (2.0 * aa - 4.0 * ab) / determinant);
    for f in 0..6 {
        let shortest = p * f64::from(x(1)[f]) + q * f64::from(x(5)[f]);
        assert!((f64::from(row.factors[f]) - shortest).abs() < 1e-3, "{} for {shortest}", row.factors[f]);
    }
}

#[test]
fn models_that_do_not_say_how_they_were_trained_are_refused() {
    let plain = random_model(ModelKind::Biased, 5, 6, 2, 0.9, 1);
    let refused = |settings: &[(&str, &str)]| {
        let error = fold_in(&with_settings(plain.clone(), settings), Side::Users, &[(0, 3.0)]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refused(&[]).starts_with("the model's file does not say how it was regularized; "));
    assert!(refused(&[("reg", "-1")]).starts_with("the model's file does not say"));
    assert!(refused(&[("reg", "1"), ("average", "3")]).starts_with("an average of models can't fold in"));
    let wide = random_model(ModelKind::Biased, 1, 1, MAX_RANK + 1, 1.0, 1);
    for model in [
        with_settings(wide.clone(), &[("reg", "1")]),
        Model { posterior: Some(random_posterior(&wide, 1)), ..wide },
    ] {
        let error = fold_in(&model, Side::Users, &[(0, 3.0)]).unwrap_err().to_string();
        assert!(error.starts_with("an average of models can't fold in"), "{error}");
    }
    let learned = [("reg", "auto"), ("warm-up", "3")];
    assert!(refused(&learned).starts_with("the model learned its regularization, but its file"));
    // Four epochs ran, and the best of them was still in the warm-up: λ = 0.8·√n.
    let mut warm = with_settings(plain.clone(), &learned);
    warm.metadata.best_epoch = Some(3);
    let fixed = with_settings(plain, &[("reg", "0.8"), ("reg_scaling", "sqrt")]);
    let ratings = [(0, 3.0), (2, 5.0)];
    assert_eq!(
        fold_in(&warm, Side::Users, &ratings).unwrap(),
        fold_in(&fixed, Side::Users, &ratings).unwrap()
    );
}
