//! Fold-in beside training: users that the model was trained on, and users that it never saw.

use deltav::config::{ModelKind, Reg, TrainConfig};
use deltav::data::Ratings;
use deltav::data::planted::Planted;
use deltav::event::Silent;
use deltav::model::{BiasBaseline, Model};
use deltav::train::{Dataset, train};

use crate::support::devices;

fn trained(config: TrainConfig, ratings: &Ratings) -> Model {
    let data = Dataset { train: ratings.clone(), valid: None, test: None };
    train(config.check().unwrap(), &data, &mut devices::cpu(2), &mut Silent).unwrap()
}

/// The ratings of some users, chosen by index; ids stay.
fn part(all: &Ratings, keep: impl Fn(usize) -> bool) -> Ratings {
    let kept: Vec<usize> = (0..all.len()).filter(|&p| keep(p)).collect();
    Ratings {
        users: all.users.clone(),
        items: all.items.clone(),
        user: kept.iter().map(|&p| all.user[p]).collect(),
        item: kept.iter().map(|&p| all.item[p]).collect(),
        value: kept.iter().map(|&p| all.value[p]).collect(),
        time: None,
    }
}

fn of_row(ratings: &Ratings, user: u32) -> Vec<(u32, f32)> {
    let all = (0..ratings.len()).filter(|&p| ratings.user[p] == user);
    all.map(|p| (ratings.item[p], ratings.value[p])).collect()
}

fn als(model: ModelKind, reg_bias: Option<f64>) -> TrainConfig {
    TrainConfig {
        optimizer: "als".to_owned(),
        model: Some(model),
        reg: Some(Reg::Fixed(1.5)),
        reg_bias,
        rank: 3,
        epochs: Some(400),
        ..TrainConfig::default()
    }
}

/// Where alternating least squares stands still, every row is the minimum given the other side.
#[test]
fn a_converged_model_s_rows_are_what_their_own_ratings_fold_in_to() {
    let ratings = Planted::new(40, 30, 600).rank(2).seed(5).generate().unwrap().ratings;
    for (model, reg_bias) in [
        (ModelKind::Plain, None),
        (ModelKind::Centered, None),
        (ModelKind::Biased, None),
        (ModelKind::Biased, Some(6.0)),
    ] {
        let model = trained(als(model, reg_bias), &ratings);
        let (predictor, k) = (model.predictor(), model.rank);
        let compare = |what: &str, row: u32, own: &[f32], bias: f32, folded: &deltav::model::FoldedIn| {
            let both = own.iter().chain([&bias]).zip(folded.factors.iter().chain([&folded.bias]));
            for (w, f) in both {
                assert!((w - f).abs() < 2e-4, "{} {what} {row}: {w} and {f}", model.kind.name());
            }
        };
        for user in 0..40 {
            let folded = predictor.fold_in_user(&of_row(&ratings, user)).unwrap();
            let own = &model.user_factors[user as usize * k..][..k];
            compare("user", user, own, model.user_bias[user as usize], &folded);
        }
        for item in 0..30 {
            let own = (0..ratings.len()).filter(|&p| ratings.item[p] == item);
            let own: Vec<(u32, f32)> = own.map(|p| (ratings.user[p], ratings.value[p])).collect();
            let folded = predictor.fold_in_item(&own).unwrap();
            let own = &model.item_factors[item as usize * k..][..k];
            compare("item", item, own, model.item_bias[item as usize], &folded);
        }
    }
}

