//! Models for the tests of this module.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CurvePoint, MaskFactors, Metadata, Model, Posterior};
use crate::config::ModelKind;
use crate::data::{Compressed, Ids};

pub(crate) fn ids<T: AsRef<[u8]>>(ids: &[T]) -> Ids {
    let mut offsets = vec![0];
    let mut bytes = Vec::new();
    for id in ids {
        bytes.extend_from_slice(id.as_ref());
        offsets.push(bytes.len() as u64);
    }
    Ids::from_parts(bytes, offsets).unwrap()
}

pub(crate) fn pattern(rows: &[Vec<u32>]) -> Compressed {
    let mut offsets = vec![0];
    offsets.extend(rows.iter().scan(0, |end, row| {
        *end += row.len() as u64;
        Some(*end)
    }));
    Compressed { offsets, columns: rows.concat() }
}

fn metadata() -> Metadata {
    Metadata {
        version: "0.1.0".to_owned(),
        data_hash: "ab".repeat(32),
        ratings: 3,
        rating_min: 1.0,
        rating_max: 5.0,
        rating_mean: 3.5,
        seed: u64::MAX,
        optimizer: "gd".to_owned(),
        settings: BTreeMap::from([("rate".to_owned(), "0.1".to_owned())]),
        epochs: 4,
        best_epoch: None,
        metrics: BTreeMap::from([("train_rmse".to_owned(), 0.1 + 0.2)]),
        curve: [(0, None, None), (3, Some(1.0 / 3.0), None), (4, Some(0.3), Some(0.7))]
            .map(CurvePoint::from)
            .to_vec(),
        device: "cpu".to_owned(),
    }
}

/// Three users, three items, k = 2; `cid` and `z` have no training ratings.
/// Every number is a short binary fraction, so that answers are exact.
pub(crate) fn known_answers(kind: ModelKind) -> Model {
    let bias = |values: [f32; 3]| if kind.has_bias() { values.to_vec() } else { vec![0.0; 3] };
    let (mean, scale) = if kind == ModelKind::Plain { (0.0, 1.0) } else { (3.0, 2.0) };
    Model {
        kind,
        rank: 2,
        users: ids(&["ann", "bob", "cid"]),
        items: ids(&["x", "y", "z"]),
        user_factors: vec![1.0, 2.0, -1.0, 4.0, 8.0, 8.0],
        item_factors: vec![0.5, -0.25, 0.0, 0.5, 8.0, 8.0],
        user_bias: bias([0.25, -0.5, 8.0]),
        item_bias: bias([0.125, -0.5, 8.0]),
        mean,
        scale,
        clip: true,
        item_names: None,
        seen: pattern(&[vec![0], vec![0, 1], vec![]]),
        posterior: None,
        baseline: None,
        metadata: metadata(),
    }
}

/// Factors and biases in (−1, 1); each pair is in the training part with probability `density`.
pub(crate) fn random_model(
    kind: ModelKind,
    users: usize,
    items: usize,
    rank: usize,
    density: f64,
    seed: u64,
) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut numbers =
        |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let bias = if kind.has_bias() { 1.0 } else { 0.0 };
    let (user_factors, item_factors) = (numbers(users * rank), numbers(items * rank));
    let user_bias = numbers(users).iter().map(|b| b * bias).collect();
    let item_bias = numbers(items).iter().map(|b| b * bias).collect();
    let rows: Vec<Vec<u32>> =
        (0..users).map(|_| (0..items as u32).filter(|_| rng.random_bool(density)).collect()).collect();
    let (mean, scale) =
        if kind == ModelKind::Plain { (0.0, 1.0) } else { (3.0 + rng.random::<f64>(), rng.random()) };
    let name =
        |prefix: char, count: usize| -> Vec<String> { (0..count).map(|i| format!("{prefix}{i}")).collect() };
    let seen = pattern(&rows);
    let ratings = seen.columns.len() as u64;
    Model {
        kind,
        rank,
        users: ids(&name('u', users)),
        items: ids(&name('i', items)),
        user_factors,
        item_factors,
        user_bias,
        item_bias,
        mean,
        scale,
        clip: true,
        item_names: None,
        seen,
        posterior: None,
        baseline: None,
        metadata: Metadata { ratings, rating_mean: rng.random_range(1.0..5.0), ..metadata() },
    }
}

/// A posterior for [`known_answers`], of short binary fractions too.
pub(crate) fn known_posterior(kind: ModelKind) -> Posterior {
    let bias = |value: f64| if kind.has_bias() { value } else { 0.0 };
    let biases = |values: [f32; 3]| values.map(|value| bias(value.into()) as f32).to_vec();
    Posterior {
        noise: 0.25,
        user_noise: vec![0.25, 0.5, 8.0],
        calibration: None,
        user_variances: vec![0.5, 0.25, 0.125, 0.25, 8.0, 8.0],
        item_variances: vec![0.25, 0.125, 0.5, 0.25, 8.0, 8.0],
        user_bias_variances: biases([0.0625, 0.125, 8.0]),
        item_bias_variances: biases([0.03125, 0.25, 8.0]),
        user_prior: vec![1.0, 0.5],
        item_prior: vec![0.25, 2.0],
        user_bias_prior: bias(0.5),
        item_bias_prior: bias(0.25),
        mask: None,
    }
}

/// Positive variances up to 1; with the mask's factors if the kind has them.
pub(crate) fn random_posterior(model: &Model, seed: u64) -> Posterior {
    let (m, n, k) = (model.users.len(), model.items.len(), model.rank);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut numbers =
        |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(0.01..1.0)).collect() };
    let wide = |values: Vec<f32>| -> Vec<f64> { values.into_iter().map(f64::from).collect() };
    let bias = if model.kind.has_bias() { 1.0 } else { 0.0 };
    let mask = (model.kind == ModelKind::Svdpp)
        .then(|| MaskFactors { user_mask_factors: numbers(n * k), item_mask_factors: numbers(m * k) });
    Posterior {
        noise: 0.3,
        calibration: None,
        user_noise: numbers(m),
        user_variances: numbers(m * k),
        item_variances: numbers(n * k),
        user_bias_variances: numbers(m).iter().map(|b| b * bias).collect(),
        item_bias_variances: numbers(n).iter().map(|b| b * bias).collect(),
        user_prior: wide(numbers(k)),
        item_prior: wide(numbers(k)),
        user_bias_prior: f64::from(bias) * 0.4,
        item_bias_prior: f64::from(bias) * 0.2,
        mask,
    }
}
