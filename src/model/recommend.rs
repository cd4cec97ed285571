//! The N items that a user is predicted to like most.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::Predictor;
use crate::data::text::quoted;
use crate::error::{Error, Result};

/// A recommended item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recommendation {
    /// The item's index.
    pub item: u32,
    /// The predicted rating in rating units, clipped if the model clips. The order of a list is
    /// that of the unclipped predictions, so equal scores may follow each other.
    pub score: f64,
}

/// An item with its unclipped prediction; greater is better, and of equals the lower index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) rating: f64,
    pub(super) item: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rating.total_cmp(&other.rating).then(other.item.cmp(&self.item))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Predictor<'_> {
    /// The `n` best items for a user, best first: exactly `n`, or all there are.
    ///
    /// Items that the user rated in the training part are left out unless `include_seen`; items
    /// without training ratings always are. Ties go to the lower item index.
    ///
    /// # Errors
    /// [`Error::Usage`] if the user is not in the model or has no training ratings.
    pub fn recommend(&self, user: &[u8], n: usize, include_seen: bool) -> Result<Vec<Recommendation>> {
        Ok(self.recommend_index(self.known_user(user)?, n, include_seen))
    }

    /// The index of a user who has training ratings.
    ///
    /// # Errors
    /// [`Error::Usage`] if the user is not in the model or has no training ratings.
    pub fn known_user(&self, user: &[u8]) -> Result<u32> {
        let refused = |what: &str| {
            let what = format!("user {} {what}", quoted(user));
            Error::usage(
                what,
                "pass a user of the ratings it was trained on, or answer new ones with fold-in",
            )
        };
        let index = self.user(user).ok_or_else(|| refused("is not in the model"))?;
        if !self.knows_user(index) {
            return Err(refused("has no training ratings"));
        }
        Ok(index)
    }

    /// [`recommend`](Self::recommend) for a user's index; nothing for an unknown one.
    pub fn recommend_index(&self, user: u32, n: usize, include_seen: bool) -> Vec<Recommendation> {
        let items = (0..self.model.items.len() as u32).filter(|&item| self.knows_item(item));
        self.recommend_among(user, n, include_seen, items)
    }

    /// [`recommend_index`](Self::recommend_index) with these items only, which ascend.
    pub(super) fn recommend_among(
        &self,
        user: u32,
        n: usize,
        include_seen: bool,
        items: impl Iterator<Item = u32>,
    ) -> Vec<Recommendation> {
        let best = self.top(user, n, include_seen, items, |item| self.unclipped(user as usize, item));
        best.into_iter().map(|candidate| self.recommendation(candidate)).collect()
    }

    pub(super) fn recommendation(&self, Candidate { rating, item }: Candidate) -> Recommendation {
        Recommendation { item, score: self.clipped(rating) }
    }

    /// Of these items, which ascend, the `n` with the greatest scores, greatest first; nothing for
    /// an unknown user.
    pub(super) fn top(
        &self,
        user: u32,
        n: usize,
        include_seen: bool,
        items: impl Iterator<Item = u32>,
        score: impl Fn(usize) -> f64,
    ) -> Vec<Candidate> {
        if n == 0 || !self.knows_user(user) {
            return Vec::new();
        }
        let mut seen = self.model.seen_by(user).iter().copied().peekable();
        let listable = items.filter(|&item| {
            while seen.next_if(|&seen| seen < item).is_some() {}
            include_seen || seen.peek() != Some(&item)
        });
        best(listable.map(|item| Candidate { rating: score(item as usize), item }), n)
    }
}

