#[cfg(feature = "parquet")]
mod groups;
mod refusals;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::blocks::tests::random;
use super::super::read::{Duplicates, read_ratings, read_triples};
use super::*;
use crate::data::formats;
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

#[test]
fn files_of_every_kind_are_read_side_by_side_from_a_folder() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let mut pair = |user: u32| (user, user * 7 % 50, rng.random_range(1..6));
    let json = |(user, item, rating)| {
        format!("{{\"item\": {item}, \"user\": \"é{user}\", \"rating\": {rating}}}\n\n")
    };
    let spaced = |(user, item, rating)| format!("{user} {} {rating}\n", item + 1);
    put("a.jsonl", (0..300).map(|user| json(pair(user))).collect::<String>().as_bytes());
    put("b.csv", (300..600).map(|user| spaced(pair(user)).replace(' ', ",")).collect::<String>().as_bytes());
    put("c.csv.gz", &gzip((600..700).map(|user| spaced(pair(user))).collect::<String>().as_bytes()));
    let entries: String = (701..800).map(|user| spaced(pair(user))).collect();
    put("d.mtx", format!("%%MatrixMarket matrix coordinate real general\n900 51 99\n{entries}").as_bytes());
    put("e.jsonl", (800..900).map(|user| json(pair(user))).collect::<String>().trim_end().as_bytes());
    put("f.txt", (900..1_000).map(|user| spaced(pair(user))).collect::<String>().as_bytes());
    let inputs = [Input::from(folder.path())];
    let libmf =
        ReadOptions { format: Some(formats::Format::by_name("libmf").unwrap()), ..ReadOptions::default() };
    for processes in 1..6 {
        let expected = alone(&inputs, &ReadOptions::default());
        assert!(expected.as_ref().is_ok_and(|ratings| ratings.len() == 999));
        assert_eq!(together(processes, &inputs, &ReadOptions::default()), expected);
        let only = [Input::from(folder.path().join("f.txt"))];
        assert_eq!(together(processes, &only, &libmf), alone(&only, &libmf));
        let refused = [Input::from(folder.path().join("a.jsonl"))];
        let said = together(processes, &refused, &libmf);
        assert!(said.is_err());
        assert_eq!(said, alone(&refused, &libmf));
    }
    // A wrong line is told with its number, and that it may be no file that was meant.
    for (name, line, wrong) in [("a.jsonl", 431, "{\"user\": 1}"), ("f.txt", 77, "1 2 many")] {
        let path = folder.path().join(name);
        let good = std::fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = good.lines().collect();
        lines.insert(line - 1, wrong);
        put(name, lines.join("\n").as_bytes());
        for processes in 1..6 {
            let said = together(processes, &inputs, &ReadOptions::default());
            assert!(said.as_ref().is_err_and(|said| said.contains(&format!("{name}:{line}: "))), "{said:?}");
            assert_eq!(said, alone(&inputs, &ReadOptions::default()));
        }
        put(name, good.as_bytes());
    }
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
