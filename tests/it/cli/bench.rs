//! `deltav bench`.

use super::Folder;

#[test]
fn a_quick_bench_measures_every_part_as_json() {
    let folder = Folder::new();
    let lines =
        folder.json(&["bench", "--size", "small", "--quick", "--rank", "8", "--device", "cpu", "--json"]);
    let (head, measured) = lines.split_first().unwrap();
    assert_eq!((&head["schema"], &head["size"]), (&1.into(), &"small".into()), "{head}");
    assert_eq!((&head["users"], &head["ratings"]), (&2_000.into(), &100_000.into()), "{head}");
    assert!(head["device"].as_str().unwrap().contains("CPU"), "{head}");
    let works: Vec<&str> = measured.iter().map(|line| line["work"].as_str().unwrap()).collect();
    assert_eq!(
        works,
        [
            "load, CSV",
            "copy",
            "gather",
            "epoch, gradient",
            "epoch, fixed λ",
            "epoch, default",
            "to RMSE, line-search",
            "to RMSE, sgd",
            "top 10, all users"
        ]
    );
    for line in measured.iter().filter(|line| line["work"].as_str().unwrap().starts_with("epoch")) {
        assert!(line["of_limit"].as_f64().unwrap() > 0.0 && line["rank"] == 8, "{line}");
    }
    assert!(folder.files().is_empty(), "it writes no file");
}

#[test]
fn the_table_has_the_parts_that_were_asked_for() {
    let folder = Folder::new();
    let flags = ["--size", "small", "--quick", "--rank", "4,8", "--only", "limits,top-n", "--device", "cpu"];
    let text = folder.succeed(&[&["bench"][..], &flags].concat());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("small: 2,000 users, 1,000 items, 100,000 planted ratings; "), "{text}");
    let first = |line: &&str| line.split("  ").next().unwrap_or_default().to_owned();
    let works: Vec<String> = lines[1..].iter().map(first).collect();
    assert_eq!(works, ["work", "copy", "gather", "gather", "top 10, all users", "top 10, all users"]);
}

#[test]
fn what_can_t_be_measured_is_refused() {
    let folder = Folder::new();
    for (flags, named) in [
        (["--size", "huge"], "netflix"),
        (["--rank", "0"], "from 1 to 512"),
        (["--rank", "32,x"], "from 1 to 512"),
        (["--only", "speed"], "top-n"),
    ] {
        let line = folder.fail(&[&["bench"][..], &flags].concat(), 2);
        assert!(line.contains(named), "{line}");
    }
}
