//! Known answers, and the definitions written out for every user, item and rank.

use super::super::testing::{known_answers, random_model};
use super::super::{BaselineBiases, Metadata, Model};
use super::*;
use crate::config::ModelKind;

type Rating = (Option<u32>, Option<u32>, f32);

/// Scores by hand, a row a user.
struct Table(Vec<Vec<f64>>);

impl Scorer for Table {
    fn scores(&self, user: u32, scores: &mut [f64]) {
        scores.copy_from_slice(&self.0[user as usize]);
    }
}

/// `users` who rated nothing of what is tested: a last one rated all `items`, another one more item.
fn open(users: usize, items: usize) -> Model {
    let mut rows = vec![vec![items as u32]; users];
    rows.push((0..=items as u32).collect());
    Model {
        users: super::super::testing::ids(&(0..=users).map(|u| format!("u{u}")).collect::<Vec<_>>()),
        items: super::super::testing::ids(&(0..=items).map(|i| format!("i{i}")).collect::<Vec<_>>()),
        user_factors: vec![0.0; users + 1],
        item_factors: vec![0.0; items + 1],
        user_bias: vec![0.0; users + 1],
        item_bias: vec![0.0; items + 1],
        rank: 1,
        seen: super::super::testing::pattern(&rows),
        ..known_answers(ModelKind::Biased)
    }
}

fn close(found: Option<f64>, expected: f64, what: &str) {
    let found = found.unwrap_or(f64::NAN);
    assert!((found - expected).abs() < 1e-12, "{what}: {found} and not {expected}");
}

#[test]
fn known_answers_by_hand() {
    let model = open(2, 5);
    model.check().unwrap();
    let predictor = model.predictor();
    // The first user's relevant items rank 1 and 4 of 5; the second's only one ranks 3, after a tie.
    let scores = Table(vec![vec![5.0, 4.0, 3.0, 2.0, 1.0, 9.0], vec![1.0, 2.0, 3.0, 3.0, 4.0, 9.0]]);
    let test = [(0, 0, 4.0), (0, 3, 5.0), (0, 1, 3.0), (1, 3, 4.0)];
    let test = test.map(|(user, item, rating)| (Some(user), Some(item), rating));
    let task = RankingTask::new(&predictor, test, 4.0);
    assert_eq!(task.counts(), RankingCounts { users: 2, items: 6, relevant: 3, ..RankingCounts::default() });
    let ranking = task.measure(&scores, &[4, 2, 9, 2]);
    assert_eq!(ranking.top.iter().map(|top| top.k).collect::<Vec<_>>(), [2, 4, 9]);
    close(ranking.at("precision", 2), (0.5 + 0.0) / 2.0, "precision@2");
    close(ranking.at("precision", 4), (0.5 + 0.25) / 2.0, "precision@4");
    close(ranking.at("precision", 9), (2.0 / 9.0 + 1.0 / 9.0) / 2.0, "a list that can't be filled");
    close(ranking.at("recall", 2), (0.5 + 0.0) / 2.0, "recall@2");
    close(ranking.at("recall", 9), 1.0, "recall@9");
    let log = f64::log2;
    close(ranking.at("ndcg", 2), 1.0 / (1.0 + 1.0 / log(3.0)) / 2.0, "ndcg@2");
    let first = (1.0 + 1.0 / log(5.0)) / (1.0 + 1.0 / log(3.0));
    close(ranking.at("ndcg", 4), (first + 0.5) / 2.0, "ndcg@4");
    close(ranking.at("map", 2), (0.5 + 0.0) / 2.0, "map@2");
    close(ranking.at("map", 4), ((1.0 + 0.5) / 2.0 + 1.0 / 3.0) / 2.0, "map@4");
    close(ranking.at("hit_rate", 2), 0.5, "hit_rate@2");
    close(ranking.at("hit_rate", 4), 1.0, "hit_rate@4");
    // 0 and 1, 4 and 2; the item that both rated is in no list.
    close(ranking.at("coverage", 2), 4.0 / 6.0, "coverage@2");
    close(ranking.at("coverage", 9), 5.0 / 6.0, "coverage@9");
    close(ranking.get("mrr"), (1.0 + 1.0 / 3.0) / 2.0, "mrr");
    // 3 + 1 of 6 pairs; 2½ of 4.
    close(ranking.get("auc"), (4.0 / 6.0 + 2.5 / 4.0) / 2.0, "auc");
    assert_eq!((ranking.at("ndcg", 3), ranking.at("mrr", 2), ranking.get("precision")), (None, None, None));
}

