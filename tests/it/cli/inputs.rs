//! Several inputs, and what is left out of them.

use super::{Folder, Outcome, events};

const QUICK: [&str; 7] = ["--epochs", "2", "--device", "cpu", "--json", "--out", "model"];

fn train(folder: &Folder, arguments: &[&str]) -> Vec<serde_json::Value> {
    folder.json(&[&["train", "--force"], arguments, &QUICK].concat())
}

#[test]
fn files_and_folders_are_read_one_after_the_other() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("more")).unwrap();
    folder.write("a.csv", "user,item,rating\nann,x,4\nben,y,2\n");
    folder.write("more/1.tsv", "ann\ty\t3\n");
    folder.write("more/2.jsonl", "{\"item\":\"x\",\"user\":\"ben\",\"rating\":5}\n");
    folder.write("more/_SUCCESS", "");
    let all = train(&folder, &["a.csv", "more"]);
    let loaded = events(&all, "loaded")[0];
    assert_eq!((&loaded["users"], &loaded["items"], &loaded["ratings"]), (&2.into(), &2.into(), &4.into()));

    // Test ratings and pairs come from several files as well.
    folder.write("t.csv", "ann,x,4\n");
    let all = train(&folder, &["a.csv", "--test", "t.csv", "--test", "more"]);
    assert_eq!(events(&all, "loaded")[0]["test"], 3);
    assert_eq!(folder.json(&["evaluate", "model", "t.csv", "more", "--json"])[0]["count"], 3);
    let rows = folder.succeed(&["predict", "model", "t.csv", "more"]);
    let pairs: Vec<&str> = rows.lines().skip(1).map(|row| row.rsplit_once(',').unwrap().0).collect();
    assert_eq!(pairs, ["ann,x", "ann,y", "ben,x"]);
}

#[test]
fn a_pair_in_two_files_is_named_with_both() {
    let folder = Folder::new();
    folder.write("a.csv", "user,item,rating\nann,x,4\n");
    folder.write("b.csv", "ben,x,4\nben,y,1\nann,x,4\n");
    let line = folder.fail(&["train", "a.csv", "b.csv"], 65);
    assert!(line.starts_with("error: b.csv:3: user \"ann\" rated item \"x\" at a.csv:2 already; "), "{line}");
    // Errors of one file are of that file.
    folder.write("b.csv", "ben,x,4\nben,y,good\n");
    let line = folder.fail(&["train", "a.csv", "b.csv"], 65);
    assert!(line.starts_with("error: b.csv:2: "), "{line}");
    folder.fail(&["train", "a.csv", "none.csv"], 66);
    folder.fail(&["train", "-", "a.csv", "-"], 2);
}

#[test]
fn an_output_in_a_folder_that_is_read_is_no_input_of_it() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    folder.write("data/a.csv", "ann,x,4\nben,x,2\n");
    let line = folder.fail(&["train", "data", "--force", "--out", "data/a.csv"], 73);
    assert!(line.contains("is an input of this very call"), "{line}");
    folder.succeed(&["train", "data", "--out", "data/model.safetensors", "--epochs", "1", "--device", "cpu"]);
    folder.succeed(&["train", "data", "--epochs", "1", "--device", "cpu"]);
    assert!(folder.files().contains(&"data.safetensors".to_owned()), "named after the folder");
}

#[test]
fn what_a_folder_holds_and_is_not_read_is_told() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path().join("data/year=2024")).unwrap();
    for name in ["a.csv", "part-00000", "_SUCCESS"] {
        folder.write(&format!("data/{name}"), "ann,x,4\nben,x,2\n");
    }
    let notices = |arguments: &[&str]| -> Vec<String> {
        let all = train(&folder, arguments);
        let messages =
            events(&all, "notice").into_iter().map(|event| event["message"].as_str().unwrap().to_owned());
        messages.filter(|message| message.contains("not read")).collect()
    };
    let two = "data/part-00000 and 1 more in data are not read, without a format's extension or a folder: \
               name those that hold ratings";
    assert_eq!(notices(&["data"]), [two]);
    assert_eq!(notices(&["data/a.csv", "--test", "data"]), [two]);
    std::fs::remove_file(folder.path().join("data/part-00000")).unwrap();
    assert!(notices(&["data"])[0].starts_with("data/year=2024 is not read, "));
    assert!(notices(&["data/a.csv"]).is_empty());
}

