use super::*;

/// What every process says, the same.
fn refused(processes: usize, request: impl Fn(usize) -> SharedRequest<'static> + Sync) -> (u8, String) {
    let all = threads::run(processes, |world| {
        let error = read_shared(world, request(world.process())).unwrap_err();
        (error.exit_code(), error.to_string())
    });
    assert!(all.iter().all(|said| *said == all[0]), "{all:?}");
    all[0].clone()
}

fn request(inputs: Vec<Input>) -> SharedRequest<'static> {
    static OPTIONS: std::sync::LazyLock<ReadOptions> = std::sync::LazyLock::new(ReadOptions::default);
    SharedRequest {
        inputs,
        options: &OPTIONS,
        least: None,
        holdout: None,
        valid: Vec::new(),
        test: Vec::new(),
    }
}

#[test]
fn what_can_not_be_shared_out_is_refused_everywhere_in_the_same_words() {
    let text: String = (0..200).map(|user| format!("{user},1,3\n")).collect();
    let input = || Input::bytes("a.csv", text.as_bytes());
    assert_eq!(
        refused(5, |_| request(vec![input()])),
        (2, "5 processes are too many for the ratings of 200 users; start 4 at most".to_owned())
    );
    let other = refused(3, |process| request(vec![if process == 2 { "b.csv".into() } else { input() }]));
    assert_eq!(other, (66, "b.csv: No such file or directory (os error 2); check the path".to_owned()));
    let (code, other) = refused(3, |process| {
        request(vec![input(), if process == 2 { Input::bytes("c", *b"1,2,3") } else { input() }])
    });
    assert_eq!(
        (code, &*other),
        (
            2,
            "process 2 finds other files to read than process 0; have the same files at the same paths on \
             every host"
        )
    );
    let longer = text.clone() + "9,9,9\n";
    let (code, other) = refused(3, |process| {
        request(vec![if process == 1 { Input::bytes("a.csv", longer.as_bytes()) } else { input() }])
    });
    assert_eq!(
        (code, other.starts_with("a.csv: has 1496 bytes on process 1 and 1490 on process 0; ")),
        (65, true),
        "{other}"
    );
    // The hold-out's and the test file's own words.
    let holdout = Some(Holdout { fraction: 1.5, by: HoldoutBy::Random, seed: 1 });
    let said = refused(3, |_| SharedRequest { holdout, ..request(vec![input()]) });
    assert_eq!(said.0, 2);
    assert_eq!(
        said.1,
        read_ratings([input()], &ReadOptions::default()).unwrap().split(1.5, 1).unwrap_err().to_string()
    );
    let test = || vec![Input::bytes("test.csv", *b"new,1,3\nnewer,1,3\n")];
    let said = refused(3, |_| SharedRequest { test: test(), ..request(vec![input()]) });
    assert_eq!(
        said,
        (
            65,
            "test.csv: none of its users is among those trained on; the first line read is user \"new\", item \
             \"1\": if these are the wrong columns, pass --columns"
                .to_owned()
        )
    );
}

#[test]
fn who_has_too_few_ratings_is_left_out_and_counted() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let text = ratings_text(&mut rng, 400, 2_000, false);
    let input = || Input::bytes("a.csv", &*text);
    let all = read_ratings([input()], &ReadOptions::default()).unwrap();
    let kept = all.k_core(4, 30);
    let out =
        [all.users.len() - kept.users.len(), all.items.len() - kept.items.len(), all.len() - kept.len()];
    let expected = out.map(|count| count as u64);
    assert!(expected.iter().all(|count| *count > 0) && kept.users.len() > 256, "{expected:?}");
    let least = |user, item| SharedRequest { least: Some([user, item]), ..request(vec![input()]) };
    for processes in [1, 3, 5] {
        let each = threads::run(processes, |world| read_shared(world, least(4, 30)).unwrap().left_out);
        assert!(each.iter().all(|out| *out == expected), "{each:?}, {expected:?}");
    }
    let said = refused(3, |_| least(50, 30));
    let none = "a.csv: no users with 50 ratings of items with 30 are left; pass a lower --min-ratings";
    assert_eq!(said, (65, none.to_owned()));
}

#[test]
fn a_pair_that_occurs_twice_is_told_with_both_its_lines() {
    let line = |at: usize| if at == 150 || at == 701 { "7,5,3\n".to_owned() } else { format!("u{at},1,3\n") };
    let text: String = (0..900).map(line).collect();
    for (header, first, second) in [("", 151, 702), ("user,item,rating\n", 152, 703), ("\n\n", 153, 704)] {
        let text = format!("{header}{text}");
        for processes in [1, 2, 3, 4] {
            let (code, said) = refused(processes, |_| request(vec![Input::bytes("a.csv", text.as_bytes())]));
            let expected = format!("a.csv:{second}: user \"7\" rated item \"5\" on line {first} already; ");
            assert!(code == 65 && said.starts_with(&expected), "{said}");
        }
    }
}