/// The default: variances, learned priors and prior means take part.
#[test]
fn a_converged_posterior_folds_in_to_itself() {
    let ratings = Planted::new(60, 40, 1_500).rank(2).seed(8).generate().unwrap().ratings;
    for model in [ModelKind::Biased, ModelKind::Svdpp] {
        let config = TrainConfig { model: Some(model), rank: 3, epochs: Some(600), ..TrainConfig::default() };
        let model = trained(config, &ratings);
        let (predictor, k) = (model.predictor(), model.rank);
        let posterior = model.posterior.as_ref().unwrap();
        for user in 0..60 {
            let folded = predictor.fold_in_user(&of_row(&ratings, user)).unwrap();
            let row = user as usize * k..(user as usize + 1) * k;
            let uncertainty = folded.uncertainty.as_ref().unwrap();
            let own = model.user_factors[row.clone()].iter().chain([&model.user_bias[user as usize]]);
            for (w, f) in own.zip(folded.factors.iter().chain([&folded.bias])) {
                assert!((w - f).abs() < 5e-3, "{} user {user}: {w} and {f}", model.kind.name());
            }
            for (w, f) in posterior.user_variances[row].iter().zip(&uncertainty.variances) {
                assert!((w - f).abs() < 1e-2 * w + 1e-6, "{} user {user}: {w} and {f}", model.kind.name());
            }
            let noise = posterior.user_noise[user as usize];
            assert!((noise - uncertainty.noise).abs() < 1e-2 * noise, "{noise} and {}", uncertainty.noise);
        }
        for item in 0..40 {
            let own = (0..ratings.len()).filter(|&p| ratings.item[p] == item);
            let own: Vec<(u32, f32)> = own.map(|p| (ratings.user[p], ratings.value[p])).collect();
            let folded = predictor.fold_in_item(&own).unwrap();
            let row = item as usize * k..(item as usize + 1) * k;
            let uncertainty = folded.uncertainty.as_ref().unwrap();
            let own = model.item_factors[row.clone()].iter().chain([&model.item_bias[item as usize]]);
            for (w, f) in own.zip(folded.factors.iter().chain([&folded.bias])) {
                assert!((w - f).abs() < 5e-3, "{} item {item}: {w} and {f}", model.kind.name());
            }
            let own =
                posterior.item_variances[row].iter().chain([&posterior.item_bias_variances[item as usize]]);
            for (w, f) in own.zip(uncertainty.variances.iter().chain([&uncertainty.bias_variance])) {
                assert!((w - f).abs() < 1e-2 * w + 1e-6, "{} item {item}: {w} and {f}", model.kind.name());
            }
        }
    }
}

#[test]
fn users_left_out_of_the_training_are_predicted_nearly_as_well_as_those_in_it() {
    let all = Planted::new(600, 150, 24_000).rank(4).seed(3).generate().unwrap().ratings;
    // Every tenth rating is for the test, and every sixth user is new.
    let tested = |p: usize| p.is_multiple_of(10);
    let new = |user: u32| user.is_multiple_of(6);
    let shown = part(&all, |p| !tested(p));
    let train = part(&all, |p| !tested(p) && !new(all.user[p]));
    let baseline = BiasBaseline::fit(&train, BiasBaseline::DAMPING);
    for config in [
        TrainConfig { rank: 8, ..TrainConfig::default() },
        TrainConfig { rank: 4, epochs: Some(15), ..als(ModelKind::Biased, None) },
    ] {
        let whole = trained(config.clone(), &shown);
        let model = trained(config, &train);
        let (predictor, whole) = (model.predictor(), whole.predictor());
        let (mut old_errors, mut new_errors, mut bias_errors) = (Vec::new(), Vec::new(), Vec::new());
        for user in (0..all.users.len() as u32).filter(|&user| new(user)) {
            let ratings = of_row(&shown, user);
            let folded = predictor.fold_in_user(&ratings).unwrap();
            let offsets =
                ratings.iter().map(|&(item, rating)| f64::from(rating) - baseline.predict(None, Some(item)));
            let bias = offsets.sum::<f64>() / (BiasBaseline::DAMPING + ratings.len() as f64);
            for p in (0..all.len()).filter(|&p| tested(p) && all.user[p] == user) {
                let (item, rating) = (Some(all.item[p]), f64::from(all.value[p]));
                new_errors.push(rating - predictor.predict_for(&folded, item).rating);
                bias_errors.push(rating - (baseline.predict(None, item) + bias));
                old_errors.push(rating - whole.predict(Some(user), item).rating);
            }
        }
        let rmse = |errors: &[f64]| (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
        let (old, new, bias) = (rmse(&old_errors), rmse(&new_errors), rmse(&bias_errors));
        assert!(new_errors.len() > 300, "{}", new_errors.len());
        assert!(new < 1.04 * old, "{}: new users {new}, trained {old}", model.metadata.optimizer);
        assert!(new < 0.9 * bias, "{}: new users {new}, biases {bias}", model.metadata.optimizer);
    }
}
