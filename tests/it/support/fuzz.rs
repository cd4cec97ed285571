//! What the fuzz targets do with their bytes, one function a target. `fuzz/` feeds them
//! what it finds; `tests/it/corpus.rs` replays what it kept.

#![allow(dead_code, reason = "the fuzzer and the tests each use a part")]

use deltav::model::Model;

/// Keeps caught panics from aborting the fuzzer: those that are not caught still end the run.
pub fn quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// A model file: loads or is refused; what loads predicts finite ratings.
pub fn model(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes("a.safetensors", bytes) else { return };
    assert_eq!(model.check(), Ok(()));
    let predictor = model.predictor();
    let (users, items) = (model.users.len() as u32, model.items.len() as u32);
    let some = |count: u32| [None, (count > 0).then_some(0), count.checked_sub(1)];
    for user in some(users) {
        for item in some(items) {
            let prediction = predictor.predict(user, item);
            assert!(prediction.rating.is_finite(), "{prediction:?}");
        }
        if let Some(user) = user {
            for best in predictor.recommend_index(user, 3, false) {
                assert!(best.item < items && best.score.is_finite(), "{best:?}");
            }
        }
    }
    let _ = model.card().sections();
}
