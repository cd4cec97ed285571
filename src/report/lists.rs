//! What lists of the best items are like: how much of the catalogue they show, and how much they
//! lean to what is popular.

use crate::backend::Backend;
use crate::error::Result;
use crate::model::{Predictor, TopN};

/// Items a list.
pub(super) const LENGTH: usize = 10;
/// Parts of equal size that the catalogue is cut into, by popularity.
const TENTHS: usize = 10;
/// Products of factors that lists may take, about; of more users some get one, evenly spaced.
const MOST_WORK: u64 = 1 << 35;

/// The lists of many users, taken together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lists {
    /// Users whose lists were made.
    pub(super) users: u64,
    /// Users with training ratings.
    pub(super) known_users: u64,
    /// Items with training ratings.
    pub(super) items: u64,
    /// Items in any list.
    pub(super) listed: u64,
    /// Places of all lists together.
    pub(super) places: u64,
    /// Mean number of training ratings of an item in a list.
    pub(super) mean_listed: f64,
    /// The same of an item as it was rated.
    pub(super) mean_rated: f64,
    /// From the most popular part of the catalogue to the least.
    pub(super) parts: Vec<Popularity>,
    /// The item that is in most lists, and in how many.
    pub(super) commonest: Option<(u32, u64)>,
}

/// A part of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Popularity {
    pub(super) items: u64,
    /// Most and least training ratings of its items.
    pub(super) most: u64,
    pub(super) least: u64,
    /// Share of the training ratings.
    pub(super) rated: f64,
    /// Share of the lists' places.
    pub(super) listed: f64,
}

impl Lists {
    /// Makes the lists; `None` if the model knows nobody or nothing, or has nothing left to list.
    pub(super) fn new(predictor: &Predictor<'_>, backend: &mut dyn Backend) -> Result<Option<Self>> {
        let model = predictor.model();
        let known: Vec<u32> =
            (0..model.users.len() as u32).filter(|&user| predictor.knows_user(user)).collect();
        let users = spread(&known, model.items.len() as u64 * model.rank as u64);
        let mut listed = vec![0_u64; model.items.len()];
        predictor.top_n(&users, &TopN { n: LENGTH, ..TopN::default() }, backend, |block| {
            block.iter().flat_map(|list| &list.items).for_each(|best| listed[best.item as usize] += 1);
            Ok(())
        })?;
        Ok(Self::of(predictor, &listed, users.len() as u64, known.len() as u64))
    }

    /// From the number of lists that each item is in.
    fn of(predictor: &Predictor<'_>, listed: &[u64], users: u64, known_users: u64) -> Option<Self> {
        let places: u64 = listed.iter().sum();
        let mut items: Vec<(u64, u32)> = (0..listed.len() as u32)
            .filter(|&item| predictor.knows_item(item))
            .map(|item| (predictor.item_ratings(item), item))
            .collect();
        items.sort_unstable_by_key(|&(ratings, item)| (std::cmp::Reverse(ratings), item));
        let rated: u64 = items.iter().map(|(ratings, _)| ratings).sum();
        if places == 0 || rated == 0 {
            return None;
        }
        let of = |item: u32| listed[item as usize];
        let count = items.len();
        let parts = TENTHS.min(count);
        let part = |at: usize| {
            let part = &items[count * at / parts..count * (at + 1) / parts];
            let sum = |of: &dyn Fn(&(u64, u32)) -> u64| part.iter().map(of).sum::<u64>() as f64;
            Popularity {
                items: part.len() as u64,
                most: part.first().map_or(0, |item| item.0),
                least: part.last().map_or(0, |item| item.0),
                rated: sum(&|item| item.0) / rated as f64,
                listed: sum(&|item| of(item.1)) / places as f64,
            }
        };
        let mean = |weight: &dyn Fn(&(u64, u32)) -> u64, of: u64| {
            items.iter().map(|item| item.0 as f64 * weight(item) as f64).sum::<f64>() / of as f64
        };
        Some(Self {
            users,
            known_users,
            items: count as u64,
            listed: items.iter().filter(|item| of(item.1) > 0).count() as u64,
            places,
            mean_listed: mean(&|item| of(item.1), places),
            mean_rated: mean(&|item| item.0, rated),
            parts: (0..parts).map(part).collect(),
            commonest: items.iter().map(|item| (item.1, of(item.1))).rev().max_by_key(|item| item.1),
        })
    }
}

