//! New users' ratings in, their factors and their best items out.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use super::Folder;

const MODEL: &str = "ratings.safetensors";

/// Two new users, one of whom rated something unknown, and one who rated nothing else.
const NEW: &str = "user,item,rating\nann,i1,5\nben,i2,1\nann,i3,2\nann,nothing,4\nben,i1,3\ncid,nothing,2\n";

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn folder() -> Folder {
    let folder = Folder::trained();
    folder.write("new.csv", NEW);
    folder
}

#[test]
fn new_users_get_lists_without_what_they_rated_and_notes_say_what_is_odd() {
    let folder = folder();
    let outcome = folder.run(&["fold-in", MODEL, "new.csv", "-n", "1000"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(
        outcome.stderr,
        "note: of 6 ratings, 2 with an unknown item: passed over\n\
         note: 1 user without a known item: answered by the biases alone\n"
    );
    assert!(outcome.stdout.starts_with("user,item,rank,score\n"), "{}", outcome.stdout);
    let list = rows(&outcome.stdout);
    let of = |user: &str| list.iter().filter(|row| row[0] == user).collect::<Vec<_>>();
    assert_eq!((of("ann").len(), of("ben").len(), of("cid").len()), (78, 78, 80));
    assert!(of("ann").iter().all(|row| row[1] != "i1" && row[1] != "i3"));
    let users: Vec<&str> = list.chunk_by(|a, b| a[0] == b[0]).map(|rows| &*rows[0][0]).collect();
    assert_eq!(users, ["ann", "ben", "cid"], "in the order of their first ratings");
    let scores: Vec<f64> = of("ben").iter().map(|row| row[3].parse().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(of("ben").iter().zip(1..).all(|(row, rank)| row[2] == rank.to_string()));
    let seen = rows(&folder.succeed(&["fold-in", MODEL, "new.csv", "-n", "1000", "--include-seen"]));
    assert_eq!(seen.len(), 240);
    assert_eq!(rows(&folder.succeed(&["fold-in", MODEL, "new.csv"])).len(), 30);
}

#[test]
fn ratings_of_another_scale_are_remarked_on() {
    let folder = folder();
    folder.write("odd.csv", "user,item,rating\nann,i1,50\nann,i2,3\nbob,i1,-5\n");
    let outcome = folder.run(&["fold-in", MODEL, "odd.csv", "-n", "1"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("note: of 3 ratings, 2 far outside "), "{}", outcome.stderr);
}

#[test]
fn candidates_and_exclusions_are_all_that_changes() {
    let folder = folder();
    let list = |more: &[&str]| {
        let text = folder.succeed(&[&["fold-in", MODEL, "new.csv", "-n", "1000", "-q"], more].concat());
        let rows = rows(&text).into_iter();
        rows.map(|row| (row[0].clone(), row[1].clone())).collect::<Vec<_>>()
    };
    let all = list(&[]);
    folder.write("some.txt", "i5\ni9\ni1\nnothing\ni7\n");
    folder.write("without.csv", "itemId,why\ni9,dull\n");
    let among = |items: &[&str]| -> Vec<_> {
        all.iter().filter(|(_, item)| items.contains(&&**item)).cloned().collect()
    };
    assert_eq!(list(&["--candidates", "some.txt"]), among(&["i5", "i9", "i1", "i7"]));
    assert_eq!(list(&["--candidates", "some.txt", "--exclude", "without.csv"]), among(&["i5", "i1", "i7"]));
    let rest: Vec<_> = all.iter().filter(|(_, item)| item != "i9").cloned().collect();
    assert_eq!(list(&["--exclude", "without.csv"]), rest);
    let outcome = folder.run(&["fold-in", MODEL, "new.csv", "--candidates", "some.txt"]);
    let note = "note: 1 id of some.txt passed over: no item with a training rating\n";
    assert!(outcome.stderr.starts_with(note), "{}", outcome.stderr);
    for more in [&["--items"][..], &["--factors"]] {
        folder.fail(&[&["fold-in", MODEL, "new.csv", "--exclude", "without.csv"], more].concat(), 2);
    }
    let line = folder.fail(&["fold-in", MODEL, "-", "--candidates", "-"], 2);
    assert!(line.contains("can't be both RATINGS and --candidates"), "{line}");
    folder.fail(&["fold-in", MODEL, "new.csv", "--exclude", "without.csv", "--out", "without.csv", "-f"], 73);
}

#[test]
fn ratings_too_large_to_fold_in_are_wrong_data() {
    let folder = folder();
    folder.write("large.csv", "user,item,rating\nben,i1,3e38\nben,i2,-3e38\nann,i1,5\n");
    for how in [&[][..], &["--grouped"]] {
        let line = folder.fail(&[&["fold-in", MODEL, "large.csv"], how].concat(), 65);
        assert!(line.starts_with("error: large.csv: user \"ben\": a rating is too large"), "{line}");
    }
}

#[test]
fn factors_lists_and_json_agree() {
    let folder = folder();
    let text = folder.succeed(&["fold-in", MODEL, "new.csv", "--factors"]);
    assert!(text.starts_with("user,bias,f1,f2,f3,f4\nann,"), "{text}");
    let factors = rows(&text);
    let list = rows(&folder.succeed(&["fold-in", MODEL, "new.csv", "-n", "3"]));
    let objects = folder.json(&["fold-in", MODEL, "new.csv", "-n", "3", "--json"]);
    assert_eq!((factors.len(), objects.len()), (3, 3));
    for (object, factors) in objects.iter().zip(&factors) {
        assert_eq!(object["user"], factors[0]);
        let numbers = object["factors"].as_array().unwrap().iter();
        for (number, text) in std::iter::once(&object["bias"]).chain(numbers).zip(&factors[1..]) {
            assert_eq!(number.as_f64().unwrap() as f32, text.parse::<f32>().unwrap());
        }
        let own: Vec<_> = list.iter().filter(|row| row[0] == factors[0]).collect();
        for (best, row) in object["items"].as_array().unwrap().iter().zip(own) {
            assert_eq!((&best["item"], best["rank"].to_string()), (&row[1].clone().into(), row[2].clone()));
            assert_eq!(best["score"].as_f64().unwrap() as f32, row[3].parse::<f32>().unwrap());
        }
    }
    assert_eq!((&objects[0]["ratings"], &objects[0]["unknown"]), (&3.into(), &1.into()));
    folder.succeed(&["fold-in", MODEL, "new.csv", "-n", "3", "--out", "a.jsonl"]);
    let file = String::from_utf8(folder.read("a.jsonl")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(file.lines().next().unwrap()).unwrap(), objects[0]);
    folder.fail(&["fold-in", MODEL, "new.csv", "--factors", "--out", "b.jsonl"], 2);
    folder.fail(&["fold-in", MODEL, "new.csv", "--factors", "--json"], 2);
}

#[test]
fn a_user_of_the_model_is_answered_from_the_given_ratings_with_a_note() {
    let folder = folder();
    folder.write("old.csv", "u1,i1,5\nnew,i1,5\n");
    let outcome = folder.run(&["fold-in", MODEL, "old.csv", "-n", "5"]);
    let note = "note: 1 user is in the model already: answered from these ratings alone\n";
    assert_eq!(outcome.stderr, note);
    let list = rows(&outcome.stdout);
    assert!(list[..5].iter().zip(&list[5..]).all(|(a, b)| a[1..] == b[1..]), "{list:?}");
}

#[test]
fn new_items_get_the_users_who_would_rate_them_highest() {
    let folder = folder();
    folder.write("items.csv", "user,item,rating\nu1,x,5\nu2,x,1\nu1,y,2\nnobody,y,3\n");
    let text = folder.succeed(&["fold-in", MODEL, "items.csv", "--items", "-n", "1000"]);
    assert!(text.starts_with("item,user,rank,score\nx,"), "{text}");
    assert_eq!(rows(&text).len(), 118 + 119);
    let objects = folder.json(&["fold-in", MODEL, "items.csv", "--items", "--json"]);
    assert_eq!((&objects[1]["item"], &objects[1]["unknown"]), (&"y".into(), &1.into()));
    assert_eq!(objects[1]["users"].as_array().unwrap().len(), 10);
    let grouped = folder.json(&["fold-in", MODEL, "items.csv", "--items", "--json", "--grouped"]);
    assert_eq!(grouped, objects);
}

#[test]
fn names_come_last() {
    let folder = folder();
    folder.write("names.csv", "itemId,title\ni5,Heat\n");
    let train = ["train", "ratings.csv", "--rank", "2", "--epochs", "12", "--device", "cpu", "--force", "-q"];
    folder.succeed(&[&train[..], &["--names", "names.csv"]].concat());
    let text = folder.succeed(&["fold-in", MODEL, "new.csv", "-n", "1000"]);
    assert!(text.starts_with("user,item,rank,score,name\n"), "{text}");
    assert!(rows(&text).iter().all(|row| row[4] == if row[1] == "i5" { "Heat" } else { "" }));
    let objects = folder.json(&["fold-in", MODEL, "new.csv", "-n", "1000", "--json"]);
    let items = objects[0]["items"].as_array().unwrap();
    assert!(items.iter().all(|best| best["name"].is_null() != (best["item"] == "i5")));
}

#[test]
fn grouped_lines_are_answered_alike_and_as_they_come() {
    let folder = folder();
    let lines: Vec<&str> = NEW.lines().collect();
    let grouped = [0, 1, 3, 4, 2, 5, 6].map(|line| lines[line]).join("\n");
    folder.write("grouped.csv", &grouped);
    let expected = folder.run(&["fold-in", MODEL, "new.csv", "-n", "2"]);
    let answered = folder.run(&["fold-in", MODEL, "grouped.csv", "-n", "2", "--grouped"]);
    assert_eq!((answered.stdout, answered.stderr), (expected.stdout.clone(), expected.stderr));

    let call = ["fold-in", MODEL, "-", "-n", "2", "--grouped", "-q"];
    let mut child = folder.command(&call).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut answers) =
        (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    // Ann is answered while Ben's lines are still to come.
    writeln!(stdin, "{}\n{}", lines[0..2].join("\n"), [lines[3], lines[4], lines[2]].join("\n")).unwrap();
    let mut read = String::new();
    while read.lines().count() < 3 {
        assert!(answers.read_line(&mut read).unwrap() > 0, "{read}");
    }
    assert!(expected.stdout.starts_with(&read) && read.ends_with('\n'), "{read}");
    writeln!(stdin, "{}\n{}", lines[5], lines[6]).unwrap();
    drop(stdin);
    answers.read_to_string(&mut read).unwrap();
    assert_eq!((read, child.wait().unwrap().code()), (expected.stdout, Some(0)));
}

#[test]
fn a_pair_that_comes_twice_is_refused_or_settled_either_way() {
    let folder = folder();
    folder.write("twice.csv", "user,item,rating\nann,i1,1\nann,i2,3\nann,i1,5\n");
    folder.write("both.csv", "user,item,rating\nann,i2,1\nann,i1,3\nann,i2,5\nann,i1,1\n");
    for how in [&[][..], &["--grouped"]] {
        let call = |more: &[&'static str]| [&["fold-in", MODEL, "twice.csv"], how, more].concat();
        let line = folder.fail(&call(&[]), 65);
        assert!(line.starts_with("error: twice.csv:4: user ") && line.contains("already"), "{line}");
        // The pair that is the first to come again, and both of its places.
        let line = folder.fail(&[&["fold-in", MODEL, "both.csv"], how].concat(), 65);
        let expected = "error: both.csv:4: user \"ann\" rated item \"i2\" on line 2 already; ";
        assert!(line.starts_with(expected), "{line}");
        for (which, rating) in [("first", 1), ("last", 5), ("mean", 3)] {
            folder.write("once.csv", format!("ann,i1,{rating}\nann,i2,3\n"));
            let settled = folder.succeed(&call(&["--duplicates", which]));
            assert_eq!(settled, folder.succeed(&["fold-in", MODEL, "once.csv"]), "{which} {how:?}");
        }
    }
}

#[test]
fn what_can_t_be_folded_in_is_refused_in_one_line() {
    let folder = folder();
    folder.write("bad.csv", "user,item,rating\nann,i1,5\nann,i2,good\n");
    let line = folder.fail(&["fold-in", MODEL, "bad.csv"], 65);
    assert!(line.starts_with("error: bad.csv:3: "), "{line}");
    folder.fail(&["fold-in", MODEL, "nowhere.csv"], 66);
    folder.fail(&["fold-in", MODEL], 2);
    let train = ["train", "ratings.csv", "--rank", "2", "--epochs", "8", "--device", "cpu", "-q"];
    folder.succeed(&[&train[..], &["--average", "2", "--out", "mean"]].concat());
    let line = folder.fail(&["fold-in", "mean", "new.csv"], 2);
    assert!(line.contains("an average of models can't fold in"), "{line}");
    // Another optimiser, another objective.
    folder.succeed(&[&train[..], &["--optimizer", "sgd", "--out", "sgd"]].concat());
    assert_eq!(rows(&folder.succeed(&["fold-in", "sgd", "new.csv"])).len(), 30);
}

#[test]
fn what_was_read_is_kept_for_the_next_time() {
    let folder = Folder::trained();
    let call = ["fold-in", "ratings.safetensors", "test.csv", "-n", "3"];
    let plain = folder.succeed(&call);
    let cached = [&call[..], &["--cache=kept"]].concat();
    let first = folder.run(&cached);
    assert_eq!((first.code, &first.stdout), (Some(0), &plain));
    assert!(first.stderr.contains("what was read is kept in kept"), "{}", first.stderr);
    let second = folder.run(&cached);
    assert_eq!((second.code, &second.stdout), (Some(0), &plain));
    assert!(!second.stderr.contains("kept"), "{}", second.stderr);
    let line = folder.fail(&[&cached[..], &["--grouped"]].concat(), 2);
    assert!(line.contains("--grouped") && line.contains("--cache"), "{line}");
}
