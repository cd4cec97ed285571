//! Neighbours: the items that a model holds to be alike, and the users.
//!
//! Two items are alike if the model predicts that people who like one like the other: if their
//! factors point the same way. Biases take no part, since they say how much all people like an
//! item and nothing of who does.
//!
//! Source of the cosine between rows of factors: Sarwar, Karypis, Konstan & Riedl 2001, section 3.1.1.

use super::Predictor;
use super::predict::dot;
use super::recommend::{Candidate, best};
use crate::error::{Error, Result};

/// How alike two rows of factors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Similarity {
    /// `v·w / (|v|·|w|)`, from −1 to 1; 0 where either is zero.
    #[default]
    Cosine,
    /// `v·w`, which also asks how strong the taste for an item is.
    Dot,
}

impl Similarity {
    /// Every measure, in the order of the help text.
    pub const ALL: [Similarity; 2] = [Similarity::Cosine, Similarity::Dot];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Similarity::Cosine => "cosine",
            Similarity::Dot => "dot",
        }
    }
}

/// A neighbour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Its index among the items, or among the users.
    pub index: u32,
    /// The measure that ranked it.
    pub similarity: f64,
}

/// Which neighbours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighborhood {
    /// How many, at most.
    pub n: usize,
    /// How alike two rows are.
    pub similarity: Similarity,
    /// Training ratings that a neighbour must have; 0 counts as 1. What was hardly ever rated has
    /// factors that are near their prior, and a direction that is mostly chance.
    pub min_ratings: u64,
}

impl Default for Neighborhood {
    fn default() -> Self {
        Self { n: 10, similarity: Similarity::Cosine, min_ratings: 1 }
    }
}

impl Predictor<'_> {
    /// The items nearest to an item, nearest first: exactly `n`, or all there are. The item
    /// itself is left out, and so are items without training ratings. Ties go to the lower index.
    ///
    /// # Errors
    /// [`Error::Usage`] if the item is not an index of the model, or has no training ratings.
    pub fn similar_items(&self, item: u32, wanted: &Neighborhood) -> Result<Vec<Neighbor>> {
        if !self.knows_item(item) {
            return Err(untrained("item", self.model.items.len(), item));
        }
        let norms = self.item_norms.get_or_init(|| norms(&self.model.item_factors, self.model.rank));
        Ok(self.nearest(&self.model.item_factors, norms, item, wanted, |row| self.item_ratings(row)))
    }

    /// The users nearest to a user, as [`similar_items`](Self::similar_items).
    ///
    /// # Errors
    /// [`Error::Usage`] if the user is not an index of the model, or has no training ratings.
    pub fn similar_users(&self, user: u32, wanted: &Neighborhood) -> Result<Vec<Neighbor>> {
        if !self.knows_user(user) {
            return Err(untrained("user", self.model.users.len(), user));
        }
        let norms = self.user_norms.get_or_init(|| norms(&self.model.user_factors, self.model.rank));
        Ok(self.nearest(&self.model.user_factors, norms, user, wanted, |row| self.user_ratings(row)))
    }

    fn nearest(
        &self,
        factors: &[f32],
        norms: &[f64],
        query: u32,
        wanted: &Neighborhood,
        ratings: impl Fn(u32) -> u64,
    ) -> Vec<Neighbor> {
        let k = self.model.rank;
        let row = |index: u32| &factors[index as usize * k..(index as usize + 1) * k];
        let own = row(query);
        let candidates = (0..norms.len() as u32)
            .filter(|&index| index != query && ratings(index) >= wanted.min_ratings.max(1));
        let rated = candidates.map(|index| {
            let product = dot(own, row(index));
            let length = norms[query as usize] * norms[index as usize];
            let rating = match wanted.similarity {
                Similarity::Dot => product,
                Similarity::Cosine if length > 0.0 => (product / length).clamp(-1.0, 1.0),
                Similarity::Cosine => 0.0,
            };
            Candidate { rating, item: index }
        });
        let nearest = best(rated, wanted.n).into_iter();
        nearest.map(|Candidate { rating, item }| Neighbor { index: item, similarity: rating }).collect()
    }
}

fn norms(factors: &[f32], k: usize) -> Vec<f64> {
    factors.chunks_exact(k).map(|row| dot(row, row).sqrt()).collect()
}

