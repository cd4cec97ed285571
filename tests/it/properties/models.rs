//! Any model that is whole is the same when it was saved and loaded.

use deltav::config::ModelKind;
use deltav::model::{BaselineBiases, Calibration, CurvePoint, MaskFactors, Metadata, Model, Posterior};

use super::*;

fn variance() -> impl Strategy<Value = f32> {
    finite().prop_map(f32::abs)
}

fn wide() -> impl Strategy<Value = f64> {
    finite().prop_map(|value| f64::from(value) / 3.0)
}

fn variance_of_all() -> impl Strategy<Value = f64> {
    wide().prop_map(f64::abs)
}

fn posterior(m: usize, n: usize, k: usize) -> impl Strategy<Value = Posterior> {
    let rows = (vec(variance(), m * k), vec(variance(), n * k), vec(variance(), 2 * m + n));
    let priors = (vec(variance_of_all(), k), vec(variance_of_all(), k), vec(variance_of_all(), 3));
    let mask = proptest::option::of((vec(finite(), n * k), vec(finite(), m * k)));
    let calibration = proptest::option::of((1e-30..1e30_f64, any::<u64>()));
    (rows, priors, mask, calibration).prop_map(move |(rows, priors, mask, calibration)| Posterior {
        noise: priors.2[0],
        user_noise: rows.2[..m].to_vec(),
        calibration: calibration.map(|(factor, ratings)| Calibration { factor, ratings }),
        user_variances: rows.0,
        item_variances: rows.1,
        user_bias_variances: rows.2[m..2 * m].to_vec(),
        item_bias_variances: rows.2[2 * m..].to_vec(),
        user_prior: priors.0,
        item_prior: priors.1,
        user_bias_prior: priors.2[1],
        item_bias_prior: priors.2[2],
        mask: mask.map(|(user_mask_factors, item_mask_factors)| MaskFactors {
            user_mask_factors,
            item_mask_factors,
        }),
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let text = || vec(any::<char>(), 0..9).prop_map(String::from_iter);
    let texts = (text(), text(), text(), text());
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), proptest::option::of(any::<u32>()));
    let range = (finite(), finite(), wide());
    let maps = (
        proptest::collection::btree_map(text(), text(), 0..4),
        proptest::collection::btree_map(text(), wide(), 0..4),
        vec((any::<u32>(), [(); 3].map(|()| proptest::option::of(wide()))), 0..5),
    );
    (texts, numbers, range, maps).prop_map(|(texts, numbers, (one, other, mean), maps)| Metadata {
        version: texts.0,
        data_hash: texts.1,
        ratings: numbers.0,
        rating_min: one.min(other),
        rating_max: one.max(other),
        rating_mean: mean,
        seed: numbers.1,
        optimizer: texts.2,
        settings: maps.0,
        epochs: numbers.2,
        best_epoch: numbers.3,
        metrics: maps.1,
        curve: maps
            .2
            .into_iter()
            .map(|(epoch, [train, valid, test])| CurvePoint { epoch, train, valid, test })
            .collect(),
        device: texts.3,
    })
}

fn any_model() -> impl Strategy<Value = Model> {
    let ids = || vec(vec(any::<u8>(), 0..9), 0..9).prop_map(|all| ids_of(&all));
    (ids(), ids(), 1..5_usize).prop_flat_map(|(users, items, k)| {
        let (m, n) = (users.len(), items.len());
        let kinds = [ModelKind::Plain, ModelKind::Centered, ModelKind::Biased, ModelKind::Svdpp];
        let form = (prop::sample::select(kinds.to_vec()), any::<bool>(), wide(), variance_of_all());
        let factors = (vec(finite(), m * k), vec(finite(), n * k), vec(finite(), m), vec(finite(), n));
        let seen = vec(vec(any::<bool>(), n), m);
        // Names may be alike, and empty.
        let names = proptest::option::of(vec(prop::sample::select(vec!["", "Alien", "Zoë", "Brazil"]), n));
        let baseline = proptest::option::of((vec(finite(), m), vec(finite(), n)));
        let more = (proptest::option::of(posterior(m, n, k)), baseline, names, metadata());
        (Just((users, items, k)), form, factors, seen, more).prop_map(
            |(
                (users, items, rank),
                (kind, clip, mean, scale),
                factors,
                seen,
                (posterior, baseline, names, metadata),
            )| {
                let (n, cells) = (items.len() as u32, seen.into_iter().enumerate());
                let cells = cells.flat_map(|(user, row)| {
                    (0..n).zip(row).filter(|(_, seen)| *seen).map(move |(item, _)| (user as u32, item))
                });
                let (user, item): (Vec<u32>, Vec<u32>) = cells.unzip();
                let names = names.map(|names| {
                    let ends = names.iter().scan(0, |end, name| {
                        *end += name.len() as u64;
                        Some(*end)
                    });
                    Ids::from_parts(names.concat().into_bytes(), [0].into_iter().chain(ends).collect())
                        .unwrap()
                });
                let (user_factors, item_factors, user_bias, item_bias) = factors;
                Model {
                    kind,
                    rank,
                    seen: Compressed::build(users.len(), &user, &item).0,
                    users,
                    items,
                    item_names: names,
                    user_factors,
                    item_factors,
                    user_bias,
                    item_bias,
                    mean,
                    scale,
                    clip,
                    posterior,
                    baseline: baseline.map(|(user_bias, item_bias)| BaselineBiases { user_bias, item_bias }),
                    metadata,
                }
            },
        )
    })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn what_is_saved_is_what_is_loaded(model in any_model()) {
        prop_assert_eq!(model.check(), Ok(()));
        let folder = tempfile::tempdir().unwrap();
        let (first, again) = (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
        model.save(&first, false).unwrap();
        let loaded = Model::load(&first).unwrap();
        prop_assert_eq!(&loaded, &model);
        loaded.save(&again, false).unwrap();
        let bytes = std::fs::read(&first).unwrap();
        prop_assert_eq!(&bytes, &std::fs::read(&again).unwrap(), "signs of zeros, too");
        prop_assert_eq!(Model::from_bytes("c", &bytes).unwrap(), model);
    }

    #[test]
    fn a_model_that_lacks_a_byte_is_none(model in any_model(), at in any::<prop::sample::Index>(), mask in 1..=u8::MAX) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        model.save(&path, false).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        prop_assert_eq!(Model::from_bytes("a", &bytes[..at]).unwrap_err().exit_code(), 65);
        bytes[at] ^= mask;
        prop_assert_eq!(Model::from_bytes("a", &bytes).unwrap_err().exit_code(), 65);
    }
}
