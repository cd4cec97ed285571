//! Model files of earlier versions, which must always load.

use std::path::Path;

use deltav::config::ModelKind;
use deltav::model::{Calibration, Explore, Level, Model};

fn golden(name: &str) -> Model {
    Model::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name))
        .expect("a model of an earlier version loads")
}

/// Trained on 12 × 9 planted ratings with seed 3, svdpp of rank 3, 10 epochs, before models had posteriors.
#[test]
fn a_model_without_a_posterior_loads_and_predicts_as_it_did() {
    let model = golden("svdpp-0.1.0.deltav");
    assert_eq!((model.kind, model.rank, model.users.len(), model.items.len()), (ModelKind::Svdpp, 3, 12, 9));
    assert_eq!((&model.posterior, &model.baseline), (&None, &None));
    let predictor = model.predictor();
    for (user, item, rating) in
        [(0, 0, 3.8923276119349977), (3, 1, 3.2455268750612922), (11, 1, 3.6925955637884247)]
    {
        let prediction = predictor.predict(Some(user), Some(item));
        assert_eq!((prediction.rating, prediction.mean_std, prediction.rating_std), (rating, None, None));
        assert_eq!(predictor.interval(&prediction, Level::calibrated()), None);
    }
    let best: Vec<(u32, f64)> =
        predictor.recommend_index(0, 3, false).iter().map(|r| (r.item, r.score)).collect();
    assert_eq!(best, [(2, 3.747534241654113), (7, 3.599251493049793)]);
    assert!(predictor.explore_index(0, 3, false, Explore::Thompson { seed: 0 }).is_err());
    assert_eq!(model.card().uncertainty, None);
    assert_eq!(model.metadata.metrics["valid_rmse"], 1.2746918767202824);
    assert_eq!(model.metadata.curve.len(), 10);
}

/// Trained on 20 × 12 planted ratings with seed 3, svdpp of rank 3, 10 epochs, 60 ratings held out.
#[test]
fn a_model_with_a_posterior_loads_and_predicts_as_it_did() {
    let model = golden("posterior-0.1.0.deltav");
    let posterior = model.posterior.as_ref().unwrap();
    assert_eq!(posterior.noise, 0.5652122921413846);
    assert_eq!(posterior.user_prior, [0.15416538087945236, 0.07971146859620747, 0.05623630473488256]);
    assert_eq!(posterior.calibration, Some(Calibration { factor: 0.971969843562602, ratings: 60 }));
    assert!(posterior.mask.is_some());
    let predictor = model.predictor();
    // Square roots, sums and products alone: the same bits everywhere.
    for (user, item, mean_std, rating_std) in [
        (Some(0), Some(0), 0.4325192081555447, 0.833467212052108),
        (Some(3), Some(1), 0.4872228851847042, 0.9681292868811037),
        (None, Some(1), 0.5524169378932866, 0.9626473410510229),
        (None, None, 0.652364494695315, 1.0200240057572887),
    ] {
        let prediction = predictor.predict(user, item);
        assert_eq!((prediction.mean_std, prediction.rating_std), (Some(mean_std), Some(rating_std)));
    }
    let interval = predictor.interval(&predictor.predict(Some(0), Some(0)), Level::calibrated()).unwrap();
    assert!((interval.low - 1.6392807229459558).abs() < 1e-12, "{interval:?}");
    assert!((interval.high - 4.38114385632404).abs() < 1e-12, "{interval:?}");
    let items = |explore| -> Vec<u32> {
        predictor.explore_index(0, 3, false, explore).unwrap().iter().map(|explored| explored.item).collect()
    };
    assert_eq!(items(Explore::Thompson { seed: 7 }), [1, 8, 0]);
    assert_eq!(items(Explore::Ucb { z: 1.0 }), [1, 8, 7]);
}

/// The same model in the second format, whose files have a checksum.
#[test]
fn a_model_with_a_checksum_is_the_one_without() {
    let model = golden("posterior-0.1.0.deltav");
    assert_eq!(golden("checksum-0.1.0.deltav"), model);
    let file = |name: &str| {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name)).unwrap()
    };
    let has = |name: &str, text: &[u8]| file(name).windows(text.len()).any(|window| window == text);
    for (name, format) in [("posterior-0.1.0.deltav", "1"), ("checksum-0.1.0.deltav", "2")] {
        assert!(has(name, format!(r#"{{\"format\":{format},"#).as_bytes()), "{name}");
        assert_eq!(has(name, br#""checksum":{"dtype":"U8","shape":[4],"#), format == "2", "{name}");
    }
}
