//! The same ratings in every format, packing and cut give the same ratings, and the same model.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use deltav::data::formats::Format;
use deltav::data::{Input, Ratings, ReadOptions, read_pairs, read_ratings, read_triples};
use flate2::Compression;
use flate2::write::GzEncoder;

type Triple = (u32, u32, f32);
/// Files by name.
type Files = Vec<(String, Vec<u8>)>;

/// Users and items from 1, so that MatrixMarket can say them; not in the order of their numbers.
fn triples() -> Vec<Triple> {
    let all = (0..600_u32).map(|p| (1 + p * 7 % 41, 1 + p * 11 % 29, (p * p % 9) as f32 / 2.0 - 0.5));
    let mut seen = std::collections::BTreeSet::new();
    all.filter(|&(user, item, _)| seen.insert((user, item))).collect()
}

/// A way to write ratings as text: name of the file, first lines, and each rating's line.
struct Dress {
    name: &'static str,
    head: &'static str,
    line: fn(Triple) -> String,
    format: Option<&'static str>,
}

const DRESSES: [Dress; 8] = [
    Dress {
        name: "r.csv",
        head: "userId,movieId,rating\n",
        line: |(u, i, r)| format!("{u},{i},{r}"),
        format: None,
    },
    Dress { name: "r.tsv", head: "", line: |(u, i, r)| format!("{u}\t{i}\t{r}\t881250949"), format: None },
    Dress {
        name: "crlf.csv",
        head: "\u{feff}\"Rating\";\"User-ID\";\"ISBN\"\r\n",
        line: |(u, i, r)| format!("\"{r}\";\"{u}\";\"{i}\"\r"),
        format: None,
    },
    Dress { name: "r.dat", head: "", line: |(u, i, r)| format!("{u}::{i}::{r}::978300760"), format: None },
    Dress { name: "r.txt", head: "", line: |(u, i, r)| format!("{u} {i} {r}"), format: None },
    Dress { name: "libmf.txt", head: "", line: |(u, i, r)| format!("{u} {i} {r}"), format: Some("libmf") },
    Dress {
        name: "numbers.jsonl",
        head: "",
        line: |(u, i, r)| format!("{{\"user\": {u}, \"item\": {i}, \"rating\": {r}, \"more\": [null]}}"),
        format: None,
    },
    Dress {
        name: "strings.ndjson",
        head: "",
        // The user's first digit as \\u003N.
        line: |(u, i, r)| format!("{{\"rating\":\"{r}\",\"item_id\":\"{i}\",\"user_id\":\"\\u003{u}\"}}"),
        format: None,
    },
];

fn written(dress: &Dress, triples: &[Triple]) -> Vec<u8> {
    let mut text = dress.head.to_owned();
    for &triple in triples {
        let _ = writeln!(text, "{}", (dress.line)(triple));
    }
    text.into_bytes()
}

fn matrix(triples: &[Triple]) -> Vec<u8> {
    let mut text = "%%MatrixMarket matrix coordinate real general\n% by hand\n".to_owned();
    let _ = writeln!(text, "41 29 {}", triples.len());
    for (user, item, rating) in triples {
        let _ = writeln!(text, "{user} {item} {rating:e}");
    }
    text.into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Every dress whole and in three parts, by name, with its options.
fn all() -> Vec<(Files, ReadOptions)> {
    let triples = triples();
    let parts = [&triples[..100], &triples[100..101], &triples[101..]];
    let mut all = Vec::new();
    let mut add = |name: &str, format: Option<&str>, write: &dyn Fn(&[Triple]) -> Vec<u8>| {
        let format = format.map(|format| Format::by_name(format).unwrap());
        let options = || ReadOptions { format, ..ReadOptions::default() };
        all.push((vec![(name.to_owned(), write(&triples))], options()));
        let numbered = (0..).zip(&parts).map(|(n, part)| (format!("part-{n:05}.{name}"), write(part)));
        all.push((numbered.collect(), options()));
    };
    for dress in &DRESSES {
        add(dress.name, dress.format, &|triples| written(dress, triples));
    }
    add("r.mtx", None, &matrix);
    all
}

fn expected() -> Ratings {
    let text: String = triples().iter().map(|(u, i, r)| format!("{u},{i},{r}\n")).collect();
    read_ratings([Input::bytes("plain.csv", text.into_bytes())], &ReadOptions::default()).unwrap()
}

#[test]
fn one_data_set_in_every_format_packing_and_cut() {
    let expected = expected();
    assert!(expected.len() > 500 && expected.users.len() == 41 && expected.items.len() == 29);
    for (files, options) in all() {
        for (packing, pack) in [("", <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>), (".gz", gzip), (".zst", zstd)] {
            let packed: Files =
                files.iter().map(|(name, bytes)| (format!("{name}{packing}"), pack(bytes))).collect();
            let inputs = packed.iter().map(|(name, bytes)| Input::bytes(name, bytes.as_slice()));
            let inputs: Vec<Input> = inputs.collect();
            let read = read_ratings(&inputs, &options).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((read.hash(), &read), (expected.hash(), &expected), "{}", packed[0].0);
            let triples = read_triples(&inputs, &options).unwrap();
            assert_eq!((triples.user, triples.value), (expected.user.clone(), expected.value.clone()));

            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in &packed {
                std::fs::write(folder.path().join(name), bytes).unwrap();
            }
            for name in ["_SUCCESS", ".part.crc", "README"] {
                std::fs::write(folder.path().join(name), "not ratings").unwrap();
            }
            let read = read_ratings([folder.path()], &options).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read, expected, "the folder of {}", packed[0].0);
        }
    }
}

