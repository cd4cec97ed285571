//! Which of a file's ratings a model was trained on.
//!
//! The model's file knows which items each user rated in the training part. So the training part
//! and what was held out of it are told apart without the flags of the split, and the hash of the
//! training part tells whether the file is the one.

use crate::data::{Held, IdMap, Ratings};
use crate::model::Predictor;

use super::Part;

/// A file's ratings beside a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeated {
    /// Whether the ratings that the model was trained on are exactly those of the file which it knows.
    pub same: bool,
    /// What to measure with: ratings that were not trained on, or else those that were.
    pub held: Held,
    /// What those are.
    pub part: Part,
}

impl Repeated {
    /// Looks for the training part among ratings that were read as they were for training: with the
    /// same files and reading flags.
    pub fn of(predictor: &Predictor<'_>, ratings: &Ratings) -> Self {
        let model = predictor.model();
        let indices = |of: &crate::data::Ids, known: &crate::data::Ids| -> Vec<Option<u32>> {
            let known = IdMap::from(known.clone());
            of.iter().map(|id| known.get(id)).collect()
        };
        let users = indices(&ratings.users, &model.users);
        let items = indices(&ratings.items, &model.items);
        let (mut trained, mut rest) = (Ratings::default(), Held::default());
        let mut seen = Held::default();
        for (user, item, value) in ratings.iter() {
            let (known_user, known_item) = (users[user as usize], items[item as usize]);
            let was_seen = match (known_user, known_item) {
                (Some(user), Some(item)) => predictor.has_seen(user, item),
                _ => false,
            };
            let part = if was_seen { &mut seen } else { &mut rest };
            part.user.push(known_user);
            part.item.push(known_item);
            part.value.push(value);
            if was_seen {
                trained.user.push(user);
                trained.item.push(item);
                trained.value.push(value);
            }
        }
        // As after a split, whose parts have the ids of the whole.
        trained.users = ratings.users.clone();
        trained.items = ratings.items.clone();
        let same = trained.hash() == model.metadata.data_hash;
        let (held, part) = match (rest.is_empty(), same) {
            (true, _) => (seen, Part::Training),
            (false, true) => (rest, Part::Validation),
            (false, false) => (rest, Part::Unseen),
        };
        Self { same, held, part }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::CpuBackend;
    use crate::config::TrainConfig;
    use crate::data::planted::Planted;
    use crate::event::Silent;
    use crate::model::Model;
    use crate::train::{Dataset, train};

    fn ratings() -> Ratings {
        Planted::new(40, 30, 600).seed(3).generate().unwrap().ratings
    }

    fn trained(train_on: Ratings, valid: Option<Held>) -> Model {
        let config = TrainConfig { rank: 2, epochs: Some(3), ..TrainConfig::default() }.check().unwrap();
        let data = Dataset { train: train_on, valid, test: None };
        train(config, &data, &mut CpuBackend::new(Some(1)).unwrap(), &mut Silent).unwrap()
    }

    #[test]
    fn the_validation_part_is_found_again_without_the_split_s_flags() {
        let (train_on, valid) = ratings().split(0.2, 5).unwrap();
        let model = trained(train_on, Some(valid.clone()));
        let repeated = Repeated::of(&model.predictor(), &ratings());
        assert!(repeated.same);
        assert_eq!((repeated.part, repeated.held), (Part::Validation, valid));
    }

    #[test]
    fn without_a_split_the_training_ratings_are_left() {
        let model = trained(ratings(), None);
        let repeated = Repeated::of(&model.predictor(), &ratings());
        assert_eq!((repeated.same, repeated.part, repeated.held.len()), (true, Part::Training, 600));
    }

    #[test]
    fn another_file_is_told() {
        let model = trained(ratings(), None);
        let mut other = ratings();
        other.value[7] += 0.5;
        let changed = Repeated::of(&model.predictor(), &other);
        assert_eq!((changed.same, changed.part), (false, Part::Training));
        let other = Planted::new(40, 30, 600).seed(4).generate().unwrap().ratings;
        let unseen = Repeated::of(&model.predictor(), &other);
        assert_eq!((unseen.same, unseen.part), (false, Part::Unseen));
        assert!(!unseen.held.is_empty() && unseen.held.len() < 600);
        let predictor = model.predictor();
        for (user, item, _) in unseen.held.iter() {
            let (Some(user), Some(item)) = (user, item) else { continue };
            assert!(!predictor.has_seen(user, item));
        }
    }
}
