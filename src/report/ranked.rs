//! How well lists rank what people turned out to like, beside what needs no model.

use crate::data::Held;
use crate::error::Result;
use crate::model::{Predictor, RankingOptions, RankingReport, evaluate_ranking};

use super::Part;
use super::lists::{LENGTH, evenly};

/// Users times items that rankings may take, about; of more users some are measured, evenly spaced.
const MOST_PAIRS: u64 = 1 << 26;

/// Rankings of some users.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked {
    pub(super) report: RankingReport,
    /// Users of the ratings, of which all or some were ranked for.
    pub(super) users: u64,
    pub(super) some: bool,
}

impl Ranked {
    /// `None` if there is nobody to rank for. What was trained on is no candidate for a list, so
    /// the training ratings rank nothing.
    pub(super) fn new(predictor: &Predictor<'_>, held: &Held, part: Part) -> Result<Option<Self>> {
        if part == Part::Training {
            return Ok(None);
        }
        let mut rated = vec![false; predictor.model().users.len()];
        for user in held.user.iter().flatten() {
            if let Some(rated) = rated.get_mut(*user as usize) {
                *rated = predictor.knows_user(*user);
            }
        }
        let users: Vec<u32> = (0..).zip(&rated).filter(|(_, rated)| **rated).map(|(user, _)| user).collect();
        let most = (MOST_PAIRS / (predictor.model().items.len() as u64).max(1)).max(100) as usize;
        let chosen = evenly(&users, most);
        let some = chosen.len() < users.len();
        if some {
            rated.fill(false);
            chosen.iter().for_each(|&user| rated[user as usize] = true);
        }
        let taken =
            |user: Option<u32>| user.and_then(|user| rated.get(user as usize)).is_some_and(|taken| *taken);
        let ratings = held.iter().filter(|&(user, ..)| !some || taken(user));
        let options = RankingOptions { cutoffs: vec![LENGTH], relevant: None };
        let report = evaluate_ranking(predictor, ratings, &options)?;
        Ok((report.counts.users > 0).then_some(Self { report, users: users.len() as u64, some }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelKind;
    use crate::model::Model;
    use crate::model::testing::random_model;

    /// Each user likes the first item of the next one.
    fn held(model: &Model) -> Held {
        let users = model.users.len() as u32;
        let first = |user: u32| model.seen.row(user as usize).first().copied();
        Held {
            user: (0..users).map(Some).collect(),
            item: (0..users).map(|user| first((user + 1) % users)).collect(),
            value: vec![5.0; users as usize],
        }
    }

    #[test]
    fn rankings_are_those_of_evaluate() {
        let model = random_model(ModelKind::Biased, 150, 2_000, 2, 0.01, 3);
        let (predictor, held) = (model.predictor(), held(&model));
        let ranked = Ranked::new(&predictor, &held, Part::Validation).unwrap().unwrap();
        let expected = evaluate_ranking(&predictor, held.iter(), &RankingOptions::default()).unwrap();
        assert_eq!((ranked.report, ranked.users, ranked.some), (expected, 150, false));
        assert_eq!(Ranked::new(&predictor, &held, Part::Training).unwrap(), None);
        assert_eq!(Ranked::new(&predictor, &Held::default(), Part::Test).unwrap(), None);
    }

    #[test]
    fn of_too_many_users_some_are_ranked_for() {
        // So many items that 134 users are enough.
        let model = random_model(ModelKind::Biased, 160, 500_000, 1, 0.00001, 3);
        let (predictor, held) = (model.predictor(), held(&model));
        let ranked = Ranked::new(&predictor, &held, Part::Test).unwrap().unwrap();
        let known = (0..160).filter(|&user| predictor.knows_user(user)).count() as u64;
        assert!(known > 140 && ranked.users == known && ranked.some, "{known} users");
        let counted = ranked.report.counts.users;
        assert!((100..=134).contains(&counted), "{counted} users");
        // Only whole users are left out: each has its one relevant item.
        assert_eq!(ranked.report.counts.relevant, counted);
    }
}
