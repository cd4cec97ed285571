//! What `evaluate` measures and says.

use serde_json::Value;

use super::Folder;

const MODEL: &str = "ratings.safetensors";

fn evaluate(folder: &Folder, more: &[&str]) -> Value {
    folder.json(&[&["evaluate", MODEL, "test.csv", "--json"], more].concat()).remove(0)
}

#[test]
fn json_has_the_model_beside_its_baselines() {
    let folder = Folder::trained();
    let measured = evaluate(&folder, &["-k", "5,1,20", "--relevant", "3.6"]);
    let rmse = |value: &Value| value["rmse"].as_f64().unwrap();
    let (model, bias, mean) =
        (rmse(&measured), rmse(&measured["bias_baseline"]), rmse(&measured["mean_baseline"]));
    assert!(model < bias && bias < mean, "{measured}");
    let ranking = &measured["ranking"];
    assert_eq!((&ranking["threshold"], &ranking["items"]), (&3.6.into(), &80.into()));
    assert!(
        ranking["users"].as_u64().unwrap() > 50 && ranking["relevant"].as_u64() > ranking["users"].as_u64()
    );
    for scorer in ["model", "popularity", "bias"] {
        let scorer = &ranking[scorer];
        let cutoffs: Vec<&String> = scorer["at"].as_object().unwrap().keys().collect();
        assert_eq!(cutoffs.len(), 3, "{scorer}");
        for metric in deltav::model::RANKING_METRICS {
            let values = [&scorer[metric.name], &scorer["at"]["5"][metric.name]];
            let values: Vec<f64> = values.into_iter().filter_map(Value::as_f64).collect();
            assert!(values.len() == 1 && (0.0..=1.0).contains(&values[0]), "{}: {scorer}", metric.name);
        }
    }
    let auc = |scorer: &str| ranking[scorer]["auc"].as_f64().unwrap();
    assert!(auc("model") > auc("bias") && auc("bias") > 0.5 && auc("popularity") > 0.5, "{ranking}");
}

#[test]
fn precision_is_that_of_the_lists_that_recommend_prints() {
    let folder = Folder::trained();
    let ranking = &evaluate(&folder, &["-k", "5", "--relevant", "4"])["ranking"];
    let test = String::from_utf8(folder.read("test.csv")).unwrap();
    let liked: Vec<(&str, &str)> = test
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|cells| cells[2].parse::<f64>().unwrap() >= 4.0)
        .map(|cells| (cells[0], cells[1]))
        .collect();
    let lists = folder.json(&["recommend", MODEL, "--all", "-n", "5", "--json"]);
    let hits = lists
        .iter()
        .filter(|row| liked.contains(&(row["user"].as_str().unwrap(), row["item"].as_str().unwrap())))
        .count();
    let users = ranking["users"].as_f64().unwrap();
    let precision = ranking["model"]["at"]["5"]["precision"].as_f64().unwrap();
    assert!(hits > 0 && (precision - hits as f64 / (5.0 * users)).abs() < 1e-12, "{hits} hits, {ranking}");
}

#[test]
fn several_test_files_are_one() {
    let folder = Folder::trained();
    let whole = evaluate(&folder, &[]);
    let test = String::from_utf8(folder.read("test.csv")).unwrap();
    let lines: Vec<&str> = test.lines().collect();
    folder.write("a.csv", lines[..100].join("\n"));
    folder.write("b.csv", [&lines[..1], &lines[100..]].concat().join("\n"));
    assert_eq!(folder.json(&["evaluate", MODEL, "a.csv", "b.csv", "--json"])[0], whole);
    folder.fail(&["evaluate", MODEL, "a.csv", "missing.csv"], 66);
}

#[test]
fn unknown_users_and_items_follow_the_policy_and_are_counted() {
    let folder = Folder::trained();
    let known = evaluate(&folder, &[]);
    let mut test = folder.read("test.csv");
    test.extend(b"nobody,i1,5\nu1,nothing,5\nu2,nothing,0.5\n");
    folder.write("test.csv", test);
    let skipped = evaluate(&folder, &["--unknown", "skip"]);
    assert_eq!(
        (&skipped["rmse"], &skipped["count"], &skipped["unknown"]),
        (&known["rmse"], &300.into(), &3.into())
    );
    assert_eq!(skipped["bias_baseline"], known["bias_baseline"]);
    assert_eq!(evaluate(&folder, &[])["count"], 303);
    assert!(folder.fail(&["evaluate", MODEL, "test.csv", "--unknown", "error"], 2).contains("3 of 303"));
    // Rankings are of what is known, whatever the policy.
    let (ranking, before) = (&skipped["ranking"], &known["ranking"]);
    assert_eq!((&ranking["unknown_users"], &ranking["unknown_items"]), (&1.into(), &1.into()));
    assert_eq!((&ranking["model"], &ranking["users"]), (&before["model"], &before["users"]));
    let text = folder.succeed(&["evaluate", MODEL, "test.csv", "--unknown", "skip"]);
    assert!(
        text.contains("3 unknown left out") && text.contains("1 relevant rating of unknown items"),
        "{text}"
    );
}

#[test]
fn nothing_to_rank_is_said_and_what_can_t_be_meant_refused() {
    let folder = Folder::trained();
    let text = folder.succeed(&["evaluate", MODEL, "test.csv", "--relevant", "6"]);
    assert!(text.contains("nothing to rank") && !text.contains("top 10"), "{text}");
    let ranking = &evaluate(&folder, &["--relevant", "6"])["ranking"];
    assert!(ranking["users"] == 0 && ranking["model"]["auc"].is_null(), "{ranking}");
    // Whatever was trained on is no candidate.
    let outcome = folder.run(&["evaluate", MODEL, "ratings.csv"]);
    assert!(outcome.stdout.contains("of what was rated in training"), "{}", outcome.stdout);
    assert!(
        outcome.stderr.starts_with("note: of 2,700 ratings, 2,700 of pairs that were trained on: "),
        "{}",
        outcome.stderr
    );
    assert_eq!(folder.run(&["evaluate", MODEL, "test.csv"]).stderr, "");
    for flags in [["-k", "0"], ["-k", "5,x"], ["-k", "-1"], ["--relevant", "nan"], ["--relevant", "x"]] {
        folder.fail(&[&["evaluate", MODEL, "test.csv"][..], &flags].concat(), 2);
    }
}

#[test]
fn a_model_from_before_baselines_says_that_it_has_none() {
    let folder = Folder::new();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/svdpp-0.1.0.deltav");
    folder.write(
        "test.csv",
        "user,item,rating\nBao Moreau,The Golden Letter,5\nAda Abara,The Early Mountain,1\n",
    );
    let outcome = folder.run(&["evaluate", golden, "test.csv"]);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(0), 2), "{}", outcome.stderr);
    let (trained, baseline) = outcome.stderr.split_once('\n').unwrap();
    assert!(trained.starts_with("note: of 2 ratings, 2 of pairs that were trained on"), "{trained}");
    assert!(baseline.starts_with("note: no bias baseline"), "{baseline}");
    let measured = &folder.json(&["evaluate", golden, "test.csv", "--json"])[0];
    assert!(measured["bias_baseline"].is_null() && measured["ranking"]["bias"].is_null(), "{measured}");
}