/// The `n` best candidates, best first.
pub(super) fn best(candidates: impl Iterator<Item = Candidate>, n: usize) -> Vec<Candidate> {
    let most = candidates.size_hint().1.unwrap_or(n);
    // The n best so far, the worst of them on top: n + log n work for most items, not a sort of all.
    let mut best = BinaryHeap::with_capacity(n.min(most));
    for candidate in candidates.map(Reverse) {
        if best.len() < n {
            best.push(candidate);
        } else if let Some(mut worst) = best.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }
    // Reversed candidates in ascending order are the best first.
    best.into_sorted_vec().into_iter().map(|Reverse(candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ids, known_answers, pattern, random_model};
    use super::super::{Metadata, Model};
    use super::*;
    use crate::config::ModelKind;

    fn items(list: &[Recommendation]) -> Vec<u32> {
        list.iter().map(|r| r.item).collect()
    }

    /// A full sort of all allowed items by prediction and index.
    fn brute_force(model: &Model, user: usize, n: usize, include_seen: bool) -> Vec<u32> {
        let k = model.rank;
        let row = |user: usize| {
            &model.seen.columns[model.seen.offsets[user] as usize..model.seen.offsets[user + 1] as usize]
        };
        let mut all: Vec<(f64, u32)> = (0..model.items.len())
            .filter(|&item| model.seen.columns.contains(&(item as u32)))
            .filter(|&item| include_seen || !row(user).contains(&(item as u32)))
            .map(|item| {
                let products = (0..k).map(|f| {
                    f64::from(model.user_factors[user * k + f]) * f64::from(model.item_factors[item * k + f])
                });
                (products.sum::<f64>() + f64::from(model.item_bias[item]), item as u32)
            })
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all.truncate(n);
        all.into_iter().map(|(_, item)| item).collect()
    }

    #[test]
    fn top_n_is_what_a_full_sort_gives() {
        for (seed, kind) in (0..30).zip(ModelKind::ALL.into_iter().cycle()) {
            let model = random_model(kind, 6, 83, 5, [0.02, 0.2, 0.9][seed as usize % 3], seed);
            let predictor = model.predictor();
            for user in (0..6).filter(|&user| predictor.knows_user(user)) {
                for n in [1, 2, 10, 82, 83, 1000, usize::MAX] {
                    for include_seen in [false, true] {
                        let list = predictor.recommend_index(user, n, include_seen);
                        let expected = brute_force(&model, user as usize, n, include_seen);
                        assert_eq!(items(&list), expected, "seed {seed}, user {user}, n {n}");
                        for Recommendation { item, score } in list {
                            assert_eq!(score, predictor.predict(Some(user), Some(item)).rating);
                        }
                    }
                }
            }
        }
    }

    /// One user with factor 1, items with the given factors, all rated by a second user.
    fn ranking(item_factors: &[f32]) -> Model {
        let n = item_factors.len();
        let names: Vec<String> = (0..n).map(|i| format!("i{i}")).collect();
        Model {
            kind: ModelKind::Plain,
            rank: 1,
            users: ids(&["a", "b"]),
            items: ids(&names),
            user_factors: vec![1.0, 1.0],
            item_factors: item_factors.to_vec(),
            user_bias: vec![0.0; 2],
            item_bias: vec![0.0; n],
            seen: pattern(&[vec![0], (0..n as u32).collect()]),
            ..known_answers(ModelKind::Plain)
        }
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        let model = ranking(&[9.0, 2.0, 3.0, 2.0, 3.0, 2.0, 3.0]);
        let predictor = model.predictor();
        for n in 1..=6 {
            let expected = &[2, 4, 6, 1, 3, 5][..n];
            assert_eq!(items(&predictor.recommend(b"a", n, false).unwrap()), expected);
        }
    }

    #[test]
    fn clipping_makes_no_ties() {
        let model = ranking(&[9.0, 6.0, 8.0, 7.0]);
        let list = model.predictor().recommend(b"a", 3, false).unwrap();
        assert_eq!(items(&list), [2, 3, 1]);
        assert!(list.iter().all(|r| r.score == 5.0), "the score is what predict would say: {list:?}");
    }

    #[test]
    fn a_scale_of_zero_leaves_the_item_order() {
        let metadata = Metadata { rating_mean: 4.0, ..ranking(&[]).metadata };
        let model = Model { scale: 0.0, mean: 4.0, metadata, ..ranking(&[1.0, 2.0, 3.0]) };
        let list = model.predictor().recommend(b"a", 9, true).unwrap();
        assert_eq!(items(&list), [0, 1, 2]);
        assert!(list.iter().all(|r| r.score == 4.0));
    }

    #[test]
    fn seen_items_and_items_without_ratings_are_left_out() {
        let model = known_answers(ModelKind::Biased);
        let predictor = model.predictor();
        assert_eq!(items(&predictor.recommend(b"ann", 5, false).unwrap()), [1]);
        assert_eq!(items(&predictor.recommend(b"ann", 5, true).unwrap()), [1, 0]);
        assert_eq!(items(&predictor.recommend(b"bob", 5, false).unwrap()), [0_u32; 0]);
        assert!(predictor.recommend(b"ann", 0, true).unwrap().is_empty());
    }

    #[test]
    fn a_user_without_ratings_is_refused_in_one_line() {
        let model = known_answers(ModelKind::Biased);
        let predictor = model.predictor();
        let refusal = |user: &[u8]| {
            let error = predictor.recommend(user, 5, false).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        };
        assert!(refusal(b"dot").starts_with("user \"dot\" is not in the model; "));
        assert!(refusal(b"cid").starts_with("user \"cid\" has no training ratings; "));
        assert!(!refusal(b"two\nlines\xff").contains('\n'));
        assert!(refusal(&[b'x'; 1 << 20]).len() < 200, "a long id is cut");
        assert!(predictor.recommend_index(2, 5, false).is_empty());
        assert!(predictor.recommend_index(u32::MAX, 5, false).is_empty());
    }
}