fn untrained(what: &str, rows: usize, index: u32) -> Error {
    let why = if (index as usize) < rows { "has no training ratings" } else { "is not in the model" };
    Error::usage(
        format!("{what} number {index} {why}"),
        format!("pass {what}s of the ratings it was trained on"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{known_answers, random_model};
    use super::*;
    use crate::config::ModelKind;
    use crate::model::Model;

    fn by_definition(a: &[f32], b: &[f32], similarity: Similarity) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
        };
        match similarity {
            Similarity::Dot => dot(a, b),
            Similarity::Cosine if dot(a, a) == 0.0 || dot(b, b) == 0.0 => 0.0,
            Similarity::Cosine => dot(a, b) / dot(a, a).sqrt() / dot(b, b).sqrt(),
        }
    }

    #[test]
    fn neighbors_are_what_a_full_sort_gives() {
        for seed in 0..12 {
            let mut model = random_model(ModelKind::Biased, 40, 30, 5, [0.05, 0.5][seed as usize % 2], seed);
            model.item_factors[15..20].fill(0.0);
            // Equal rows: ties.
            model.item_factors.copy_within(20..25, 25);
            let predictor = model.predictor();
            let k = model.rank;
            let row = |item: u32| &model.item_factors[item as usize * k..][..k];
            for similarity in Similarity::ALL {
                for item in (0..30).filter(|&item| predictor.knows_item(item)) {
                    for (n, min_ratings) in [(1, 0), (7, 1), (7, 3), (30, 0), (usize::MAX, 2)] {
                        let others = (0..30).filter(|&other| {
                            other != item && predictor.item_ratings(other) >= min_ratings.max(1)
                        });
                        let mut expected: Vec<(u32, f64)> = others
                            .map(|other| (other, by_definition(row(item), row(other), similarity)))
                            .collect();
                        // Rounding must not tell equal rows apart.
                        expected.sort_by(|a, b| {
                            let order = b.1.partial_cmp(&a.1).unwrap();
                            if (a.1 - b.1).abs() < 1e-12 { a.0.cmp(&b.0) } else { order }
                        });
                        expected.truncate(n);
                        let wanted = Neighborhood { n, similarity, min_ratings };
                        let found = predictor.similar_items(item, &wanted).unwrap();
                        assert_eq!(found.len(), expected.len());
                        for (found, (index, similarity)) in found.iter().zip(expected) {
                            assert_eq!(found.index, index, "seed {seed}, item {item}, {wanted:?}");
                            assert!((found.similarity - similarity).abs() < 1e-12, "{found:?}, {similarity}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn users_are_compared_as_items_are() {
        let model = random_model(ModelKind::Centered, 20, 15, 4, 0.3, 3);
        let turned = Model {
            users: model.items.clone(),
            items: model.users.clone(),
            user_factors: model.item_factors.clone(),
            item_factors: model.user_factors.clone(),
            seen: crate::data::Compressed {
                // Each former item has rated everything: all are known.
                offsets: (0..=15).map(|row| row * 20).collect(),
                columns: (0..15).flat_map(|_| 0..20).collect(),
            },
            user_bias: vec![0.0; 15],
            item_bias: vec![0.0; 20],
            ..model.clone()
        };
        let (predictor, other) = (model.predictor(), turned.predictor());
        let wanted = Neighborhood { n: 20, ..Neighborhood::default() };
        for user in 0..20 {
            assert!(predictor.knows_user(user));
            assert_eq!(
                predictor.similar_users(user, &wanted).unwrap(),
                other.similar_items(user, &wanted).unwrap()
            );
        }
    }

    #[test]
    fn known_answers_by_hand() {
        let model = known_answers(ModelKind::Biased);
        let predictor = model.predictor();
        let found = |similarity| {
            predictor.similar_items(0, &Neighborhood { similarity, ..Neighborhood::default() }).unwrap()
        };
        // x = (½, −¼) and y = (0, ½); z has no training ratings.
        assert_eq!(found(Similarity::Dot), [Neighbor { index: 1, similarity: -0.125 }]);
        let cosine = found(Similarity::Cosine)[0].similarity;
        assert!((cosine + 0.2_f64.sqrt()).abs() < 1e-15, "{cosine}");
        assert!(
            predictor.similar_items(0, &Neighborhood { n: 0, ..Neighborhood::default() }).unwrap().is_empty()
        );
    }

    #[test]
    fn zero_factors_are_like_nothing() {
        let mut model = known_answers(ModelKind::Biased);
        model.item_factors[2..4].fill(0.0);
        let predictor = model.predictor();
        for item in 0..2 {
            let found = predictor.similar_items(item, &Neighborhood::default()).unwrap();
            assert_eq!(found, [Neighbor { index: 1 - item, similarity: 0.0 }]);
        }
    }

    #[test]
    fn what_has_no_training_ratings_has_no_neighbors() {
        let model = known_answers(ModelKind::Biased);
        let predictor = model.predictor();
        let wanted = Neighborhood::default();
        for (error, what) in [
            (predictor.similar_items(2, &wanted), "item number 2 has no training ratings; "),
            (predictor.similar_items(9, &wanted), "item number 9 is not in the model; "),
            (predictor.similar_users(2, &wanted), "user number 2 has no training ratings; "),
            (predictor.similar_users(u32::MAX, &wanted), "user number 4294967295 is not in the model; "),
        ] {
            let error = error.unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().starts_with(what), "{error}");
        }
    }
}
