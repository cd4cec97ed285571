use std::fs;
use std::io::{self, Read};
use std::path::Path;

use rand::seq::{IndexedMutRandom, IndexedRandom};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::collect::Collector;
use super::super::formats::{self, LONGEST, Request};
use super::super::ids::IdMap;
use super::super::read::{ReadOptions, Separator, Triples};
use super::*;
use crate::error::Place;

/// Bytes, and then an error.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(io::Error::other("broken")),
            read => read,
        }
    }
}

type Found = std::result::Result<(Triples, Vec<(usize, Place)>), String>;

/// Ratings with their places, or the message: in blocks of so many bytes, or line by line.
fn found(
    source: Result<Source<'_>>,
    options: &ReadOptions,
    block: Option<usize>,
    mut collector: Collector,
) -> Found {
    let request = Request::new(options, true);
    let mut gather = Gather::new(&mut collector, 0, Path::new("f"), options.rating_range);
    let read = source.and_then(|source| match block {
        Some(block) => {
            gather.block = block;
            formats::collect(source, options.format, &request, &mut gather)
        }
        None => formats::read(source, options.format, &request, &mut |record| gather.push(record)),
    });
    read.map_err(|error| error.to_string())?;
    let (triples, places) = collector.finish(vec!["f".into()]);
    let places = (0..triples.value.len() as u64).map(|record| places.get(record)).collect();
    Ok((triples, places))
}

fn text(bytes: &[u8], options: &ReadOptions, block: Option<usize>) -> Found {
    let source = Source::new(Path::new("f"), Box::new(bytes));
    found(source, options, block, Collector::new(options.time))
}

/// Both ways must agree, to the bits of the ratings and the words of the errors.
fn agree(bytes: &[u8], options: &ReadOptions, blocks: &[usize]) -> Found {
    let expected = text(bytes, options, None);
    for &block in blocks {
        let found = text(bytes, options, Some(block));
        assert_eq!(found, expected, "blocks of {block}: {:?}", String::from_utf8_lossy(bytes));
        if let (Ok((found, _)), Ok((expected, _))) = (&found, &expected) {
            assert!(found.value.iter().zip(&expected.value).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }
    expected
}

fn timed() -> ReadOptions {
    ReadOptions { time: true, ..ReadOptions::default() }
}

#[test]
fn every_broken_file_says_the_same_in_blocks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut files = 0;
    for folder in ["broken/delimited", "inputs/npz", "inputs/jsonl"] {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let bytes = fs::read(path).unwrap();
            for options in [ReadOptions::default(), timed()] {
                let _ = agree(&bytes, &options, &[1, 2, 3, 7, 20, 100, BLOCK]);
            }
            files += 1;
        }
    }
    assert!(files >= 10, "{files}");
}

#[test]
fn good_lines_of_every_kind_are_read() {
    let options = ReadOptions::default();
    for text in [
        "u,i,rating\n1,2,3\n1,3,4.5\n\n02,2,-1.25\r\n2,3,5e-1\n",
        "1::2::3::978300760\n1::3::4::978300760\n2:::x::4::9\n",
        "1\t2\t3\t9\r\n\r\n1\t3\t 4 \t9\r\n",
        "a|b|3\nÖ|b|4\n",
        "a;b;3\n\"c;d\";b;4\n\"e\"\"\";b;1\n",
        "1 2 3\n 1  3   4 \n",
        "1,2,3\r1,3,4\r2,2,5\r",
        "1,2,3,\"two\nlines\"\n1,3,4,x\n2,3,4,\n",
        "rating,when,item,user\n3,9,long item's name,somebody with a name\n4,9,b,c",
    ] {
        let (triples, _) = agree(text.as_bytes(), &options, &[1, 4, 9, 33, BLOCK]).unwrap();
        assert!(triples.value.len() >= 2, "{text}");
    }
}

/// A file that is good for the most part: what is wrong in it may be anything.
pub(in super::super) fn random(rng: &mut ChaCha8Rng, odd: u32) -> Vec<u8> {
    let separator = [",", ",", "\t", ";", "::", "|", " "].choose(rng).unwrap();
    let end = ["\n", "\n", "\r\n", "\r"].choose(rng).unwrap();
    let width = rng.random_range(3..6);
    let mut text = String::new();
    if rng.random() {
        text += &["user", "item", "rating", "timestamp", "note"][..width].join(separator);
        text += end;
    }
    for _ in 0..rng.random_range(1..60) {
        let id = |rng: &mut ChaCha8Rng| match rng.random_range(0..12) {
            0 => format!("{:03}", rng.random_range(0..9)),
            1 => "Zoë Ö".replace(' ', if *separator == " " { "_" } else { " " }),
            2 => format!("{}", rng.next_u64()),
            3 => "a-rather-long-name-of-an-item".to_owned(),
            _ => format!("{}", rng.random_range(0..30)),
        };
        let mut cells = vec![id(rng), id(rng)];
        cells.push(match rng.random_range(0..10) {
            0 => format!("{}", rng.random::<f32>()),
            1 => "-0".to_owned(),
            2 => "1e-3".to_owned(),
            _ => format!("{:.1}", f64::from(rng.random_range(1_u32..11)) / 2.0),
        });
        cells.push(if rng.random_range(0..9) == 0 { "2005-04-02".into() } else { "978300760".into() });
        cells.push("note".to_owned());
        cells.truncate(width);
        if odd > 0 && rng.random_range(0..odd) == 0 {
            let cell = cells.choose_mut(rng).unwrap();
            *cell =
                ["", "\"q\"", "\"a\nb\"", "\"", "x\"y", " 7 ", "nan", "1,5", "\"a,;\t\"", "\0", "é", "1::2"]
                    .choose(rng)
                    .unwrap()
                    .to_string();
        }
        text += &cells.join(separator);
        if odd > 0 && rng.random_range(0..2 * odd) == 0 {
            text += [separator, "  ", end, "\r", ",,", " x"].choose(rng).unwrap();
        }
        text += end;
    }
    if rng.random() {
        text.truncate(text.trim_end().len());
    }
    text.into_bytes()
}

