//! Predictions of single ratings, and what happens where nothing is known.

use std::sync::OnceLock;

use super::Model;
use super::interval::Spread;
use crate::data::{IdMap, Known};

/// What to do about a pair whose user or item has no training ratings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// Predict from what is known: the other side's bias, else the mean rating.
    #[default]
    Mean,
    /// Refuse.
    Error,
    /// Leave the pair out.
    Skip,
}

impl Unknown {
    /// Every policy, in the order of the help text.
    pub const ALL: [Unknown; 3] = [Unknown::Mean, Unknown::Error, Unknown::Skip];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Unknown::Mean => "mean",
            Unknown::Error => "error",
            Unknown::Skip => "skip",
        }
    }

    /// Applies the policy: a rating, `None` for a pair to leave out, or as the
    /// error what is unknown. `counts` takes note either way.
    pub fn apply(self, prediction: Prediction, counts: &mut UnknownCounts) -> Result<Option<f64>, Part> {
        counts.count(prediction.unknown);
        match (prediction.unknown, self) {
            (None, _) | (Some(_), Unknown::Mean) => Ok(Some(prediction.rating)),
            (Some(_), Unknown::Skip) => Ok(None),
            (Some(part), Unknown::Error) => Err(part),
        }
    }
}

/// Which part of a pair has no training ratings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The user.
    User,
    /// The item.
    Item,
    /// Both.
    Both,
}

impl Part {
    /// The part in words.
    pub fn name(self) -> &'static str {
        match self {
            Part::User => "user",
            Part::Item => "item",
            Part::Both => "user and item",
        }
    }
}

/// A predicted rating.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// In rating units, clipped if the model clips.
    pub rating: f64,
    /// What was unknown, if anything.
    pub unknown: Option<Part>,
    /// The rating before clipping: the middle of an interval.
    pub unclipped: f64,
    /// Standard deviation of the rating's mean, `s·√(Σ_f(ũ v̄² + ū² ṽ + ũ ṽ) + b̃ + c̃)`, in rating
    /// units: how well the factors are known. `None` where the model has no posterior.
    pub mean_std: Option<f64>,
    /// Standard deviation of a rating, with the noise: `s·√(mean's variance + σ_u²)` times the
    /// calibration's factor, in rating units.
    pub rating_std: Option<f64>,
}

/// How many pairs were predicted and how many of them had an unknown part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnknownCounts {
    /// All pairs.
    pub pairs: u64,
    /// Pairs with an unknown user and a known item.
    pub users: u64,
    /// Pairs with a known user and an unknown item.
    pub items: u64,
    /// Pairs with both unknown.
    pub both: u64,
}

impl UnknownCounts {
    /// Pairs with at least one unknown part.
    pub fn unknown(&self) -> u64 {
        self.users + self.items + self.both
    }

    fn count(&mut self, unknown: Option<Part>) {
        self.pairs += 1;
        match unknown {
            None => {}
            Some(Part::User) => self.users += 1,
            Some(Part::Item) => self.items += 1,
            Some(Part::Both) => self.both += 1,
        }
    }
}

/// A model made ready to answer. Made once from [`Model::predictor`] and shared by threads.
#[derive(Debug)]
pub struct Predictor<'a> {
    pub(super) model: &'a Model,
    known: Known,
    // Only questions by id need them.
    user_map: OnceLock<IdMap>,
    item_map: OnceLock<IdMap>,
    // Only neighbours need them: the lengths of rows of factors.
    pub(super) user_norms: OnceLock<Vec<f64>>,
    pub(super) item_norms: OnceLock<Vec<f64>>,
    // Only standard deviations of what is unknown need it.
    pub(super) spread: OnceLock<Spread>,
}

impl Model {
    /// Makes the model ready to answer: counts each item's training ratings, once.
    ///
    /// The model must pass [`Model::check`], as a loaded one does.
    pub fn predictor(&self) -> Predictor<'_> {
        Predictor {
            model: self,
            known: self.known(),
            user_map: OnceLock::new(),
            item_map: OnceLock::new(),
            user_norms: OnceLock::new(),
            item_norms: OnceLock::new(),
            spread: OnceLock::new(),
        }
    }

    /// Who has training ratings.
    pub fn known(&self) -> Known {
        let mut item_counts = vec![0; self.items.len()];
        for &item in &self.seen.columns {
            item_counts[item as usize] += 1;
        }
        let user_counts = self.seen.offsets.windows(2).map(|ends| ends[1] - ends[0]).collect();
        Known { user_counts, item_counts }
    }

    /// The items that a user rated in the training part, ascending.
    pub(super) fn seen_by(&self, user: u32) -> &[u32] {
        let row = user as usize;
        &self.seen.columns[self.seen.offsets[row] as usize..self.seen.offsets[row + 1] as usize]
    }
}

