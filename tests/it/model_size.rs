//! The size of a model's file, told before training.

use deltav::config::{Keep, ModelKind, TrainConfig};
use deltav::data::{IdMap, Ids, Ratings};
use deltav::event::Silent;
use deltav::model::Model;
use deltav::train::{Dataset, train};

use crate::support::{devices, problems};

/// The estimate and the bytes of the file.
fn sizes(config: &TrainConfig, ratings: &Ratings, names: Option<Ids>) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let checked = config.clone().check().unwrap();
    let estimate = Model::estimate_bytes(&checked, ratings, names.as_ref());
    let (train_part, valid) = ratings.clone().split(0.1, 1).unwrap();
    let data = Dataset { train: train_part, valid: Some(valid), test: None };
    let mut model = train(checked, &data, &mut devices::cpu(2), &mut Silent).unwrap();
    model.item_names = names;
    (estimate, model.save(folder.path().join("a.model"), false).unwrap())
}

fn names(items: usize) -> Ids {
    let mut map = IdMap::new();
    for item in 0..items {
        map.get_or_insert(format!("The film number {item} – Ω").as_bytes()).unwrap();
    }
    map.into_ids()
}

#[test]
fn no_file_is_larger_than_its_estimate_and_none_much_smaller() {
    let ratings = problems::random(400, 150, 0.1, 3);
    for model in ModelKind::ALL.into_iter().map(Some).chain([None]) {
        for (optimizer, epochs, average, rank) in [
            ("line-search", 0, 1, 8),
            ("line-search", 12, 1, 64),
            ("line-search", 12, 3, 16),
            ("gd", 300, 1, 8),
            ("als", 2, 2, 32),
        ] {
            let config = TrainConfig {
                model,
                optimizer: optimizer.to_owned(),
                epochs: Some(epochs),
                average,
                rank,
                // The best epoch of noise may be one of the warm-up, whose models have no posterior.
                keep: Some(Keep::Last),
                ..TrainConfig::default()
            };
            if config.clone().check().is_err() {
                continue; // Not every optimiser has every model.
            }
            for names in [None, Some(names(150))] {
                let (estimate, real) = sizes(&config, &ratings, names);
                let what = format!("{config:?}: {estimate} for {real}");
                assert!(estimate >= real, "{what}");
                // The tenth that is held out, the header, and the curve where it is short.
                let spare = 4 * ratings.len() as u64 / 9 + 10_000 + 90 * u64::from(epochs);
                let posterior = if epochs == 0 { 4 * 550 * 17 + 10_000 } else { 0 };
                assert!(estimate <= real + spare + posterior, "{what}");
            }
        }
    }
}

#[test]
fn a_model_of_some_size_is_told_to_a_few_percent() {
    let ratings = problems::random(2_000, 800, 0.05, 4);
    let config = TrainConfig { rank: 32, epochs: Some(8), keep: Some(Keep::Last), ..TrainConfig::default() };
    let (estimate, real) = sizes(&config, &ratings, Some(names(800)));
    assert!(real > 500_000 && real <= estimate && estimate < real + real / 20, "{estimate} for {real}");
}
