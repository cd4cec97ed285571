//! Lists for many users, from files of ids, into files.

use std::io::Write as _;
use std::process::Stdio;

use super::{Folder, Outcome};

const MODEL: &str = "ratings.safetensors";

fn recommend<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["recommend", MODEL].into_iter().chain(more.iter().copied()).collect()
}

/// The rows of CSV: user, item, rank, score.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn column(text: &str, column: usize) -> Vec<String> {
    rows(text).into_iter().map(|mut row| row.swap_remove(column)).collect()
}

#[test]
fn lists_are_the_same_on_every_device_and_for_any_number_of_threads_and_users() {
    let folder = Folder::trained();
    for n in ["1", "10", "1000"] {
        let cpu = folder.succeed(&recommend(&["--all", "-n", n, "--device", "cpu", "--threads", "1"]));
        for more in [&["--device", "cpu", "--threads", "3"][..], &["--device", "software"], &[]] {
            assert_eq!(
                folder.succeed(&recommend(&[&["--all", "-n", n][..], more].concat())),
                cpu,
                "{more:?}"
            );
        }
        // One user is scanned, without any device.
        let one = folder.succeed(&recommend(&["--user", "u7", "-n", n]));
        let same: Vec<_> = rows(&cpu).into_iter().filter(|row| row[0] == "u7").collect();
        assert!(!same.is_empty() && rows(&one) == same, "n {n}");
    }
}

#[test]
fn users_come_from_a_file_once_each_and_in_its_order() {
    let folder = Folder::trained();
    let named = folder.succeed(&recommend(&["--user", "u9", "--user", "u2", "-n", "3"]));
    folder.write("ids.txt", "u9\nu2\nu9\n");
    folder.write("table.csv", "item,user\ni1,u9\ni2,nobody\ni1,u2\ni2,nobody\n");
    assert_eq!(folder.succeed(&recommend(&["--users", "ids.txt", "-n", "3"])), named);
    let outcome = folder.run(&recommend(&["--users", "table.csv", "-n", "3"]));
    assert_eq!(outcome.stdout, named);
    assert_eq!(outcome.stderr, "note: 2 ids of table.csv left out: no user with a training rating\n");
    let mut child = folder
        .command(&recommend(&["--users", "-", "-n", "3"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"u9\nu2\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, named.as_bytes());
}

#[test]
fn candidates_and_exclusions_are_all_that_changes() {
    let folder = Folder::trained();
    let all = column(&folder.succeed(&recommend(&["--user", "u3", "-n", "1000", "--include-seen"])), 1);
    assert!(all.len() > 60);
    let (some, best) = (&all[2..40], &all[0]);
    folder.write("some.txt", some.join("\n"));
    folder.write("without.csv", format!("itemId,why\n{best},seen\n{},dull\nnothing,x\n", all[3]));
    let call = |more: &[&str]| {
        let base = ["--user", "u3", "-n", "1000", "--include-seen"];
        folder.run(&recommend(&[&base[..], more].concat()))
    };
    assert_eq!(column(&call(&["--candidates", "some.txt"]).stdout, 1), some);
    let outcome = call(&["--exclude", "without.csv"]);
    let expected: Vec<String> = all.iter().filter(|item| ![best, &all[3]].contains(item)).cloned().collect();
    assert_eq!(column(&outcome.stdout, 1), expected);
    assert_eq!(outcome.stderr, "note: 1 id of without.csv passed over: no item with a training rating\n");
    for explore in [&[][..], &["--explore", "ucb", "--explore-z", "0"], &["--explore", "thompson"]] {
        let both = call(&[&["--candidates", "some.txt", "--exclude", "without.csv"][..], explore].concat());
        let mut items = column(&both.stdout, 1);
        if explore == ["--explore", "thompson"] {
            items.sort();
            let mut some: Vec<String> = some.iter().filter(|item| **item != all[3]).cloned().collect();
            some.sort();
            assert_eq!(items, some);
        } else {
            assert!(items.iter().eq(some.iter().filter(|item| **item != all[3])), "{explore:?}");
        }
    }
}

#[test]
fn a_file_gets_the_form_of_its_name_whole_or_not_at_all() {
    let folder = Folder::trained();
    let (csv, json) = (recommend(&["--all", "-n", "2"]), recommend(&["--all", "-n", "2", "--json"]));
    let (csv, json) = (folder.succeed(&csv), folder.succeed(&json));
    for (out, expected) in [("a.csv", &csv), ("a.jsonl", &json), ("a.json", &json)] {
        assert_eq!(folder.succeed(&recommend(&["--all", "-n", "2", "--out", out])), "");
        assert_eq!(folder.read(out), expected.as_bytes(), "{out}");
    }
    folder.succeed(&recommend(&["--all", "-n", "2", "--out", "a.csv", "--force", "--json"]));
    assert_eq!(folder.read("a.csv"), json.as_bytes());
    folder.fail(&recommend(&["--all", "--out", "a.csv"]), 73);
    folder.fail(&recommend(&["--all", "--out", MODEL, "--force"]), 73);
    folder.fail(&recommend(&["--user", "nobody", "--out", "b.csv"]), 2);
    folder.write("ids.txt", "nobody\n");
    folder.fail(&recommend(&["--users", "ids.txt", "--out", "ids.txt", "--force"]), 73);
    assert_eq!(folder.read("ids.txt"), b"nobody\n");
}

#[test]
fn lists_of_ids_that_are_none_are_refused() {
    let folder = Folder::trained();
    folder.write("none.txt", "nobody\nnothing\n");
    folder.write("empty.txt", "");
    folder.write("short.csv", "item,user\ni1,u1\ni1\n");
    for (more, code, said) in [
        (&["--users", "none.txt"][..], 65, "none.txt: none of its ids is a user with a training rating; "),
        (&["--users", "empty.txt"], 65, "empty.txt: holds no id; "),
        (&["--users", "short.csv"], 65, "short.csv:3: has 1 column"),
        (&["--users", "missing.txt"], 66, "missing.txt: "),
        (&["--all", "--candidates", "none.txt"], 65, "none of its ids is an item"),
        (&["--all", "--candidates", "empty.txt"], 65, "empty.txt: holds no id; "),
        (&["--all", "--users", "none.txt"], 2, "cannot be used with"),
        (&["--users", "-", "--exclude", "-"], 2, "standard input can't be both --users and --exclude; "),
        (&["--all", "--explore", "ucb", "--seed", "3"], 2, "--seed is for draws"),
        (&["--all", "--explore", "thompson", "--explore-z", "1"], 2, "--explore-z is for ucb"),
        (&["--all", "--explore", "ucb", "--device", "cpu"], 2, "cannot be used with"),
        (&["--all", "--device", "gpu:99"], 69, "there is no adapter 99"),
        (&["--all", "--threads", "0"], 2, "--threads"),
    ] {
        let line = folder.fail(&recommend(more), code);
        assert!(line.contains(said), "{more:?}: {line}");
    }
    let Outcome { code, stdout, stderr } =
        folder.run(&recommend(&["--user", "u1", "--exclude", "empty.txt"]));
    assert_eq!((code, stderr), (Some(0), String::new()));
    assert_eq!(stdout, folder.succeed(&recommend(&["--user", "u1"])));
}