impl<'a> Predictor<'a> {
    /// The model that answers.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Who has training ratings.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The index of a user's id, whether or not it has training ratings.
    pub fn user(&self, id: &[u8]) -> Option<u32> {
        self.user_map.get_or_init(|| IdMap::from(self.model.users.clone())).get(id)
    }

    /// The index of an item's id, whether or not it has training ratings.
    pub fn item(&self, id: &[u8]) -> Option<u32> {
        self.item_map.get_or_init(|| IdMap::from(self.model.items.clone())).get(id)
    }

    /// The index of a user's id that has training ratings.
    pub fn trained_user(&self, id: &[u8]) -> Option<u32> {
        self.known.user(self.user(id))
    }

    /// The index of an item's id that has training ratings.
    pub fn trained_item(&self, id: &[u8]) -> Option<u32> {
        self.known.item(self.item(id))
    }

    /// Whether a user index has training ratings.
    pub fn knows_user(&self, user: u32) -> bool {
        self.user_ratings(user) > 0
    }

    /// Whether an item index has training ratings.
    pub fn knows_item(&self, item: u32) -> bool {
        self.item_ratings(item) > 0
    }

    /// Training ratings of an item; 0 where the index is not the model's.
    pub fn item_ratings(&self, item: u32) -> u64 {
        self.known.item_ratings(item)
    }

    /// Training ratings of a user; 0 where the index is not the model's.
    pub fn user_ratings(&self, user: u32) -> u64 {
        self.known.user_ratings(user)
    }

    /// Whether a user rated an item in the training part; `false` where an index is not the model's.
    pub fn has_seen(&self, user: u32, item: u32) -> bool {
        (user as usize) < self.model.users.len() && self.model.seen_by(user).binary_search(&item).is_ok()
    }

    /// The predicted rating of a pair of indices; `None` is an id that the model does not have.
    ///
    /// Unknown parts take no part: with biases an unknown user's prediction is `mean + scale·c_i`;
    /// with nothing known, or without biases, it is the mean training rating.
    pub fn predict(&self, user: Option<u32>, item: Option<u32>) -> Prediction {
        let model = self.model;
        let (user, item) = (self.known.user(user), self.known.item(item));
        let (user, item) = (user.map(|user| user as usize), item.map(|item| item as usize));
        let (bias, mean) = (model.kind.has_bias(), model.metadata.rating_mean);
        let one_sided = |bias: f32| model.mean + model.scale * f64::from(bias);
        let (rating, unknown) = match (user, item) {
            (Some(user), Some(item)) => (self.unclipped(user, item), None),
            (None, Some(item)) if bias => (one_sided(model.item_bias[item]), Some(Part::User)),
            (Some(user), None) if bias => (one_sided(model.user_bias[user]), Some(Part::Item)),
            (None, Some(_)) => (mean, Some(Part::User)),
            (Some(_), None) => (mean, Some(Part::Item)),
            (None, None) => (mean, Some(Part::Both)),
        };
        let variance = self.variance(user, item);
        let mean_std = variance.map(|(mean, _)| model.scale * mean.sqrt());
        let rating_std = variance.map(|(_, rating)| model.scale * rating.sqrt());
        Prediction { rating: self.clipped(rating), unknown, unclipped: rating, mean_std, rating_std }
    }

    /// [`predict`](Self::predict) for a pair of ids.
    pub fn predict_ids(&self, user: &[u8], item: &[u8]) -> Prediction {
        self.predict(self.user(user), self.item(item))
    }

    /// `mean + scale·(b_u + c_i + u·v)` of two indices in range, summed in f64.
    pub(super) fn unclipped(&self, user: usize, item: usize) -> f64 {
        let Model { rank: k, user_factors, item_factors, user_bias, item_bias, .. } = self.model;
        let u = &user_factors[user * k..(user + 1) * k];
        let v = &item_factors[item * k..(item + 1) * k];
        let biases = f64::from(user_bias[user]) + f64::from(item_bias[item]);
        self.model.mean + self.model.scale * (biases + dot(u, v))
    }

    pub(super) fn clipped(&self, rating: f64) -> f64 {
        let metadata = &self.model.metadata;
        if self.model.clip {
            rating.max(f64::from(metadata.rating_min)).min(f64::from(metadata.rating_max))
        } else {
            rating
        }
    }
}

