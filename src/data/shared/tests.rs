use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::blocks::tests::random;
use super::super::read::{Duplicates, read_ratings, read_triples};
use super::*;
use crate::world::threads;

/// What processes read, one behind the other, or what each of them says.
fn together(processes: usize, inputs: &[Input], options: &ReadOptions) -> Result<Ratings, String> {
    let each = threads::run(processes, |world| {
        let read = || {
            let mut part = part::read(world, agree(world, files(inputs))?, options)?;
            let (mut users, mut items) = (IdMap::new(), IdMap::new());
            renumber(world, &mut part, [&mut users, &mut items])?;
            twice::distinct(world, &mut part, [users.ids(), items.ids()], options.duplicates)?;
            let Triples { user, item, value, time, .. } = part.into_triples();
            Ok::<_, Error>(Ratings {
                users: users.into_ids(),
                items: items.into_ids(),
                user,
                item,
                value,
                time,
            })
        };
        read().map_err(|error| format!("{} {error}", error.exit_code()))
    });
    let mut all: Option<Ratings> = None;
    let mut errors = Vec::new();
    for read in each {
        match (read, &mut all) {
            (Err(error), _) => errors.push(error),
            (Ok(read), None) => all = Some(read),
            (Ok(read), Some(all)) => {
                assert_eq!((&read.users, &read.items), (&all.users, &all.items));
                all.user.extend(read.user);
                all.item.extend(read.item);
                all.value.extend(read.value);
                all.time.iter_mut().for_each(|time| time.extend(read.time.iter().flatten()));
            }
        }
    }
    match errors.first() {
        None => Ok(all.unwrap()),
        Some(error) => {
            assert!(errors.len() == processes && errors.iter().all(|other| other == error), "{errors:?}");
            Err(error.clone())
        }
    }
}