#[test]
fn who_and_what_can_t_be_ranked_is_left_out_and_counted() {
    // ann rated x, bob x and y; cid and z have no training ratings.
    let model = known_answers(ModelKind::Biased);
    let predictor = model.predictor();
    let test: [Rating; 9] = [
        (Some(0), Some(1), 2.0),
        (Some(0), Some(1), 5.0), // the pair again: its highest rating decides
        (Some(0), Some(0), 5.0), // seen
        (Some(0), None, 5.0),
        (Some(1), Some(2), 4.0), // all that bob likes is unknown
        (Some(2), Some(1), 5.0),
        (None, Some(1), 5.0),
        (None, None, 1.0),
        (Some(9), Some(1), 1.0),
    ];
    let options = RankingOptions { cutoffs: vec![1], relevant: Some(4.0) };
    let report = evaluate_ranking(&predictor, test, &options).unwrap();
    let expected = RankingCounts {
        users: 1,
        items: 2,
        relevant: 1,
        users_without_relevant: 0,
        users_without_candidate: 1,
        unknown_users: 2,
        unknown_items: 2,
        seen: 1,
    };
    assert_eq!(report.counts, expected);
    assert_eq!(report.bias, None, "the file has no baseline");
    assert_eq!((report.model.at("precision", 1), report.model.get("mrr")), (Some(1.0), Some(1.0)));
    // Its only candidate is relevant: there is no pair to order.
    assert_eq!(report.model.get("auc"), None);

    let none =
        evaluate_ranking(&predictor, test, &RankingOptions { relevant: Some(5.5), ..options }).unwrap();
    assert_eq!((none.counts.users, none.counts.users_without_relevant), (0, 2));
    assert!(none.model.whole.iter().chain(&none.model.top[0].values).all(|(_, value)| value.is_none()));
    assert_eq!(none.model.top[0].values.len() + none.model.whole.len(), RANKING_METRICS.len());
}

#[test]
fn the_mean_rating_is_the_threshold_unless_told() {
    let model = open(1, 3);
    let model = Model { metadata: Metadata { rating_mean: 3.5, ..model.metadata.clone() }, ..model };
    let predictor = model.predictor();
    let test = [(Some(0), Some(0), 3.5), (Some(0), Some(1), 3.4)];
    let report = evaluate_ranking(&predictor, test, &RankingOptions::default()).unwrap();
    assert_eq!((report.threshold, report.counts.relevant), (3.5, 1));
    // Told as f32, as ratings are: 3.4 reaches 3.4.
    let options = RankingOptions { relevant: Some(3.4), ..RankingOptions::default() };
    assert_eq!(evaluate_ranking(&predictor, test, &options).unwrap().counts.relevant, 2);
    for (cutoffs, relevant) in [(vec![], None), (vec![5, 0], None), (vec![1], Some(f32::NAN))] {
        let options = RankingOptions { cutoffs, relevant };
        assert_eq!(evaluate_ranking(&predictor, test, &options).unwrap_err().exit_code(), 2);
    }
}