/// As many of these users as `work` each leaves time for, evenly spaced.
fn spread(known: &[u32], work: u64) -> Vec<u32> {
    evenly(known, (MOST_WORK / work.max(1)).max(100) as usize)
}

/// All of them, or so many, evenly spaced.
pub(super) fn evenly(known: &[u32], most: usize) -> Vec<u32> {
    if known.len() <= most {
        return known.to_vec();
    }
    (0..most).map(|at| known[at * known.len() / most]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::CpuBackend;
    use crate::config::ModelKind;
    use crate::model::testing::{known_answers, random_model};

    #[test]
    fn counts_are_those_of_lists_made_one_by_one() {
        for (seed, items) in [(1, 40), (2, 12), (3, 6)] {
            let model = random_model(ModelKind::Biased, 30, items, 4, 0.2, seed);
            let predictor = model.predictor();
            let lists = Lists::new(&predictor, &mut CpuBackend::new(Some(1)).unwrap()).unwrap().unwrap();
            let mut listed = vec![0; items];
            let mut popularity = Vec::new();
            for user in 0..30 {
                for best in predictor.recommend_index(user, LENGTH, false) {
                    listed[best.item as usize] += 1;
                    popularity.push(predictor.item_ratings(best.item) as f64);
                }
            }
            assert_eq!(lists.places, popularity.len() as u64);
            assert_eq!(lists.listed, listed.iter().filter(|&&count| count > 0).count() as u64);
            let mean = popularity.iter().sum::<f64>() / popularity.len() as f64;
            assert!((lists.mean_listed - mean).abs() < 1e-12);
            assert_eq!(lists.commonest.unwrap().1, listed.iter().copied().max().unwrap());
            let sum = |of: fn(&Popularity) -> f64| lists.parts.iter().map(of).sum::<f64>();
            assert!((sum(|part| part.rated) - 1.0).abs() < 1e-12);
            assert!((sum(|part| part.listed) - 1.0).abs() < 1e-12);
            assert_eq!(lists.parts.iter().map(|part| part.items).sum::<u64>(), lists.items);
            assert!(lists.parts.windows(2).all(|pair| pair[0].least >= pair[1].most));
            let mut counts: Vec<u64> = (0..items as u32).map(|item| predictor.item_ratings(item)).collect();
            counts.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
            let first = &counts[..lists.parts[0].items as usize];
            let share = first.iter().sum::<u64>() as f64 / model.seen.columns.len() as f64;
            assert!((lists.parts[0].rated - share).abs() < 1e-12);
        }
    }

    #[test]
    fn nothing_to_list_is_no_number() {
        let mut cpu = CpuBackend::new(Some(1)).unwrap();
        let model = known_answers(ModelKind::Biased);
        let lists = Lists::new(&model.predictor(), &mut cpu).unwrap().unwrap();
        assert_eq!((lists.users, lists.items, lists.places), (2, 2, 1), "bob has rated all");
        let all = random_model(ModelKind::Biased, 3, 4, 2, 1.0, 1);
        assert_eq!(Lists::new(&all.predictor(), &mut cpu).unwrap(), None);
        let none = random_model(ModelKind::Biased, 3, 4, 2, 0.0, 1);
        assert_eq!(Lists::new(&none.predictor(), &mut cpu).unwrap(), None);
    }

    #[test]
    fn of_too_many_users_some_are_taken_evenly() {
        let known: Vec<u32> = (0..1_000).map(|user| 2 * user).collect();
        assert_eq!(spread(&known, 1), known);
        let some = spread(&known, MOST_WORK / 250);
        assert_eq!((some.len(), some[0], some[1], some[249]), (250, 0, 8, 1_992));
        assert_eq!(spread(&known, u64::MAX).len(), 100);
    }
}
