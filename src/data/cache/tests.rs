use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::super::ratings::tests::ratings;
use super::super::read::{read_ratings, read_triples};
use super::*;

const TEXT: &str = "user,item,rating,timestamp\n1,a,3.5,7\n02,a,4,8\n\n1,\"b,c\",-0,9\n";

struct Place {
    folder: TempDir,
    cache: Cache,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("deep/cache"));
        Self { folder, cache }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, path: &PathBuf, options: &ReadOptions) -> (Ratings, Vec<String>) {
        let (found, notices) = self.cache.read_ratings([path], options).unwrap();
        assert_eq!(found, read_ratings([path], options).unwrap());
        (found, notices)
    }

    fn kept(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.cache.folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn the_second_time_is_as_the_first_and_says_nothing() {
    let place = Place::new();
    let path = place.write("r.csv", TEXT);
    let expected = ratings(&[("1", "a", 3.5), ("02", "a", 4.0), ("1", "b,c", -0.0)]);
    let (first, notices) = place.read(&path, &ReadOptions::default());
    assert!(notices.len() == 1 && notices[0].starts_with("what was read is kept in "), "{notices:?}");
    let (second, notices) = place.read(&path, &ReadOptions::default());
    assert_eq!((&first, &second, notices), (&expected, &expected, vec![]));
    assert!(second.value[2].is_sign_negative());
    // It is the content that counts, not the name.
    let copy = place.write("copy.csv", TEXT);
    assert_eq!(place.read(&copy, &ReadOptions::default()).1, [""; 0]);
    let triples = place.cache.read_triples([&path], &ReadOptions::default()).unwrap();
    assert_eq!(triples, (read_triples([&path], &ReadOptions::default()).unwrap(), vec![]));
    assert_eq!(place.kept().len(), 1);
}

#[test]
fn whatever_changes_the_ratings_is_another_entry() {
    let place = Place::new();
    let path = place.write("r.csv", TEXT);
    let by = |text: &str| ReadOptions { columns: Some(text.parse().unwrap()), ..ReadOptions::default() };
    let ways = [
        ReadOptions::default(),
        ReadOptions { time: true, ..ReadOptions::default() },
        by("2,1,3"),
        by("1,2,4"),
        ReadOptions { separator: ",".parse().unwrap(), ..ReadOptions::default() },
        ReadOptions { header: Some(true), ..ReadOptions::default() },
        ReadOptions { rating_range: Some("-1..5".parse().unwrap()), ..ReadOptions::default() },
        ReadOptions { format: Some(formats("csv")), ..ReadOptions::default() },
    ];
    for _ in 0..2 {
        for options in &ways {
            place.read(&path, options);
        }
        assert_eq!(place.kept().len(), ways.len());
    }
    // Duplicates are handled behind it.
    for duplicates in Duplicates::ALL {
        assert_eq!(place.read(&path, &ReadOptions { duplicates, ..ReadOptions::default() }).1, [""; 0]);
    }
    let other = place.write("r.csv", TEXT.replace("3.5", "3.0"));
    assert_eq!(place.read(&other, &ReadOptions::default()).1.len(), 1);
    // More than one file, in their order; and packed.
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(b"5,x,1\n").unwrap();
    let packed = place.write("p.csv.gz", packed.finish().unwrap());
    for inputs in [[&other, &packed], [&packed, &other]] {
        for new in [1, 0] {
            let (found, notices) = place.cache.read_ratings(inputs, &ReadOptions::default()).unwrap();
            assert_eq!(found, read_ratings(inputs, &ReadOptions::default()).unwrap());
            assert_eq!(notices.len(), new);
        }
    }
    assert_eq!(place.kept().len(), ways.len() + 3);
}

fn formats(name: &str) -> &'static crate::data::formats::Format {
    crate::data::formats::Format::by_name(name).unwrap()
}

#[test]
fn pairs_that_occur_twice_are_handled_as_without() {
    let place = Place::new();
    let path = place.write("r.csv", "1,a,1\n2,a,2\n\n1,a,4\n");
    for duplicates in [Duplicates::Error, Duplicates::First, Duplicates::Error, Duplicates::Mean] {
        let options = ReadOptions { duplicates, ..ReadOptions::default() };
        let plain = read_ratings([&path], &options).map_err(|error| error.to_string());
        let found = place.cache.read_ratings([&path], &options).map_err(|error| error.to_string());
        assert_eq!(found.map(|(ratings, _)| ratings), plain);
    }
    let error = place.cache.read_ratings([&path], &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("r.csv:4: user \"1\" rated item \"a\" on line 1 already"), "{error}");
    assert_eq!(place.kept().len(), 1);
}

