//! Damage by chance, which the checksum finds, and on purpose, which it does not.

use super::*;

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let file = bytes(&known_answers(ModelKind::Biased));
    for length in 0..file.len() {
        assert!(load(&file[..length]).is_err(), "cut to {length} of {}", file.len());
    }
    let longer = [&file[..], &[0]].concat();
    assert!(load(&longer).is_err());
}

/// Small, with all tensors there are.
fn small() -> Vec<u8> {
    let mut model = random_model(ModelKind::Svdpp, 2, 2, 1, 0.5, 7);
    model.posterior = Some(random_posterior(&model, 7));
    model.item_names = Some(ids(&["Heat", "Zoë"]));
    model.baseline = Some(BaselineBiases { user_bias: vec![0.5, 0.0], item_bias: vec![1.0, -0.25] });
    bytes(&model)
}

#[test]
fn every_single_flipped_bit_is_found() {
    let file = small();
    assert!(load(&file).is_ok());
    let path = PathBuf::from("a.model");
    let (mut by_checksum, mut damaged) = (0, file.clone());
    for bit in 0..8 * file.len() {
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = Model::from_bytes(&path, &damaged).unwrap_err();
        assert_eq!(error.exit_code(), 65, "bit {bit}: {error}");
        by_checksum += usize::from(error.to_string().contains("has checksum"));
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
    // The others are no JSON any more, no tensors that fit, or no tensor of that name.
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    assert!(by_checksum >= 8 * (file.len() - header), "{by_checksum} of {}", 8 * file.len());
}

#[test]
fn every_byte_that_is_lost_doubled_or_swapped_is_found() {
    let file = small();
    let path = PathBuf::from("a.model");
    let refused = |damaged: &[u8], at: usize| {
        let error = Model::from_bytes(&path, damaged).unwrap_err();
        assert_eq!(error.exit_code(), 65, "{at}: {error}");
    };
    for at in 0..file.len() {
        let mut damaged = file.clone();
        let byte = damaged.remove(at);
        refused(&damaged, at);
        damaged.insert(at, byte);
        damaged.insert(at, byte);
        refused(&damaged, at);
        damaged.remove(at);
        if at > 0 && damaged[at - 1] != byte {
            damaged.swap(at - 1, at);
            refused(&damaged, at);
        }
    }
}

#[test]
fn damage_says_to_copy_the_file_again() {
    let mut file = bytes(&known_answers(ModelKind::Biased));
    let end = file.len();
    file[end - 20] ^= 1;
    let line = load(&file).unwrap_err();
    assert!(line.contains(": has checksum ") && line.ends_with("copy it again"), "{line}");
}

#[test]
fn a_file_of_this_format_has_a_checksum_that_lies_last() {
    let file = bytes(&known_answers(ModelKind::Biased));
    let none = replaced(&file, r#""checksum":{"#, r#""chocolate":{"#);
    assert!(load(&none).unwrap_err().contains("has no checksum; it is cut short or damaged"), "no checksum");
    let other = replaced(
        &replaced(&file, r#""user_ids":{"#, r#""temporary":{"#),
        r#""checksum":{"#,
        r#""user_ids":{"#,
    );
    let moved = replaced(&other, r#""temporary":{"#, r#""checksum":{"#);
    assert!(load(&moved).unwrap_err().contains("checksum"), "one that lies elsewhere");
    let typed =
        replaced(&file, r#""checksum":{"dtype":"U8","shape":[4]"#, r#""checksum":{"dtype":"U32","shape":[]"#);
    assert!(load(&typed).unwrap_err().contains("checksum holds U32"), "one of another type");
    // A file of the first format, which had none, is read as ever.
    let end = file.len();
    let old = replaced(&file, r#"\"format\":2"#, r#"\"format\":1"#);
    assert!(load(&old).is_ok(), "one that is there counts in any format");
    let mut damaged = old.clone();
    damaged[end - 20] ^= 1;
    assert!(load(&damaged).unwrap_err().contains("has checksum"));
    let plain = replaced(&old, r#""checksum":{"#, r#""chocolate":{"#);
    assert_eq!(load(&plain).unwrap(), known_answers(ModelKind::Biased));
}

#[test]
fn damaged_files_never_panic() {
    let mut model = random_model(ModelKind::Svdpp, 9, 7, 3, 0.3, 5);
    model.posterior = Some(random_posterior(&model, 5));
    let file = bytes(&model);
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let (mut refused, rounds) = (0, 6000);
    for round in 0..rounds {
        let mut damaged = file.clone();
        // Half of the damage goes to the header, which is where the reader can be misled.
        let end = if round % 2 == 0 { header } else { file.len() };
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..end);
            match rng.random_range(0..4) {
                0 => damaged[at] ^= 1 << rng.random_range(0..8),
                1 => damaged[at] = rng.random(),
                2 => damaged[at] = [0, 0xff, b'0', b'9', b'"', b'}'][rng.random_range(0..6)],
                _ => {
                    let other = rng.random_range(0..end);
                    damaged.swap(at, other);
                }
            }
        }
        if damaged != file {
            assert!(Model::from_bytes("a.model", &damaged).is_err(), "round {round}");
        }
        match load(&sealed(damaged)) {
            // Damage that is not visible must still leave a model that answers.
            Ok(model) => {
                let predictor = model.predictor();
                for user in 0..10 {
                    let prediction = predictor.predict(Some(user), Some(3));
                    assert!(prediction.rating.is_finite());
                    let stds = [prediction.mean_std, prediction.rating_std];
                    assert!(stds.into_iter().flatten().all(f64::is_finite), "{prediction:?}");
                    let _ = predictor.explore_index(user, 3, false, Explore::Thompson { seed: 1 });
                    predictor.recommend_index(user, 3, false);
                }
                assert!(!model.card().sections().is_empty());
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > rounds / 4, "only {refused} of {rounds} were refused: the damage is too mild");
}
