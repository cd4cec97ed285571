//! What holds for any data, tried on random ones: the same at every run, unless
//! `PROPTEST_RNG_SEED` and `PROPTEST_CASES` say otherwise.

use std::collections::BTreeSet;

use deltav::data::{Compressed, IdMap, Ids, Ratings, gather};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

mod files;
mod models;
mod parts;

/// So many cases of one seed, or as the environment says.
fn cases(count: u32) -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(0x64_656c_7461);
    }
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = count;
    }
    config
}

/// Ids in the order of their first appearance, each once.
fn distinct<T: Clone + Ord>(all: &[T]) -> Vec<T> {
    let mut seen = BTreeSet::new();
    all.iter().filter(|id| seen.insert((*id).clone())).cloned().collect()
}

fn ids_of<T: AsRef<[u8]>>(ids: &[T]) -> Ids {
    let mut map = IdMap::new();
    for id in ids {
        map.get_or_insert(id.as_ref()).unwrap();
    }
    map.into_ids()
}

/// Ratings as a reader gives them: ids numbered by first use, each pair once.
fn ratings<T: AsRef<[u8]>>(triples: &[(T, T, f32)]) -> Ratings {
    let (mut users, mut items) = (IdMap::new(), IdMap::new());
    let mut ratings = Ratings::default();
    for (user, item, value) in triples {
        ratings.user.push(users.get_or_insert(user.as_ref()).unwrap());
        ratings.item.push(items.get_or_insert(item.as_ref()).unwrap());
        ratings.value.push(*value);
    }
    Ratings { users: users.into_ids(), items: items.into_ids(), ..ratings }
}

/// Distinct pairs below some number of users and items, in any order.
fn pairs(most: usize) -> impl Strategy<Value = Vec<(u32, u32)>> {
    (1..25_u32, 1..25_u32)
        .prop_flat_map(move |(m, n)| vec((0..m, 0..n), 1..most))
        .prop_map(|pairs| distinct(&pairs))
}

/// Any finite number, the smallest and largest of all among them.
fn finite() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("finite", |value| value.is_finite())
}

/// Ratings of such pairs, of half a star or of any value, with the time of each.
fn any_ratings(most: usize) -> impl Strategy<Value = Ratings> {
    pairs(most).prop_flat_map(|pairs| {
        let count = pairs.len();
        let values = vec(prop_oneof![(0..11_u8).prop_map(|half| f32::from(half) / 2.0), finite()], count);
        (Just(pairs), values, vec(-3..40_i64, count)).prop_map(|(pairs, values, times)| {
            let triple = |(&(user, item), value)| (format!("u{user}"), format!("i{item}"), value);
            let triples: Vec<_> = pairs.iter().zip(values).map(triple).collect();
            Ratings { time: Some(times), ..ratings(&triples) }
        })
    })
}

/// What each rating says, by ids.
fn triples(ratings: &Ratings) -> Vec<(String, String, u32)> {
    let triple = |(user, item, value): (u32, u32, f32)| {
        (ratings.users.text(user).into_owned(), ratings.items.text(item).into_owned(), value.to_bits())
    };
    ratings.iter().map(triple).collect()
}

/// The rows of a pattern's entries.
fn rows_of(pattern: &Compressed) -> Vec<u32> {
    (0..pattern.rows()).flat_map(|row| pattern.row(row).iter().map(move |_| row as u32)).collect()
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn ids_are_numbered_in_the_order_of_their_first_appearance(
        all in vec(prop_oneof![vec(any::<u8>(), 0..3), vec(any::<u8>(), 0..40)], 0..200),
        other in vec(any::<u8>(), 0..3),
    ) {
        let expected = distinct(&all);
        let mut map = IdMap::new();
        for id in &all {
            let place = expected.iter().position(|other| other == id).unwrap() as u32;
            prop_assert_eq!(map.get_or_insert(id), Some(place));
        }
        prop_assert_eq!(map.get(&other), expected.iter().position(|id| *id == other).map(|at| at as u32));
        let ids = map.into_ids();
        prop_assert_eq!(ids.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        let (bytes, offsets) = ids.parts();
        prop_assert_eq!(Ids::from_parts(bytes.to_vec(), offsets.to_vec()), Some(ids.clone()));
        let again = IdMap::from(ids.clone());
        for (index, id) in expected.iter().enumerate() {
            prop_assert_eq!(ids.get(index as u32), &id[..]);
            prop_assert_eq!(again.get(id), Some(index as u32));
        }
    }

    #[test]
    fn offsets_are_taken_if_they_divide_the_bytes_and_only_then(
        lengths in vec(0..5_u64, 0..12),
        change in proptest::option::of((0..13_usize, prop_oneof![0..60_u64, any::<u64>()])),
        surplus in 0..2_usize,
    ) {
        let mut offsets = vec![0];
        offsets.extend(lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        }));
        if let Some((at, value)) = change
            && let Some(offset) = offsets.get_mut(at)
        {
            *offset = value;
        }
        let bytes = vec![b'x'; lengths.iter().sum::<u64>() as usize + surplus];
        let fit = offsets[0] == 0
            && offsets[offsets.len() - 1] == bytes.len() as u64
            && (1..offsets.len()).all(|at| offsets[at - 1] <= offsets[at]);
        let ids = Ids::from_parts(bytes.clone(), offsets.clone());
        prop_assert_eq!(ids.is_some(), fit);
        if let Some(ids) = ids {
            prop_assert_eq!(ids.len(), offsets.len() - 1);
            prop_assert_eq!(ids.iter().collect::<Vec<_>>().concat(), bytes);
        }
        prop_assert_eq!(Ids::from_parts(Vec::new(), Vec::new()), None);
    }

    #[test]
    fn a_pattern_has_every_entry_in_order_and_comes_back_when_turned_twice(
        (rows, columns, entries) in (1..40_u32, 1..40_u32)
            .prop_flat_map(|(m, n)| (Just(m as usize), Just(n as usize), vec((0..m, 0..n), 0..300))),
    ) {
        let (row_of, column_of): (Vec<u32>, Vec<u32>) = entries.iter().copied().unzip();
        let (pattern, order) = Compressed::build(rows, &row_of, &column_of);
        let mut expected: Vec<u64> = (0..entries.len() as u64).collect();
        expected.sort_by_key(|&at| (entries[at as usize], at));
        prop_assert_eq!(&order, &expected, "by row, column and position, duplicates too");
        prop_assert_eq!(gather(&order, &row_of), rows_of(&pattern));
        prop_assert_eq!(gather(&order, &column_of), &pattern.columns[..]);
        prop_assert_eq!((pattern.rows(), pattern.len()), (rows, entries.len()));
        for row in 0..rows {
            let count = row_of.iter().filter(|&&of| of as usize == row).count();
            prop_assert_eq!(pattern.row(row).len(), count);
        }

        let (turned, order) = Compressed::build(columns, &pattern.columns, &rows_of(&pattern));
        prop_assert_eq!(gather(&order, &pattern.columns), rows_of(&turned));
        let (back, _) = Compressed::build(rows, &turned.columns, &rows_of(&turned));
        prop_assert_eq!(back, pattern);
    }
}