#[test]
fn a_file_that_is_wrong_says_so_every_time_and_is_not_kept() {
    let place = Place::new();
    let path = place.write("r.csv", "1,a,1\n2,a,x\n");
    for _ in 0..2 {
        let error = place.cache.read_ratings([&path], &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("r.csv:2: rating \"x\" is not a number"), "{error}");
    }
    let missing = place.cache.read_ratings(["/nowhere/r.csv"], &ReadOptions::default()).unwrap_err();
    assert_eq!(missing.exit_code(), 66);
    assert!(place.kept().is_empty());
}

#[test]
fn damage_is_told_and_made_good() {
    let place = Place::new();
    let path = place.write("r.csv", TEXT);
    let timed = ReadOptions { time: true, ..ReadOptions::default() };
    place.read(&path, &timed);
    let kept = place.kept().remove(0);
    let whole = fs::read(&kept).unwrap();
    let mut wrong: Vec<Vec<u8>> = (0..whole.len())
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            bytes
        })
        .collect();
    wrong.extend((0..whole.len()).step_by(7).map(|length| whole[..length].to_vec()));
    wrong.push([&whole[..], b"x"].concat());
    // A head that claims more than there is, with a checksum that fits.
    let sealed = |mut bytes: Vec<u8>| {
        let end = bytes.len() - 4;
        let sum = crc32fast::hash(&bytes[..end]).to_ne_bytes();
        bytes[end..].copy_from_slice(&sum);
        bytes
    };
    for at in (48..104).step_by(8) {
        for number in [0, 1, u64::MAX, u64::MAX / 8, 1 << 40] {
            let mut bytes = whole.clone();
            bytes[at..at + 8].copy_from_slice(&number.to_ne_bytes());
            if bytes != whole && (at, number) != (96, 1) {
                wrong.push(sealed(bytes));
            }
        }
    }
    // Indices of nobody, and a rating that is none.
    let numbers = whole.len() - 4 - 3 * 20;
    for at in [numbers + 8, numbers + 12 + 8, numbers + 24] {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&f32::NAN.to_ne_bytes());
        wrong.push(sealed(bytes));
    }
    for bytes in wrong {
        fs::write(&kept, &bytes).unwrap();
        let (_, notices) = place.read(&path, &timed);
        let [damage, made] = &notices[..] else { panic!("{notices:?}") };
        assert!(damage.contains(".ratings: ") && damage.ends_with("; it is made anew"), "{damage}");
        assert!(made.starts_with("what was read is kept in "), "{made}");
        assert_eq!(fs::read(&kept).unwrap(), whole);
    }
    // It is what stands there that is read.
    let mut bytes = whole.clone();
    bytes[numbers + 24..numbers + 28].copy_from_slice(&2.5_f32.to_ne_bytes());
    fs::write(&kept, sealed(bytes)).unwrap();
    let (found, notices) = place.cache.read_ratings([&path], &timed).unwrap();
    assert_eq!((found.value[0], notices), (2.5, vec![]));
}

#[test]
fn a_cache_that_can_not_be_written_costs_no_ratings() {
    let place = Place::new();
    let path = place.write("r.csv", TEXT);
    let blocked = Cache::new(path.join("cache"));
    for _ in 0..2 {
        let (found, notices) = blocked.read_ratings([&path], &ReadOptions::default()).unwrap();
        assert_eq!(found.len(), 3);
        assert!(notices.last().unwrap().starts_with("what was read is not kept in a cache: "), "{notices:?}");
    }
    place.read(&path, &ReadOptions::default());
    let kept = place.kept().remove(0);
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    let notices = place.read(&path, &ReadOptions::default()).1;
    assert!(notices.len() == 2 && notices[0].contains("it is made anew"), "{notices:?}");
}

#[test]
fn what_is_no_file_is_read_and_not_kept() {
    let place = Place::new();
    let text = Input::bytes("r.csv", TEXT.as_bytes());
    let (found, notices) = place.cache.read_ratings([text], &ReadOptions::default()).unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(notices, ["only files are kept in a cache, neither standard input nor pipes"]);
    assert!(place.kept().is_empty());
}

#[test]
fn ratings_of_many_chunks_are_the_same() {
    let place = Place::new();
    let mut text = String::new();
    for p in 0..1_200_000_u32 {
        text.push_str(&format!("{},{},{}\n", p / 1_200, p % 1_200, p % 10));
    }
    let path = place.write("r.csv", text);
    assert_eq!(place.read(&path, &ReadOptions::default()).1.len(), 1);
    assert_eq!(place.read(&path, &ReadOptions::default()).1.len(), 0);
}