#[test]
fn those_with_too_few_ratings_are_left_out() {
    let folder = Folder::new();
    // Without c, y has one rating: both go.
    folder.write("r.csv", "a,x,1\na,z,2\nb,x,3\nb,z,4\nb,y,5\nc,y,1\n");
    let all = train(&folder, &["r.csv", "--min-ratings", "2"]);
    let loaded = events(&all, "loaded")[0];
    assert_eq!((&loaded["users"], &loaded["items"], &loaded["ratings"]), (&2.into(), &2.into(), &4.into()));
    let notices = events(&all, "notice");
    let notice =
        notices.iter().map(|event| event["message"].as_str().unwrap()).find(|text| text.contains("--min"));
    assert_eq!(notice, Some("--min-ratings leaves out 1 user, 1 item and 2 ratings"));
    let line = folder.fail(&["train", "r.csv", "--min-ratings", "2,4"], 65);
    assert_eq!(
        line,
        "error: r.csv: no users with 2 ratings of items with 4 are left; pass a lower --min-ratings"
    );
    folder.fail(&["cv", "r.csv", "--min-ratings", "9"], 65);
    folder.fail(&["train", "r.csv", "--min-ratings", "two"], 2);
}

#[test]
fn a_rating_outside_of_the_range_is_named() {
    let folder = Folder::new();
    folder.write("r.csv", "user,item,rating\na,x,1\na,z,5\nb,x,5.5\n");
    for (call, range) in [
        (&["train", "r.csv", "--out", "model"][..], "0.5..5"),
        (&["cv", "r.csv"], "0.5..5"),
        (&["train", "r.csv", "--out", "model"], "-1..5.4"),
    ] {
        let line = folder.fail(&[call, &["--rating-range", range]].concat(), 65);
        let expected = format!(
            "error: r.csv:4: rating 5.5 is outside {range}; correct it, or pass another --rating-range"
        );
        assert_eq!(line, expected);
    }
    train(&folder, &["r.csv", "--rating-range", "1..5.5"]);
    let line = folder.fail(&["evaluate", "model", "r.csv", "--rating-range", "1..5"], 65);
    assert!(line.starts_with("error: r.csv:4: "), "{line}");
    folder.fail(&["train", "r.csv", "--rating-range", "5..1"], 2);
}

#[test]
fn a_format_is_forced_by_name() {
    let folder = Folder::new();
    folder.write("r.txt", "1 2 3\n2 2 4 881250949\n");
    let line = folder.fail(&["train", "r.txt", "--format", "libmf"], 65);
    assert!(line.starts_with("error: r.txt:2: has 4 fields, not 3; "), "{line}");
    let line = folder.fail(&["train", "r.txt", "--format", "excel"], 2);
    assert!(line.contains("excel") && line.contains("delimited") && line.contains("jsonl"), "{line}");
}

#[test]
fn what_was_read_is_kept_for_the_next_time_where_that_is_wanted() {
    let folder = Folder::planted();
    let call = |out: &str, more: &[&str]| {
        let train = ["train", "ratings.csv", "--test", "test.csv", "--rank", "2", "--epochs", "3", "-o", out];
        let outcome = folder.run(&[&train[..], &["--device", "cpu"], more].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        (folder.read(out), outcome.stderr.matches("is kept in kept (1 MB)").count())
    };
    let (plain, _) = call("a", &[]);
    assert_eq!(call("b", &["--cache=kept"]), (plain.clone(), 2));
    assert_eq!(call("c", &["--cache=kept"]), (plain, 0));
    assert_eq!(std::fs::read_dir(folder.path().join("kept")).unwrap().count(), 2, "and nothing else");
    let evaluate = ["evaluate", "a", "test.csv", "--json"];
    assert_eq!(folder.succeed(&evaluate), folder.succeed(&[&evaluate[..], &["--cache=kept"]].concat()));

    // Without a folder's name it is that of the user, if there is one.
    let usual = |home: Option<&std::path::Path>| {
        let mut command =
            folder.command(&["cv", "ratings.csv", "--epochs", "1", "--device", "cpu", "--cache"]);
        for name in ["HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"] {
            command.env_remove(name);
            command.envs(home.map(|home| (name, home)));
        }
        Outcome::of(&mut command)
    };
    assert_eq!(usual(Some(folder.path())).code, Some(0));
    assert!(folder.files().contains(&"deltav".to_owned()), "{:?}", folder.files());
    let unknown = usual(None);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.ends_with("pass one as --cache=FOLDER\n"), "{}", unknown.stderr);
}