#[test]
fn pairs_of_every_format_are_the_same_as_well() {
    let expected: Vec<(String, String)> =
        triples().iter().map(|(user, item, _)| (user.to_string(), item.to_string())).collect();
    for (files, options) in all() {
        let inputs: Vec<Input> =
            files.iter().map(|(name, bytes)| Input::bytes(name, bytes.as_slice())).collect();
        let mut pairs = Vec::new();
        let count = read_pairs(&inputs, &options, |pair| {
            let text = |id: &[u8]| String::from_utf8(id.to_vec()).unwrap();
            pairs.push((text(pair.user), text(pair.item)));
            Ok(())
        });
        assert_eq!(count.unwrap(), expected.len() as u64);
        assert_eq!(pairs, expected, "{}", files[0].0);
    }
}

/// Trains in `folder` on these inputs and returns the model's bytes.
fn train(folder: &Path, inputs: &[&str], stdin: Option<&[u8]>) -> Vec<u8> {
    let settings =
        ["--epochs", "3", "--rank", "2", "--device", "cpu", "--quiet", "--force", "--out", "model"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_deltav"));
    program.arg("train").args(inputs).args(settings).current_dir(folder).stderr(Stdio::inherit());
    let mut program = program.stdin(Stdio::piped()).spawn().unwrap();
    // Closed at once where nothing is to be read from it.
    let mut pipe = program.stdin.take().unwrap();
    if let Some(bytes) = stdin {
        pipe.write_all(bytes).unwrap();
    }
    drop(pipe);
    assert!(program.wait().unwrap().success(), "{inputs:?}");
    std::fs::read(folder.join("model")).unwrap()
}

#[test]
fn every_way_in_leads_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let plain = written(&DRESSES[0], &triples());
    std::fs::write(path.join("plain.csv"), &plain).unwrap();
    let model = train(path, &["plain.csv"], None);
    assert_eq!(train(path, &["-"], Some(&plain)), model, "standard input");
    assert_eq!(train(path, &["-"], Some(&zstd(&plain))), model, "standard input, packed");
    for (number, (files, options)) in all().into_iter().enumerate() {
        let parts = format!("parts-{number}");
        std::fs::create_dir(path.join(&parts)).unwrap();
        for (name, bytes) in &files {
            std::fs::write(path.join(&parts).join(name), gzip(bytes)).unwrap();
        }
        let names: Vec<String> = files.iter().map(|(name, _)| format!("{parts}/{name}")).collect();
        let mut inputs: Vec<&str> = names.iter().map(String::as_str).collect();
        let forced = options.format.map(|format| ["--format", format.name]);
        // Named one by one, and, every other time, as a folder.
        let folder_name = if number % 2 == 0 {
            for (name, bytes) in &files {
                std::fs::write(path.join(&parts).join(name), bytes).unwrap();
            }
            inputs = vec![&parts];
            "a folder"
        } else {
            "files"
        };
        inputs.extend(forced.iter().flatten());
        assert_eq!(train(path, &inputs, None), model, "{folder_name}: {names:?}");
    }
}
