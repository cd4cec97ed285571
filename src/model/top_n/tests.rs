//! Lists from devices against the plain scan of one user at a time.

use super::super::testing::random_model;
use super::super::{Metadata, Model};
use super::*;
use crate::backend::cpu::CpuBackend;
use crate::config::ModelKind;

/// The CPU backend and, where it is built in, the software adapter: the shader itself.
fn devices() -> Vec<Box<dyn Backend>> {
    #[cfg_attr(not(feature = "gpu"), expect(unused_mut, reason = "there is no other device"))]
    let mut devices: Vec<Box<dyn Backend>> = vec![Box::new(CpuBackend::new(Some(2)).unwrap())];
    #[cfg(feature = "gpu")]
    {
        use crate::backend::{DeviceChoice, OpenOptions, open};
        devices.push(open(DeviceChoice::Software, &OpenOptions::default()).unwrap().backend);
    }
    devices
}

/// All users' lists on a device, in blocks that come in order.
fn lists(model: &Model, query: &TopN, backend: &mut dyn Backend) -> (Vec<TopList>, TopNCounts) {
    // An index that is no user's is unknown as well.
    let users: Vec<u32> = (0..=model.users.len() as u32).collect();
    let mut lists = Vec::new();
    let add = |block: &[TopList]| {
        lists.extend_from_slice(block);
        Ok(())
    };
    let before = backend.allocated();
    let counts = model.predictor().top_n(&users, query, backend, add).unwrap();
    assert_eq!(backend.allocated(), before, "buffers are given back");
    assert_eq!(counts.users, users.len() as u64);
    assert!(lists.iter().map(|list| list.user).eq(users));
    (lists, counts)
}

/// What the definition says, item by item.
fn expected(model: &Model, query: &TopN, user: u32) -> Vec<Recommendation> {
    let predictor = model.predictor();
    if !predictor.knows_user(user) {
        return Vec::new();
    }
    let mut all: Vec<(f64, u32)> = (0..model.items.len() as u32)
        .filter(|&item| predictor.knows_item(item) && !query.exclude.contains(&item))
        .filter(|item| query.candidates.as_ref().is_none_or(|only| only.contains(item)))
        .filter(|item| query.include_seen || !model.seen_by(user).contains(item))
        .map(|item| (predictor.predict(Some(user), Some(item)).unclipped, item))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.truncate(query.n);
    let score = |item| predictor.predict(Some(user), Some(item)).rating;
    all.into_iter().map(|(_, item)| Recommendation { item, score: score(item) }).collect()
}

/// Fails unless every device has the lists of the definition; returns how many were scanned.
fn check(what: &str, model: &Model, query: &TopN) -> Vec<u64> {
    let check = |mut backend: Box<dyn Backend>| {
        let device = backend.describe().to_owned();
        let (lists, counts) = lists(model, query, &mut *backend);
        for list in &lists {
            let expected = expected(model, query, list.user);
            assert_eq!(list.items, expected, "{what}, {device}, user {}, {query:?}", list.user);
        }
        counts.scanned
    };
    devices().into_iter().map(check).collect()
}

#[test]
fn every_device_has_the_lists_of_a_full_sort() {
    let shapes = [(9, 40, 1), (13, 83, 5), (8, 200, 32), (11, 130, 33), (30, 300, 130)];
    for ((users, items, rank), kind) in shapes.into_iter().zip(ModelKind::ALL.into_iter().cycle()) {
        for density in [0.02, 0.3, 0.95] {
            let model = random_model(kind, users, items, rank, density, items as u64);
            for n in [1, 10, 83, 900, usize::MAX] {
                for include_seen in [false, true] {
                    let query = TopN { n, include_seen, ..TopN::default() };
                    let scanned = check("random", &model, &query);
                    assert!(n > 83 || scanned.iter().all(|&scanned| scanned == 0), "n {n}: {scanned:?}");
                }
            }
        }
    }
}

/// A panel of so many factors takes more loops than a software adapter runs.
#[test]
fn rows_too_long_for_a_device_are_scanned() {
    let model = random_model(ModelKind::Biased, 8, 5, 66_000, 0.5, 1);
    let scanned = check("a high rank", &model, &TopN::default());
    assert_eq!(scanned.get(1).copied().unwrap_or(9), 9);
}

#[test]
fn candidates_and_exclusions_are_obeyed() {
    let model = random_model(ModelKind::Biased, 12, 150, 7, 0.2, 5);
    for candidates in [None, Some(vec![]), Some(vec![149, 3, 3, 77, 500, 0]), Some((0..100).collect())] {
        for exclude in [vec![], vec![77, 1, 1, u32::MAX], (0..150).collect()] {
            for n in [0, 3, 40] {
                let query =
                    TopN { n, candidates: candidates.clone(), exclude: exclude.clone(), ..TopN::default() };
                check("a choice of items", &model, &query);
            }
        }
    }
}

