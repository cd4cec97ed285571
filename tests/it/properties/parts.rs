//! Hold-outs, folds, cores and tiles: each rating is in one part, once.

use std::collections::BTreeMap;

use deltav::data::{Held, HoldoutBy};
use deltav::problem::{Limits, Shards};

use super::*;

/// What each rating says that is held, by the ids of the whole.
fn held_triples(whole: &Ratings, held: &Held) -> Vec<(String, String, u32)> {
    let text = |ids: &Ids, index: Option<u32>| ids.text(index.unwrap()).into_owned();
    held.iter()
        .map(|(user, item, value)| (text(&whole.users, user), text(&whole.items, item), value.to_bits()))
        .collect()
}

/// Whether `part` is `whole` with some left out, in its order.
fn is_part<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|one| rest.any(|other| other == one))
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

/// round(n·fraction), but at least one, and at least one stays.
fn share(count: usize, fraction: f64) -> usize {
    ((count as f64 * fraction).round() as usize).clamp(1, count - 1)
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_hold_out_parts_the_ratings_by_its_rule(
        whole in any_ratings(150),
        fraction in 0.001..0.999_f64,
        seed in any::<u64>(),
    ) {
        for by in HoldoutBy::ALL {
            let Ok((kept, held)) = whole.clone().split_by(by, fraction, seed) else {
                let many = whole.user_counts().into_iter().any(|count| count > 1);
                prop_assert!(whole.len() < 2 || (by == HoldoutBy::User && !many), "{by:?}");
                continue;
            };
            let (all, stay, go) = (triples(&whole), triples(&kept), held_triples(&whole, &held));
            prop_assert_eq!(sorted([&stay[..], &go].concat()), sorted(all.clone()));
            prop_assert!(is_part(&stay, &all) && is_part(&go, &all));
            prop_assert_eq!((&kept.users, &kept.items), (&whole.users, &whole.items));
            if by == HoldoutBy::User {
                for (user, count) in whole.user_counts().into_iter().enumerate() {
                    let gone = held.user.iter().filter(|held| **held == Some(user as u32)).count();
                    let expected = if count < 2 { 0 } else { share(count as usize, fraction) };
                    prop_assert_eq!(gone, expected);
                }
            } else {
                prop_assert_eq!(held.len(), share(whole.len(), fraction));
            }
            let times: BTreeMap<_, i64> = all.into_iter().zip(whole.time.clone().unwrap()).collect();
            prop_assert_eq!(kept.time.as_deref(), Some(&stay.iter().map(|t| times[t]).collect::<Vec<_>>()[..]));
            if by == HoldoutBy::Time {
                let newest = stay.iter().map(|triple| times[triple]).max();
                prop_assert!(go.iter().all(|triple| Some(times[triple]) >= newest));
            }
            prop_assert_eq!(whole.clone().split_by(by, fraction, seed).unwrap(), (kept, held));
        }
    }

    #[test]
    fn each_rating_is_in_one_fold_and_unknown_to_its_training(
        whole in any_ratings(120),
        folds in 2..12_u32,
        seed in any::<u64>(),
    ) {
        prop_assume!(whole.len() >= folds as usize);
        let parts = whole.folds(folds, seed).unwrap();
        prop_assert_eq!(&parts, &whole.folds(folds, seed).unwrap());
        let all = triples(&whole);
        for fold in 0..folds {
            let tested = parts.iter().filter(|&&part| part == fold).count();
            prop_assert!((whole.len() / folds as usize..=whole.len().div_ceil(folds as usize)).contains(&tested));
            let (train, held) = whole.fold(&parts, fold);
            prop_assert_eq!((train.len(), held.len()), (whole.len() - tested, tested));
            let expected: Vec<_> =
                all.iter().zip(&parts).filter(|(_, part)| **part != fold).map(|(one, _)| one.clone()).collect();
            prop_assert_eq!(triples(&train), &expected[..]);
            prop_assert_eq!(train.time.as_ref().map(Vec::len), Some(train.len()));
            // Only ids of the training part have an index, and each of them has ratings.
            prop_assert!(train.user_counts().iter().chain(&train.item_counts()).all(|&count| count > 0));
            let tests = all.iter().zip(&parts).filter(|(_, part)| **part == fold).map(|(one, _)| one);
            for ((user, item, value), test) in held.iter().zip(tests) {
                let trained = expected.iter().any(|one| one.0 == test.0);
                prop_assert_eq!(user.map(|user| train.users.text(user).into_owned()), trained.then(|| test.0.clone()));
                let trained = expected.iter().any(|one| one.1 == test.1);
                prop_assert_eq!(item.map(|item| train.items.text(item).into_owned()), trained.then(|| test.1.clone()));
                prop_assert_eq!(value.to_bits(), test.2);
            }
        }
    }

    #[test]
    fn a_core_is_what_is_left_when_no_one_has_too_few(
        whole in any_ratings(200),
        user in 0..6_u64,
        item in 0..6_u64,
    ) {
        let mut left = triples(&whole);
        loop {
            let before = left.clone();
            let of = |id: &String| before.iter().filter(|one| one.0 == *id).count() as u64;
            let on = |id: &String| before.iter().filter(|one| one.1 == *id).count() as u64;
            left.retain(|one| of(&one.0) >= user && on(&one.1) >= item);
            if left.len() == before.len() {
                break;
            }
        }
        let core = whole.k_core(user, item);
        prop_assert_eq!(triples(&core), &left[..]);
        let named: Vec<_> = left.iter().map(|one| (&*one.0, &*one.1, f32::from_bits(one.2))).collect();
        prop_assert_eq!(&core, &Ratings { time: core.time.clone(), ..ratings(&named) }, "ids anew");
        prop_assert_eq!(core.time.as_ref().map(Vec::len), Some(core.len()));
        prop_assert_eq!(core.k_core(user, item), core);
    }

    #[test]
    fn tiles_have_each_cell_once_and_fit_their_buffers(
        pairs in pairs(400),
        width in 1..9_usize,
        most in 1..60_u64,
        max_row in 1..30_usize,
        max_cells in 1..60_usize,
    ) {
        let max_bytes = 8 * most;
        let (user, item): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
        let (m, n) = (1 + *user.iter().max().unwrap() as usize, 1 + *item.iter().max().unwrap() as usize);
        let (by_user, order) = Compressed::build(m, &user, &item);
        let shards = match Shards::plan(&by_user, n, width, &Limits { bytes: max_bytes, row: max_row, cells: max_cells }) {
            Ok(shards) => shards,
            Err(error) => {
                prop_assert!(error.exit_code() == 71 && (width as u64) * 4 > max_bytes, "{error}");
                return Ok(());
            }
        };
        for (ranges, count) in [(&shards.users, m), (&shards.items, n)] {
            let all: Vec<usize> = ranges.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
            for range in ranges {
                prop_assert!((range.len() * width) as u64 * 4 <= max_bytes);
                prop_assert!((range.len() + 1) as u64 * 4 <= max_bytes);
            }
        }
        // Each cell's target is its place among the pairs.
        let targets: Vec<f32> = order.iter().map(|&place| place as f32).collect();
        let mut found = vec![0; pairs.len()];
        for tile in shards.tiles(&by_user, &targets) {
            let (users, items) = (&shards.users[tile.user_shard], &shards.items[tile.item_shard]);
            let cells = &tile.cells;
            prop_assert!(cells.ratings.len() as u64 * 4 <= max_bytes && !cells.ratings.is_empty());
            prop_assert!(cells.ratings.len() <= max_cells);
            for ((&row, &column), &target) in cells.rows.iter().zip(&cells.columns).zip(&cells.ratings) {
                let pair = ((users.start + row as usize) as u32, (items.start + column as usize) as u32);
                prop_assert_eq!(pairs[target as usize], pair);
                found[target as usize] += 1;
            }
            let (pattern, _) = Compressed::build(users.len(), &cells.rows, &cells.columns);
            prop_assert!((0..users.len()).all(|row| pattern.row(row).len() <= max_row));
            prop_assert!(tile.user_offsets.iter().map(|&at| u64::from(at)).eq(pattern.offsets));
            let (turned, order) = Compressed::build(items.len(), &cells.columns, &cells.rows);
            prop_assert!((0..items.len()).all(|row| turned.row(row).len() <= max_row));
            prop_assert!(tile.item_offsets.iter().map(|&at| u64::from(at)).eq(turned.offsets));
            prop_assert!(tile.item_order.iter().map(|&at| u64::from(at)).eq(order));
            prop_assert_eq!(tile.item_columns, turned.columns);
        }
        prop_assert!(found.iter().all(|&times| times == 1), "{found:?}");
    }
}