/// `u·v` in f64. Eight sums side by side, always in the same order, so that it
/// vectorises and never depends on the machine.
pub(super) fn dot(u: &[f32], v: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (u_chunks, u_rest) = u.as_chunks::<LANES>();
    let (v_chunks, v_rest) = v.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (u, v) in u_chunks.iter().zip(v_chunks) {
        for lane in 0..LANES {
            sums[lane] += f64::from(u[lane]) * f64::from(v[lane]);
        }
    }
    let rest: f64 = u_rest.iter().zip(v_rest).map(|(&u, &v)| f64::from(u) * f64::from(v)).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::super::testing::{known_answers, random_model};
    use super::*;
    use crate::config::ModelKind;

    #[test]
    fn known_answers_by_hand() {
        let model = known_answers(ModelKind::Biased);
        let predictor = model.predictor();
        let predict = |user: &str, item: &str| {
            let Prediction { rating, unknown, .. } = predictor.predict_ids(user.as_bytes(), item.as_bytes());
            (rating, unknown)
        };
        // 3 + 2·(0.25 + 0.125 + (1·0.5 + 2·(−0.25))) = 3.75
        assert_eq!(predict("ann", "x"), (3.75, None));
        // 3 + 2·(0.25 − 0.5 + (1·0 + 2·0.5)) = 4.5
        assert_eq!(predict("ann", "y"), (4.5, None));
        // 3 + 2·(−0.5 + 0.125 + (−1·0.5 + 4·(−0.25))) = −0.75, clipped to 1
        assert_eq!(predict("bob", "x"), (1.0, None));
        // cid and z have factors and biases but no training ratings.
        assert_eq!(predict("cid", "x"), (3.25, Some(Part::User)));
        assert_eq!(predict("ann", "z"), (3.5, Some(Part::Item)));
        assert_eq!(predict("cid", "z"), (3.5, Some(Part::Both)));
        assert_eq!(
            ["ann", "cid", "dot"].map(|id| predictor.trained_user(id.as_bytes())),
            [Some(0), None, None]
        );
        assert_eq!(["y", "z", "q"].map(|id| predictor.trained_item(id.as_bytes())), [Some(1), None, None]);
        // dot and q are not in the model at all.
        assert_eq!(predict("dot", "y"), (2.0, Some(Part::User)));
        assert_eq!(predict("bob", "q"), (2.0, Some(Part::Item)));
        assert_eq!(predict("dot", "q"), (3.5, Some(Part::Both)));
    }

    #[test]
    fn without_clip_the_sum_stands() {
        let model = Model { clip: false, ..known_answers(ModelKind::Biased) };
        assert_eq!(model.predictor().predict(Some(1), Some(0)).rating, -0.75);
    }

    #[test]
    fn without_biases_any_unknown_part_gives_the_mean_rating() {
        for kind in [ModelKind::Plain, ModelKind::Centered] {
            let model = known_answers(kind);
            let predictor = model.predictor();
            for (user, item) in [("cid", "x"), ("ann", "z"), ("dot", "x"), ("ann", "q"), ("dot", "q")] {
                let prediction = predictor.predict_ids(user.as_bytes(), item.as_bytes());
                assert_eq!(prediction.rating, 3.5, "{} {user} {item}", kind.name());
                assert!(prediction.unknown.is_some());
            }
        }
        // 3 + 2·(1·0 + 2·0.5) and plainly 1·0 + 2·0.5
        assert_eq!(known_answers(ModelKind::Centered).predictor().predict(Some(0), Some(1)).rating, 5.0);
        assert_eq!(known_answers(ModelKind::Plain).predictor().predict(Some(0), Some(1)).rating, 1.0);
    }

    #[test]
    fn an_index_past_the_end_is_unknown() {
        let model = known_answers(ModelKind::Biased);
        let prediction = model.predictor().predict(Some(99), Some(u32::MAX));
        assert_eq!((prediction.rating, prediction.unknown), (3.5, Some(Part::Both)));
    }

    #[test]
    fn the_dot_product_is_the_sum_of_products() {
        for k in [1, 3, 7, 8, 9, 31, 32, 129] {
            let model = random_model(ModelKind::Plain, 1, 1, k, 1.0, k as u64);
            let plain: f64 =
                (0..k).map(|f| f64::from(model.user_factors[f]) * f64::from(model.item_factors[f])).sum();
            let lanes = dot(&model.user_factors, &model.item_factors);
            assert!((lanes - plain).abs() <= 1e-14 * k as f64, "k = {k}: {lanes} and {plain}");
        }
    }

    #[test]
    fn policies_keep_refuse_or_leave_out_and_count() {
        let known =
            Prediction { rating: 4.0, unknown: None, unclipped: 4.0, mean_std: None, rating_std: None };
        let unknown = |part| Prediction { rating: 3.0, unknown: Some(part), unclipped: 3.0, ..known };
        let mut counts = UnknownCounts::default();
        for policy in Unknown::ALL {
            assert_eq!(policy.apply(known, &mut counts), Ok(Some(4.0)), "{}", policy.name());
        }
        assert_eq!(Unknown::Mean.apply(unknown(Part::User), &mut counts), Ok(Some(3.0)));
        assert_eq!(Unknown::Skip.apply(unknown(Part::Item), &mut counts), Ok(None));
        assert_eq!(Unknown::Error.apply(unknown(Part::Both), &mut counts), Err(Part::Both));
        assert_eq!(counts, UnknownCounts { pairs: 6, users: 1, items: 1, both: 1 });
        assert_eq!(counts.unknown(), 3);
        assert_eq!(Unknown::ALL.map(Unknown::name), ["mean", "error", "skip"]);
    }
}