/// Each metric from its definition, item by item: `order` is the whole ranking of one user.
fn by_definition(order: &[(f64, u32)], relevant: &[u32], k: usize) -> Vec<(&'static str, Option<f64>)> {
    let is = |item: &u32| relevant.contains(item);
    let list: Vec<u32> = order.iter().take(k).map(|entry| entry.1).collect();
    let hits = list.iter().filter(|item| is(item)).count() as f64;
    let dcg = |gains: &[f64]| -> f64 {
        gains.iter().enumerate().map(|(at, gain)| gain / ((at + 2) as f64).log2()).sum()
    };
    let gains: Vec<f64> = order.iter().map(|(_, item)| f64::from(u8::from(is(item)))).collect();
    let mut ideal = gains.clone();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let [gains, ideal] = [gains, ideal].map(|gains| gains.into_iter().take(k).collect::<Vec<_>>());
    let mut precisions = 0.0;
    for length in 1..=list.len() {
        if is(&list[length - 1]) {
            precisions += list[..length].iter().filter(|item| is(item)).count() as f64 / length as f64;
        }
    }
    let first = order.iter().position(|(_, item)| is(item)).unwrap();
    let (mut right, mut pairs) = (0.0, 0.0);
    for (liked, item) in order {
        for (other, j) in order {
            if is(item) && !is(j) {
                pairs += 1.0;
                right += if liked > other { 1.0 } else { f64::from(u8::from(liked == other)) / 2.0 };
            }
        }
    }
    vec![
        ("precision", Some(hits / k as f64)),
        ("recall", Some(hits / relevant.len() as f64)),
        ("ndcg", Some(dcg(&gains) / dcg(&ideal))),
        ("map", Some(precisions / k.min(relevant.len()) as f64)),
        ("hit_rate", Some(f64::from(u8::from(hits > 0.0)))),
        ("mrr", Some(1.0 / (first + 1) as f64)),
        ("auc", (pairs > 0.0).then(|| right / pairs)),
    ]
}

