//! What `plan` tells is what `train` does.

use serde_json::Value;

use super::{Folder, events};

/// The objects of a plan: by purpose, and the last one.
fn plan(folder: &Folder, flags: &[&str]) -> (Vec<Value>, Value) {
    let mut objects = folder.json(&[&["plan", "ratings.csv", "--json"][..], flags].concat());
    let last = objects.pop().unwrap();
    (objects, last["plan"].clone())
}

#[test]
fn a_plan_adds_up_and_leaves_nothing() {
    let folder = Folder::planted();
    let before = folder.files();
    let train = ["--device", "cpu", "--rank", "16", "--holdout", "0.1", "--test", "test.csv", "--out", "m"];
    let (items, whole) = plan(&folder, &train);
    assert_eq!(folder.files(), before);
    assert_eq!(
        (&whole["users"], &whole["items"], &whole["ratings"]),
        (&120.into(), &80.into(), &2430.into())
    );
    assert!(whole["fits"] == true && whole["page_bytes"].is_null(), "{whole}");
    let sum = |place: &str, when: &[&str]| -> u64 {
        let mine = items.iter().filter(|item| item["place"] == place);
        let mine = mine.filter(|item| when.is_empty() || when.contains(&item["when"].as_str().unwrap()));
        mine.map(|item| item["bytes"].as_u64().unwrap()).sum()
    };
    let device = sum("device", &[]);
    assert_eq!(whole["device_bytes"], device);
    let later = sum("host", &["training"]) + device;
    let later = later + sum("host", &["preparing"]).max(sum("host", &["ending"]));
    assert_eq!(whole["host_bytes"], sum("host", &["always"]) + later.max(sum("host", &["reading"])));
    assert!(items.iter().any(|item| item["purpose"] == "ratings" && item["bytes"] == 12 * 2430), "{items:?}");

    let text = folder.succeed(&[&["plan", "ratings.csv"][..], &train].concat());
    assert!(text.starts_with("120 users, 80 items, 2,430 ratings; training on CPU\n"), "{text}");
    assert!(text.ends_with("\nverdict: fits\n"), "{text}");
}

#[test]
fn train_streams_or_refuses_by_the_numbers_of_the_plan() {
    let folder = Folder::planted();
    let device = ["--device", "software", "--rank", "4", "--model", "biased", "--reg", "1", "--epochs", "3"];
    let (_, whole) = plan(&folder, &device);
    let all = whole["device_bytes"].as_u64().unwrap();
    folder
        .succeed(&[&["train", "ratings.csv", "--out", "whole", "--kernels", "fused"][..], &device].concat());

    let device = [&device[..], &["--kernels", "fused", "--max-memory-bytes"]].concat();
    let some = (all - 8_000).to_string();
    let flags = [&device[..], &[&some]].concat();
    let (_, whole) = plan(&folder, &flags);
    assert!(whole["fits"] == true && whole["page_bytes"].is_u64(), "{whole}");
    assert!(whole["device_bytes"].as_u64().unwrap() <= all - 8_000, "{whole}");
    let told = folder.json(&[&["train", "ratings.csv", "--out", "streamed", "--json"][..], &flags].concat());
    let notices = events(&told, "notice");
    assert!(notices.iter().any(|notice| notice.to_string().contains("they are streamed")), "{notices:?}");
    assert!(folder.read("streamed") == folder.read("whole"));
    let text = folder.succeed(&[&["plan", "ratings.csv"][..], &flags].concat());
    assert!(text.contains("verdict: fits, with the ratings streamed"), "{text}");

    let flags = [&device[..], &["2000"]].concat();
    let refusal = folder.fail(&[&["train", "ratings.csv", "-q", "--out", "none"][..], &flags].concat(), 71);
    assert!(refusal.contains("bytes are free") && refusal.contains("--rank"), "{refusal}");
    let outcome = folder.run(&[&["plan", "ratings.csv"][..], &flags].concat());
    assert_eq!(outcome.code, Some(71));
    assert!(outcome.stdout.contains("verdict: too much"), "{outcome:?}");
    assert!(outcome.stderr.ends_with(&format!("{refusal}\n")), "{outcome:?} and {refusal}");
}

#[test]
fn a_plan_counts_those_that_min_ratings_leaves() {
    let folder = Folder::planted();
    let flags = ["--device", "cpu", "--min-ratings", "15,15"];
    let (_, whole) = plan(&folder, &flags);
    let told = folder.json(&[&["train", "ratings.csv", "--epochs", "6", "--json"][..], &flags].concat());
    let loaded = events(&told, "loaded")[0];
    for count in ["users", "items", "ratings"] {
        assert_eq!(whole[count], loaded[count], "{count}");
    }
    assert!(whole["ratings"].as_u64().unwrap() < 2_700, "{whole}");
}

#[test]
fn a_plan_for_processes_tells_of_one_and_of_the_network() {
    let folder = Folder::planted();
    let (items, alone) = plan(&folder, &["--device", "cpu", "--ranks", "1"]);
    assert!(alone["processes"].is_null() && !items.iter().any(|item| item["purpose"] == "item sums"));
    let (items, whole) = plan(&folder, &["--device", "cpu", "--ranks", "2"]);
    assert!(items.iter().any(|item| item["purpose"] == "item sums"), "{items:?}");
    let number = |name: &str| whole[name].as_u64().unwrap();
    // Of two processes, what one sends the other hears.
    assert_eq!(number("processes"), 2);
    assert!(number("epoch_network_bytes").abs_diff(number("epoch_link_bytes")) <= 1, "{whole}");
    assert!(number("users") < 120 && number("ratings") < 2430 && number("items") == 80, "{whole}");
    let text = folder.succeed(&["plan", "ratings.csv", "--device", "cpu", "--ranks", "2"]);
    assert!(text.contains(" of 2, which has most of 120 users and "), "{text}");
    assert!(text.contains("100 Gb/s") && text.contains(" ms"), "{text}");
    let error = folder.fail(&["plan", "ratings.csv", "--device", "cpu", "--ranks", "3"], 2);
    assert!(error.contains("start 2 at most"), "{error}");
}