#[test]
fn ties_are_never_left_to_f32() {
    let base = random_model(ModelKind::Biased, 10, 400, 4, 0.05, 8);
    let zero = |values: &[f32]| vec![0.0; values.len()];
    let first_four = |values: &[f32], width: usize| values[..4 * width].repeat(100);
    let metadata = Metadata { rating_mean: base.mean, ..base.metadata.clone() };
    let cases = [
        (
            true,
            "equal scores",
            Model {
                item_factors: zero(&base.item_factors),
                item_bias: zero(&base.item_bias),
                ..base.clone()
            },
        ),
        (false, "users without factors", Model { user_factors: zero(&base.user_factors), ..base.clone() }),
        (
            true,
            "many equal scores",
            Model {
                item_factors: first_four(&base.item_factors, 4),
                item_bias: first_four(&base.item_bias, 1),
                ..base.clone()
            },
        ),
        (true, "a scale of 0", Model { scale: 0.0, metadata, ..base.clone() }),
    ];
    for (ties, what, model) in &cases {
        for n in [1, 10, 100] {
            let scanned = check(what, model, &TopN { n, ..TopN::default() });
            assert!(scanned.iter().all(|&scanned| (scanned > 0) == *ties), "{what}: {scanned:?}");
        }
    }
}

/// Scores that differ by less than f32 can see, but differ.
#[test]
fn what_f32_can_t_tell_apart_is_told_apart() {
    let mut model = random_model(ModelKind::Plain, 9, 300, 2, 0.05, 9);
    for item in 0..300 {
        // u·v = 1 + a step of 2⁻⁴⁰: in f32 they are all 1.
        let step = ((item * 7919) % 300) as f32;
        model.item_factors[2 * item] = 1.0;
        model.item_factors[2 * item + 1] = step;
    }
    for user in 0..9 {
        model.user_factors[2 * user] = 1.0;
        model.user_factors[2 * user + 1] = 2f32.powi(-40);
    }
    let scanned = check("close scores", &model, &TopN::default());
    assert!(scanned.iter().all(|&scanned| scanned >= 8), "{scanned:?}");
}

#[test]
fn factors_too_large_and_too_small_for_f32_sums_are_scanned_or_right() {
    for size in [1e-30f32, 1e-22, 1e15, 1e19, 3e37] {
        let mut model = random_model(ModelKind::Plain, 9, 100, 3, 0.1, 10);
        for x in model.user_factors.iter_mut().chain(&mut model.item_factors) {
            *x *= size;
        }
        check(&format!("factors of {size}"), &model, &TopN::default());
    }
}

/// Items in several buffers, a few users a block, and users who saw more than fits.
#[test]
fn small_buffers_change_nothing() {
    let model = random_model(ModelKind::Svdpp, 70, 900, 6, 0.3, 11);
    let query = TopN { n: 5, ..TopN::default() };
    let whole = lists(&model, &query, &mut CpuBackend::new(Some(2)).unwrap()).0;
    for (bytes, scans) in [(8, true), (900, true), (2_000, false), (5_000, false), (100_000, false)] {
        let mut blocks = 0;
        let mut cpu = CpuBackend::new(Some(2)).unwrap().with_max_buffer_bytes(bytes);
        let users: Vec<u32> = (0..=70).collect();
        let mut found = Vec::new();
        let add = |block: &[TopList]| {
            found.extend_from_slice(block);
            blocks += 1;
            Ok(())
        };
        let counts = model.predictor().top_n(&users, &query, &mut cpu, add).unwrap();
        assert_eq!(found, whole, "buffers of {bytes}");
        assert_eq!(counts.scanned == 71, scans, "buffers of {bytes}: {counts:?}");
        assert!(scans || bytes > 10_000 || blocks > 5, "buffers of {bytes}: {blocks} blocks");
    }
}

#[test]
fn a_callback_that_refuses_ends_the_work() {
    let model = random_model(ModelKind::Biased, 20, 30, 2, 0.3, 12);
    let users: Vec<u32> = (0..20).collect();
    let mut cpu = CpuBackend::new(Some(1)).unwrap();
    let refused = model
        .predictor()
        .top_n(&users, &TopN::default(), &mut cpu, |_| Err(crate::Error::Internal("enough".to_owned())));
    assert!(refused.is_err_and(|error| error.to_string().contains("enough")));
    assert_eq!(cpu.allocated(), 0);
}

/// A few users are not worth a device, and answered all the same.
#[test]
fn few_users_are_scanned() {
    let model = random_model(ModelKind::Biased, 7, 60, 3, 0.3, 13);
    let mut cpu = CpuBackend::new(Some(1)).unwrap();
    let mut found = Vec::new();
    let add = |block: &[TopList]| {
        found.extend_from_slice(block);
        Ok(())
    };
    let counts = model.predictor().top_n(&[3, 1, 3], &TopN::default(), &mut cpu, add).unwrap();
    assert_eq!(counts, TopNCounts { users: 3, scanned: 3 });
    assert!(found.iter().map(|list| list.user).eq([3, 1, 3]));
    assert!(found.iter().all(|list| list.items == model.predictor().recommend_index(list.user, 10, false)));
}