/// Ranks by `score` with a full sort and averages what the definitions say. Coverage comes last.
fn brute_force(
    predictor: &Predictor<'_>,
    test: &[Rating],
    threshold: f64,
    k: usize,
    score: impl Fn(u32, u32) -> f64,
) -> Vec<(&'static str, Option<f64>)> {
    let items: Vec<u32> = (0..50).filter(|&item| predictor.knows_item(item)).collect();
    let (mut all, mut listed) = (Vec::new(), std::collections::HashSet::new());
    for user in (0..50).filter(|&user| predictor.knows_user(user)) {
        let candidates = items.iter().filter(|item| !predictor.model().seen_by(user).contains(item));
        let mut order: Vec<(f64, u32)> = candidates.map(|&item| (score(user, item), item)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let liked = |item: u32| {
            test.iter().any(|t| t.0 == Some(user) && t.1 == Some(item) && f64::from(t.2) >= threshold)
        };
        let relevant: Vec<u32> = order.iter().map(|entry| entry.1).filter(|&item| liked(item)).collect();
        if !relevant.is_empty() {
            all.push(by_definition(&order, &relevant, k));
            listed.extend(order.iter().take(k).map(|entry| entry.1));
        }
    }
    let mean = |at: usize| {
        let values: Vec<f64> = all.iter().filter_map(|values| values[at].1).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let coverage = (!all.is_empty()).then(|| listed.len() as f64 / items.len() as f64);
    let names = ["precision", "recall", "ndcg", "map", "hit_rate", "mrr", "auc"];
    names.into_iter().enumerate().map(|(at, name)| (name, mean(at))).chain([("coverage", coverage)]).collect()
}

fn random_test(seed: u64) -> Vec<Rating> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut index = |end: u32| Some(rng.random_range(0..end)).filter(|_| rng.random_bool(0.95));
    let pairs: Vec<_> = (0..120).map(|_| (index(9), index(24))).collect();
    pairs.into_iter().map(|(user, item)| (user, item, rng.random_range(1..6) as f32)).collect()
}

#[test]
fn every_metric_is_what_its_definition_says() {
    for seed in 0..40 {
        let density = [0.05, 0.3, 0.8][seed as usize % 3];
        let kind = ModelKind::ALL[seed as usize % ModelKind::ALL.len()];
        let mut model = random_model(kind, 8, 21, 3, density, seed);
        if seed % 2 == 0 {
            // Few distinct factors: ties.
            model.user_factors.iter_mut().chain(&mut model.item_factors).for_each(|x| *x = x.round());
            model.user_bias.iter_mut().chain(&mut model.item_bias).for_each(|x| *x = x.round());
        }
        let biases = |values: &[f32]| values.iter().map(|x| (2.0 * x).round()).collect();
        model.baseline = Some(BaselineBiases {
            user_bias: biases(&model.user_factors[..8]),
            item_bias: biases(&model.item_factors[..21]),
        });
        let predictor = model.predictor();
        let test = random_test(seed);
        let cutoffs = [1, 2, 5, 21, 1_000, usize::MAX];
        let options = RankingOptions { cutoffs: cutoffs.to_vec(), relevant: Some(4.0) };
        let report = evaluate_ranking(&predictor, test.iter().copied(), &options).unwrap();
        let check = |ranking: &Ranking, score: &dyn Fn(u32, u32) -> f64, what: &str| {
            for k in cutoffs {
                for (name, expected) in brute_force(&predictor, &test, 4.0, k, score) {
                    let found = ranking.at(name, k).or(ranking.get(name));
                    let same = match (found, expected) {
                        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
                        (found, expected) => found == expected,
                    };
                    assert!(same, "seed {seed}, {what}, {name}@{k}: {found:?} and not {expected:?}");
                }
            }
        };
        check(&report.model, &|user, item| predictor.predict(Some(user), Some(item)).unclipped, "model");
        let rows = &model.seen.columns;
        check(
            &report.popularity,
            &|_, item| rows.iter().filter(|&&i| i == item).count() as f64,
            "popularity",
        );
        let bias = model.bias_baseline().unwrap();
        let by_bias =
            |user: u32, item: u32| bias.mean + bias.user_bias[user as usize] + bias.item_bias[item as usize];
        check(report.bias.as_ref().unwrap(), &by_bias, "bias");
    }
}

#[test]
fn precision_is_that_of_the_lists_that_are_recommended() {
    for seed in 0..12 {
        let mut model = random_model(ModelKind::Biased, 8, 21, 2, 0.3, seed);
        model.user_factors.iter_mut().chain(&mut model.item_factors).for_each(|x| *x = x.round());
        model.user_bias.iter_mut().chain(&mut model.item_bias).for_each(|x| *x = x.round());
        let predictor = model.predictor();
        let test = random_test(seed);
        let task = RankingTask::new(&predictor, test.iter().copied(), 3.0);
        for k in [1, 3, 10] {
            let (mut hits, mut users) = (0, 0);
            for user in 0..8 {
                let unseen = |item: &u32| !model.seen_by(user).contains(item) && predictor.knows_item(*item);
                let liked = |t: &&Rating| t.0 == Some(user) && t.2 >= 3.0 && t.1.as_ref().is_some_and(unseen);
                let liked: Vec<u32> = test.iter().filter(liked).filter_map(|t| t.1).collect();
                if predictor.knows_user(user) && !liked.is_empty() {
                    users += 1;
                    let list = predictor.recommend_index(user, k, false);
                    hits += list.iter().filter(|best| liked.contains(&best.item)).count();
                }
            }
            assert_eq!(task.counts().users, users);
            close(
                task.measure(&predictor, &[k]).at("precision", k),
                hits as f64 / (k as u64 * users) as f64,
                "precision",
            );
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let model = random_model(ModelKind::Biased, 5_000, 21, 3, 0.2, 1);
    let predictor = model.predictor();
    let test: Vec<Rating> = (0..20_000_u32).map(|at| (Some(at % 5_000), Some(at * 7 % 21), 5.0)).collect();
    let measure = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            evaluate_ranking(&predictor, test.iter().copied(), &RankingOptions::default()).unwrap()
        })
    };
    let one = measure(1);
    assert!(one.counts.users > 4_500 && one.model.get("auc").is_some());
    for threads in [2, 5] {
        assert_eq!(measure(threads), one, "{threads} threads");
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = RANKING_METRICS.iter().map(|metric| metric.name).collect();
    names.extend(super::super::METRICS.iter().map(|metric| metric.name));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