#[test]
fn random_files_are_read_and_refused_as_line_by_line() {
    let (mut read, mut refused) = (0, 0);
    for seed in 0..2_500 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let odd = [0, 20, 20, 100, 400][seed as usize % 5];
        let bytes = random(&mut rng, odd);
        let range = "0..5".parse().unwrap();
        let options = ReadOptions {
            time: rng.random_range(0..4) == 0,
            separator: if rng.random_range(0..9) == 0 { Separator::Byte(b',') } else { Separator::Auto },
            rating_range: (rng.random_range(0..5) == 0).then_some(range),
            ..ReadOptions::default()
        };
        match agree(&bytes, &options, &[1, rng.random_range(2..40), rng.random_range(40..900)]) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(read > 500 && refused > 500, "{read} read, {refused} refused");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut bytes = Vec::new();
    for _ in 0..30_000 {
        let most = rng.random_range(1..4_000);
        let (user, item) = (rng.random_range(0..most), rng.random_range(0..500));
        bytes.extend(format!("u{user},{item},{}\n", rng.random_range(1..6)).bytes());
    }
    let options = ReadOptions::default();
    let expected = text(&bytes, &options, None).unwrap();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for block in [1_000, 4_096, 100_000, BLOCK] {
            assert_eq!(pool.install(|| text(&bytes, &options, Some(block))).as_ref(), Ok(&expected));
        }
    }
    // A wrong line is found wherever it stands, and good ones behind it change nothing.
    for line in [2, 777, 29_999, 30_001] {
        let mut wrong = bytes.clone();
        let at = memchr::memchr_iter(b'\n', &bytes).nth(line - 2).unwrap() + 1;
        wrong.splice(at..at, *b"u1,2,many\n");
        let message = text(&wrong, &options, Some(2_000)).unwrap_err();
        assert!(message.starts_with(&format!("f:{line}: rating \"many\" is not a number")), "{message}");
    }
}

#[test]
fn a_read_that_fails_is_told_behind_the_lines_before_it() {
    let options = ReadOptions::default();
    let good = "1,2,3\n".repeat(3_000);
    for (bytes, message) in [
        (good.clone(), "f: broken; "),
        (format!("{good}1,2"), "f: broken; "),
        (format!("{good}1,x\n1,2"), "f:3001: has 2 columns"),
        (format!("{good}1,2,\"3\n1,2,3\n"), "f: broken; "),
    ] {
        for block in [None, Some(1), Some(100), Some(1 << 20)] {
            let source = Source::new(Path::new("f"), Box::new(Broken(bytes.as_bytes())));
            let error = found(source, &options, block, Collector::new(false)).unwrap_err();
            assert!(error.starts_with(message), "{block:?}: {error}");
        }
    }
}

#[test]
fn a_line_without_end_is_refused_with_its_number() {
    let bytes = [b"1,2,3\n1,3,4\n".repeat(40), vec![b'7'; LONGEST + 9], b"\n1,2,3\n".repeat(9)].concat();
    let error = agree(&bytes, &ReadOptions::default(), &[100, 1 << 20]).unwrap_err();
    assert_eq!(error, "f:81: the line is longer than 16 MiB; pass a text file with one rating a line");
}

#[test]
fn too_many_ids_are_refused_where_the_first_of_them_stands() {
    let bytes = b"a,x,1\nb,x,2\n\nb,y,3\na,z,3\nc,x,4\nd,x,4\n";
    for (users, items, message) in [
        (2, 9, "f:6: has more than 4294967294 users; split"),
        (9, 2, "f:5: has more than 4294967294 items; split"),
        (2, 2, "f:5: has more than 4294967294 items; split"),
    ] {
        for block in [None, Some(1), Some(10), Some(1_000)] {
            let collector = Collector {
                users: IdMap::limited(users),
                items: IdMap::limited(items),
                ..Collector::new(false)
            };
            let source = Source::new(Path::new("f"), Box::new(&bytes[..]));
            let error = found(source, &ReadOptions::default(), block, collector).unwrap_err();
            assert!(error.starts_with(message), "{block:?}: {error}");
        }
    }
}
