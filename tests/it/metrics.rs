//! Ranking metrics beside what scikit-learn and trec_eval say of the same rankings, and their page.

use deltav::config::TrainConfig;
use deltav::data::{IdMap, Ids, Ratings};
use deltav::event::Silent;
use deltav::model::{BiasBaseline, METRICS, Model, RANKING_METRICS, RankingCompute, RankingTask, Scorer};
use deltav::train::{Dataset, train};
use serde_json::Value;

use crate::support::devices;

/// Made by `golden/metrics.py`, whose head has the libraries' versions.
const GOLDEN: &str = include_str!("golden/metrics.json");

/// Scores from the file, a row a user.
struct Scores(Vec<Vec<f64>>);

impl Scorer for Scores {
    fn scores(&self, user: u32, scores: &mut [f64]) {
        scores.copy_from_slice(&self.0[user as usize]);
    }
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

/// A model that has learned nothing, of the given training pairs.
fn model(pairs: &[Vec<f64>], users: usize, items: usize) -> (Model, Ratings) {
    let ids = |count: usize| -> Ids {
        let mut ids = IdMap::new();
        (0..count).for_each(|id| assert!(ids.get_or_insert(id.to_string().as_bytes()).is_some()));
        ids.into_ids()
    };
    let ratings = Ratings {
        users: ids(users),
        items: ids(items),
        user: pairs.iter().map(|pair| pair[0] as u32).collect(),
        item: pairs.iter().map(|pair| pair[1] as u32).collect(),
        value: (0..pairs.len()).map(|at| (at * 7 % 5) as f32).collect(),
        time: None,
    };
    let data = Dataset { train: ratings, valid: None, test: None };
    let config = TrainConfig { rank: 1, epochs: Some(0), ..TrainConfig::default() };
    let model = train(config.check().unwrap(), &data, &mut devices::cpu(1), &mut Silent).unwrap();
    (model, data.train)
}

#[test]
fn rankings_are_measured_as_scikit_learn_and_trec_eval_do() {
    let cases: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(cases.len(), 3);
    for (number, case) in cases.iter().enumerate() {
        let scores = rows(&case["scores"]);
        let (model, _) = model(&rows(&case["train"]), scores.len(), scores[0].len());
        let predictor = model.predictor();
        let test = rows(&case["test"]);
        let test = test.iter().map(|t| (Some(t[0] as u32), Some(t[1] as u32), t[2] as f32));
        let task = RankingTask::new(&predictor, test, case["relevant"].as_f64().unwrap());
        assert_eq!(task.counts().users, case["users"].as_u64().unwrap());
        let cutoffs: Vec<usize> = serde_json::from_value(case["cutoffs"].clone()).unwrap();
        let ranking = task.measure(&Scores(scores), &cutoffs);
        let expected = case["expected"].as_object().unwrap();
        assert_eq!(expected.len(), 6 * cutoffs.len() + 2);
        for (name, expected) in expected {
            let found = match name.split_once('@') {
                Some((metric, k)) => ranking.at(metric, k.parse().unwrap()),
                None => ranking.get(name),
            };
            let (found, expected) = (found.unwrap(), expected.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-12, "case {number}, {name}: {found} and {expected}");
        }
    }
}

#[test]
fn training_keeps_the_bias_baseline_of_its_ratings() {
    let cases: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
    let (model, ratings) = model(&rows(&cases[0]["train"]), 12, 30);
    let fitted = BiasBaseline::fit(&ratings, BiasBaseline::DAMPING);
    assert!(fitted.item_bias.iter().any(|bias| bias.abs() > 0.1));
    assert_eq!(model.baseline, fitted.biases());
    let kept = model.bias_baseline().unwrap();
    for (user, item) in [(Some(1), Some(2)), (Some(11), None), (None, Some(29)), (None, None)] {
        let (kept, fitted) = (kept.predict(user, item), fitted.predict(user, item));
        assert!((kept - fitted).abs() < 1e-6, "{kept} and {fitted}");
    }
}

/// The page's tables are the registries.
#[test]
fn the_page_has_every_metric_and_its_formula() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    for metric in METRICS {
        let row = format!("| `{}` | {} | `{}` |", metric.name, metric.summary, metric.formula);
        assert!(page.contains(&row), "docs/metrics.md lacks {row}");
    }
    for metric in RANKING_METRICS {
        let at = if matches!(metric.compute, RankingCompute::Whole(_)) { "" } else { "@k" };
        let row = format!("| `{}`{at} | {} | `{}` |", metric.name, metric.summary, metric.formula);
        assert!(page.contains(&row), "docs/metrics.md lacks {row}");
    }
}