fn alone(inputs: &[Input], options: &ReadOptions) -> Result<Ratings, String> {
    read_ratings(inputs, options).map_err(|error| format!("{} {error}", error.exit_code()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn any_files_are_read_and_refused_as_by_one() {
    let (mut read, mut refused, mut twice) = (0, 0, 0);
    for seed in 0..600 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let odd = [0, 0, 20, 100, 400][seed as usize % 5];
        let inputs: Vec<Input> = (0..rng.random_range(1..5))
            .map(|file| {
                let mut bytes = random(&mut rng, odd);
                if rng.random_range(0..6) == 0 {
                    bytes.splice(0..0, *b"\xef\xbb\xbf");
                }
                match rng.random_range(0..5) {
                    0 => Input::bytes(format!("{file}.gz"), gzip(&bytes)),
                    _ => Input::bytes(format!("{file}"), bytes),
                }
            })
            .collect();
        let options = ReadOptions {
            duplicates: *Duplicates::ALL.choose(&mut rng).unwrap(),
            time: rng.random_range(0..8) == 0,
            rating_range: (rng.random_range(0..9) == 0).then(|| "0..5".parse().unwrap()),
            ..ReadOptions::default()
        };
        let expected = alone(&inputs, &options);
        match &expected {
            Ok(_) => read += 1,
            Err(error) if error.contains("already") => twice += 1,
            Err(_) => refused += 1,
        }
        for processes in [1, 2, 3, 5] {
            let found = together(processes, &inputs, &options);
            let text =
                || inputs.iter().map(|i| String::from_utf8_lossy(i.in_memory().unwrap())).collect::<Vec<_>>();
            assert_eq!(found, expected, "{processes} processes, seed {seed}: {:?}", text());
        }
    }
    assert!(read > 100 && refused > 80 && twice > 20, "{read} read, {refused} refused, {twice} twice");
}

/// What one process has of the same request, as the command line puts it together.
fn whole(request: &SharedRequest<'_>) -> Result<(Ratings, Option<Held>, Option<Held>), String> {
    let read = || {
        let SharedRequest { inputs, options, least, holdout, valid, test } = request;
        let time = holdout.is_some_and(|holdout| holdout.by == HoldoutBy::Time);
        let ratings = read_ratings(inputs, &ReadOptions { time, ..(*options).clone() })?;
        let (mut train, mut held) = (ratings, None);
        if let Some([user, item]) = *least {
            train = train.k_core(user, item);
        }
        if let Some(Holdout { fraction, by, seed }) = *holdout {
            let (kept, aside) = train.split_by(by, fraction, seed)?;
            (train, held) = (kept, Some(aside));
        }
        let (users, items) = (IdMap::from(train.users.clone()), IdMap::from(train.items.clone()));
        let read = |inputs: &[Input]| {
            if inputs.is_empty() {
                return Ok::<_, Error>(None);
            }
            let triples = read_triples(inputs, options)?;
            Ok(Some(Held::from_triples(&triples, &users, &items)))
        };
        let valid = if held.is_some() { held } else { read(valid)? };
        let test = read(test)?;
        Ok::<_, Error>((Ratings { time: None, ..train }, valid, test))
    };
    read().map_err(|error| error.to_string())
}

/// Asserts that all processes have what one has, each its users' part.
fn agree_on(request: &SharedRequest<'_>, processes: usize) {
    let (train, valid, test) = whole(request).unwrap();
    let each = threads::run(processes, |world| read_shared(world, request.clone()).unwrap());
    let (known, length) =
        (train.known(), |held: &Option<Held>| held.as_ref().map_or(0, |held| held.len() as u64));
    let hash = |held: &Option<Held>| held.as_ref().map_or("none".to_owned(), Held::hash);
    let users = train.users.len();
    let block = blocks(users, train.len() as u64);
    for (process, Shared { train: mine, valid: my_valid, test: my_test, share, .. }) in
        each.iter().enumerate()
    {
        let own = share.own();
        let bounds = &share.bounds;
        assert!(bounds.len() == processes + 1 && bounds[0] == 0 && bounds[processes] == users);
        assert!(bounds.windows(2).all(|ends| ends[0] < ends[1]), "{bounds:?}");
        assert!(bounds[..processes].iter().all(|bound| bound % block == 0));
        let expected = Share {
            users,
            bounds: bounds.clone(),
            process,
            block,
            item_counts: known.item_counts.clone(),
            rated_users: known.user_counts.iter().filter(|&&count| count > 0).count() as u64,
            longest_user: *known.user_counts.iter().max().unwrap(),
            stats: train.stats(),
            held: [length(&valid), length(&test)],
            hashes: [train.hash(), hash(&valid), hash(&test)],
            ids: (process == 0).then(|| train.users.clone()),
        };
        assert_eq!(share, &expected);
        assert_eq!(share.stats.mean.to_bits(), expected.stats.mean.to_bits());
        assert_eq!(share.stats.std.to_bits(), expected.stats.std.to_bits());

        let here = |user: u32| own.contains(&(user as usize)).then(|| user - own.start as u32);
        assert_eq!((&mine.users, &mine.items), (&train.users.part(own.clone()), &train.items));
        let expected = train.iter().filter_map(|(user, item, value)| Some((here(user)?, item, value)));
        assert!(mine.iter().eq(expected), "process {process} of {processes}");
        for (mine, all) in [(my_valid, &valid), (my_test, &test)] {
            assert_eq!(mine.is_some(), all.is_some());
            let (Some(mine), Some(all)) = (mine, all) else { continue };
            let expected = all.iter().filter_map(|(user, item, value)| match user {
                Some(user) => Some((Some(here(user)?), item, value)),
                None => (process + 1 == processes).then_some((None, item, value)),
            });
            assert!(mine.iter().eq(expected), "process {process} of {processes}");
        }
    }
}

/// Text of ratings: whose order, separators and lines are any.
fn ratings_text(rng: &mut ChaCha8Rng, users: u32, count: usize, repeats: bool) -> Vec<u8> {
    let mut pairs: Vec<(u32, u32)> =
        (0..count).map(|_| (rng.random_range(0..users), rng.random_range(0..40))).collect();
    pairs.sort_unstable();
    if !repeats {
        pairs.dedup();
    }
    if rng.random() {
        pairs.shuffle(rng);
    }
    let separator = [",", "\t", "::", ";", " "].choose(rng).unwrap();
    let end = ["\n", "\r\n", "\r"].choose(rng).unwrap();
    let quoted = *separator == "," && *end != "\r" && rng.random();
    let mut text = if rng.random() { "\u{feff}" } else { "" }.to_owned();
    if rng.random() {
        text += &[["user", "item", "rating", "time"].join(separator), (*end).to_owned()].concat();
    }
    for (user, item) in pairs {
        let (value, time) = (f64::from(rng.random_range(1_u32..11)) / 2.0, rng.random_range(0..50));
        let user = if quoted && user % 17 == 0 { format!("\"u{user}\n\"") } else { format!("u{user}") };
        text +=
            &[&*user, separator, &format!("i{item}"), separator, &format!("{value:.1}"), separator].concat();
        text += &[&*time.to_string(), *end].concat();
    }
    if rng.random() {
        text.truncate(text.trim_end().len());
    }
    text.into_bytes()
}

#[test]
fn every_process_has_its_part_of_what_one_has() {
    let (mut spread, mut tested) = (0, 0);
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let users = rng.random_range(300..900);
        let duplicates = *Duplicates::ALL.choose(&mut rng).unwrap();
        let inputs = |rng: &mut ChaCha8Rng, users, name: &str, repeats| -> Vec<Input> {
            let files = if repeats { rng.random_range(1..4) } else { 1 };
            (0..files)
                .map(|file| {
                    let count = rng.random_range(2_000..4_000);
                    let text = ratings_text(rng, users, count, repeats);
                    match rng.random_range(0..6) {
                        0 => Input::bytes(format!("{name}{file}.gz"), gzip(&text)),
                        _ => Input::bytes(format!("{name}{file}"), text),
                    }
                })
                .collect()
        };
        let train = inputs(&mut rng, users, "train", duplicates != Duplicates::Error);
        // Users that nobody has heard of are in the others.
        let valid = if rng.random() { inputs(&mut rng, users + 100, "valid", true) } else { Vec::new() };
        let test = if rng.random() { inputs(&mut rng, users + 100, "test", true) } else { Vec::new() };
        let holdout = Holdout {
            fraction: rng.random_range(0.01..0.6),
            by: *HoldoutBy::ALL.choose(&mut rng).unwrap(),
            seed,
        };
        let options = ReadOptions { duplicates, ..ReadOptions::default() };
        let holdout = (valid.is_empty() && rng.random()).then_some(holdout);
        let least = (rng.random_range(0..4) == 0).then(|| [rng.random_range(0..6), rng.random_range(0..60)]);
        tested += usize::from(!test.is_empty());
        let request = SharedRequest { inputs: train, options: &options, least, holdout, valid, test };
        let whole = whole(&request).unwrap().0;
        let most = whole.users.len().div_ceil(blocks(whole.users.len(), whole.len() as u64));
        for processes in 1..=most.min(5) {
            agree_on(&request, processes);
            spread = spread.max(processes);
        }
    }
    assert!(spread == 5 && tested > 20, "{spread}, {tested}");
}

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
