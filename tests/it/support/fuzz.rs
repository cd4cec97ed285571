//! What the fuzz targets do with their bytes, one function a target. `fuzz/` feeds them
//! what it finds; `tests/it/corpus.rs` replays what it kept.

use deltav::backend::cpu::CpuBackend;
use deltav::backend::{DeviceChoice, OpenOptions, open};
use deltav::config::TrainConfig;
use deltav::data::formats::Format;
use deltav::data::{
    Cache, Duplicates, IdMap, Input, Ratings, ReadOptions, Separator, Side, read_item_ids, read_item_names,
    read_pairs, read_ratings, read_triples, read_user_ids, stream_ratings,
};
use deltav::error::{Error, Result};
use deltav::event::Silent;
use deltav::model::{EXPORTS, Explore, Model, Neighborhood, TopN};
use deltav::output::Output;
use deltav::train::{Checkpoint, Controls, Dataset, train_with};

/// A target: takes any bytes and panics if a promise is broken.
pub type Target = fn(&[u8]);

/// Every target, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("cache", cache),
    ("checkpoint", checkpoint),
    ("delimited", delimited),
    ("ids", ids),
    ("jsonl", jsonl),
    ("libmf", libmf),
    ("live", live),
    ("model", model),
    ("mtx", mtx),
    ("names", names),
    ("npy", npy),
    ("npz", npz),
    ("packed", packed),
    #[cfg(feature = "parquet")]
    ("parquet", parquet),
];

/// More records than this are not read: a few bytes can stand for billions of equal ones.
const MOST_RECORDS: u64 = 50_000;

/// An error of data is one line with its exit code; anything else is a bug.
fn refused(error: &Error) {
    let text = error.to_string();
    assert!(matches!(error.exit_code(), 2 | 65), "{} {text}", error.exit_code());
    assert!(!text.contains(char::is_control), "{text:?}");
}

fn ok<T>(result: Result<T>) -> Option<T> {
    result.map_err(|error| refused(&error)).ok()
}

/// Ratings in every way of reading them.
fn ratings(name: &str, bytes: &[u8], options: &ReadOptions) {
    let input = Input::bytes(name, bytes);
    let mut count = 0;
    let pairs = read_pairs([&input], options, |pair| {
        assert!(!pair.user.is_empty() && !pair.item.is_empty());
        count += 1;
        if count < MOST_RECORDS { Ok(()) } else { Err(Error::usage("enough", "stop")) }
    });
    ok(pairs);
    if count == MOST_RECORDS {
        return;
    }
    if let Some(triples) = ok(read_triples([&input], options)) {
        let n = triples.value.len();
        assert!(n > 0 && triples.user.len() == n && triples.item.len() == n);
        assert!(triples.user.iter().all(|&user| (user as usize) < triples.users.len()));
        assert!(triples.item.iter().all(|&item| (item as usize) < triples.items.len()));
        assert!(triples.value.iter().all(|value| value.is_finite()));
        assert_eq!(triples.time.map(|time| time.len()), options.time.then_some(n));
    }
    if let Some(ratings) = ok(read_ratings([&input], options)) {
        let mut pairs: Vec<(u32, u32)> =
            (0..ratings.len()).map(|at| (ratings.user[at], ratings.item[at])).collect();
        pairs.sort_unstable();
        let before = pairs.len();
        pairs.dedup();
        assert_eq!(pairs.len(), before);
        assert!(ratings.value.iter().all(|value| value.is_finite()));
    }
}

/// Options from a byte, so that the fuzzer chooses them.
fn options(byte: u8, format: Option<&str>) -> ReadOptions {
    ReadOptions {
        format: format.map(|name| Format::by_name(name).unwrap_or_else(|error| panic!("{error}"))),
        duplicates: Duplicates::ALL[usize::from(byte) % 4],
        time: byte & 4 != 0,
        ..ReadOptions::default()
    }
}

fn forced(format: &str, bytes: &[u8]) {
    if let Some((&first, rest)) = bytes.split_first() {
        ratings("a", rest, &options(first, Some(format)));
    }
}

/// Delimited text; the first two bytes choose options, separator, header and columns.
pub fn delimited(bytes: &[u8]) {
    let Some((&[first, second], rest)) = bytes.split_first_chunk() else { return };
    let separators =
        [Separator::Auto, Separator::DoubleColon].into_iter().chain(b"\t,;| ".map(Separator::Byte));
    let columns = [None, Some("1,2,3"), Some("3,1,2,4"), Some("userId,movieId,rating,timestamp")];
    let options = ReadOptions {
        separator: separators.into_iter().nth(usize::from(second) % 7).unwrap_or_default(),
        header: [None, Some(true), Some(false)][usize::from(second / 7) % 3],
        columns: columns[usize::from(first >> 3) % 4].map(|text| text.parse().unwrap_or_else(|_| panic!())),
        ..options(first, Some("delimited"))
    };
    ratings("a.csv", rest, &options);
}

/// JSON lines; the first byte chooses options, here and below.
pub fn jsonl(bytes: &[u8]) {
    forced("jsonl", bytes);
}

/// MatrixMarket.
pub fn mtx(bytes: &[u8]) {
    forced("mtx", bytes);
}

/// LIBMF's triples.
pub fn libmf(bytes: &[u8]) {
    forced("libmf", bytes);
}

/// Dense matrices.
pub fn npy(bytes: &[u8]) {
    forced("npy", bytes);
}

/// Sparse matrices, and columns.
pub fn npz(bytes: &[u8]) {
    forced("npz", bytes);
}

/// Parquet.
#[cfg(feature = "parquet")]
pub fn parquet(bytes: &[u8]) {
    forced("parquet", bytes);
}

/// Whatever it is: gzip, zstd, or any format that recognises it.
pub fn packed(bytes: &[u8]) {
    ratings("a", bytes, &options(0, None));
}

/// Ratings one after the other, as standard input is read: those that are read at once.
pub fn live(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let formats = [None, Some("delimited"), Some("jsonl"), Some("mtx"), Some("libmf")];
    let options = options(first, formats[usize::from(first >> 3) % 5]);
    let input = Input::bytes("a", rest);
    let mut found = Vec::new();
    let count = stream_ratings([&input], &options, |rated| {
        let pair = rated.pair;
        assert!(rated.rating.is_finite() && !pair.user.is_empty() && !pair.item.is_empty());
        found.push((pair.user.to_vec(), pair.item.to_vec(), rated.rating));
        if found.len() < MOST_RECORDS as usize { Ok(()) } else { Err(Error::usage("enough", "stop")) }
    });
    if found.len() == MOST_RECORDS as usize {
        return;
    }
    let live = ok(count);
    let whole = ok(read_triples([&input], &options));
    // Of what is packed a line may tell less than the 8 KiB that are looked at otherwise.
    if let (Some(count), Some(triples)) = (live, whole) {
        assert_eq!((count as usize, found.len()), (triples.value.len(), triples.value.len()));
        for (at, (user, item, rating)) in found.iter().enumerate() {
            assert_eq!(triples.users.get(triples.user[at]), user);
            assert_eq!(triples.items.get(triples.item[at]), item);
            assert_eq!(triples.value[at].to_bits(), rating.to_bits());
        }
    }
}

/// Bytes of a cache's file before the sizes: what it is, and of which ratings.
const CACHE_HEAD: usize = 48;

/// A cache's file behind its head; in the first byte, whether the checksum is made to fit and whether
/// there are timestamps.
pub fn cache(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let options = ReadOptions { time: first & 2 != 0, ..ReadOptions::default() };
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(format!("deltav-cache-{process}-{thread:?}-{}", first & 2));
    let (ratings, cache) = (folder.join("r.csv"), Cache::new(folder.join("cache")));
    let entry = || {
        let mut entries = std::fs::read_dir(folder.join("cache")).into_iter().flatten().flatten();
        entries.find(|entry| entry.path().extension().is_some_and(|end| end == "ratings"))
    };
    let made = entry().unwrap_or_else(|| {
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
        std::fs::write(&ratings, "1,a,3,7\n2,a,4,8\n1,b,5,9\n").unwrap_or_else(|error| panic!("{error}"));
        ok(cache.read_ratings([&ratings], &options));
        entry().unwrap_or_else(|| panic!("no cache"))
    });
    let whole = std::fs::read(made.path()).unwrap_or_else(|error| panic!("{error}"));
    let mut new = whole[..CACHE_HEAD].to_vec();
    new.extend(rest);
    let end = new.len().saturating_sub(4).max(CACHE_HEAD);
    if first & 1 == 0 && end + 4 == new.len() {
        let sum = crc32fast::hash(&new[..end]).to_ne_bytes();
        new[end..].copy_from_slice(&sum);
    }
    std::fs::write(made.path(), &new).unwrap_or_else(|error| panic!("{error}"));
    // What stands there is taken, or made anew; it is never an error.
    let (found, notices) = cache.read_triples([&ratings], &options).unwrap_or_else(|error| panic!("{error}"));
    assert!(notices.len() == 2 || notices.is_empty(), "{notices:?}");
    let n = found.value.len();
    assert!(n > 0 && found.user.len() == n && found.item.len() == n);
    assert!(found.user.iter().all(|&user| (user as usize) < found.users.len()));
    assert!(found.item.iter().all(|&item| (item as usize) < found.items.len()));
    assert!(found.users.iter().chain(found.items.iter()).all(|id| !id.is_empty()));
    assert!(found.value.iter().all(|value| value.is_finite()));
    assert_eq!(found.time.map(|time| time.len()), options.time.then_some(n));
    // The next run begins with a file that is good.
    if new != whole {
        std::fs::write(made.path(), &whole).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Lists of ids; the first byte chooses users or items.
pub fn ids(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let (mut seen, mut last) = (0, 0);
    let each = |id: &[u8], line: u64| {
        assert!(!id.is_empty() && line > last);
        (seen, last) = (seen + 1, line);
        Ok(())
    };
    let input = Input::bytes("a", rest);
    let count = if first & 1 == 0 { read_user_ids(input, each) } else { read_item_ids(input, each) };
    if let Some(count) = ok(count) {
        assert_eq!(count, seen);
    }
}

/// Names of items.
pub fn names(bytes: &[u8]) {
    let mut ids = IdMap::new();
    for id in ["1", "2", "a", "Ann"] {
        ids.get_or_insert(id.as_bytes());
    }
    let ids = ids.into_ids();
    if let Some(found) = ok(read_item_names(Input::bytes("a.csv", bytes), None, &ids)) {
        let names: Vec<&[u8]> = found.names.iter().collect();
        assert_eq!(names.len(), ids.len());
        assert!(names.iter().all(|name| std::str::from_utf8(name).is_ok()));
        assert_eq!(names.iter().filter(|name| name.is_empty()).count() as u64, found.unnamed);
    }
}

/// What the checkpoints of the corpus are of: a run over few ratings, some of them held out.
pub fn checkpointed() -> (TrainConfig, Dataset) {
    let ids = |prefix: &str, count: usize| {
        let mut map = IdMap::new();
        for i in 0..count {
            map.get_or_insert(format!("{prefix}{i}").as_bytes()).unwrap();
        }
        map.into_ids()
    };
    let cells: Vec<(u32, u32)> = (0..20).map(|p| (p % 5, p / 5)).collect();
    let ratings = Ratings {
        users: ids("u", 5),
        items: ids("i", 4),
        user: cells.iter().map(|cell| cell.0).collect(),
        item: cells.iter().map(|cell| cell.1).collect(),
        value: (0..20_u8).map(|p| f32::from(p * 7 % 5)).collect(),
        time: None,
    };
    let (train, valid) = ratings.split(0.2, 1).unwrap();
    let options = [("warm-up", "1"), ("settle", "1")];
    let config = TrainConfig {
        rank: 2,
        epochs: Some(5),
        options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        ..TrainConfig::default()
    };
    (config, Dataset { train, valid: Some(valid), test: None })
}

/// A checkpoint, as it is and with the checksum of its bytes.
pub fn checkpoint(bytes: &[u8]) {
    one_checkpoint(bytes.to_vec());
    if let Some((all, _)) = bytes.split_last_chunk::<4>() {
        one_checkpoint([all, &crc32fast::hash(all).to_le_bytes()].concat());
    }
}

/// Goes on to a sound model or is refused: as a file, as that of another run, or as diverged.
fn one_checkpoint(bytes: Vec<u8>) {
    thread_local! {
        static RUN: (TrainConfig, Dataset) = checkpointed();
    }
    let Some(resume) = ok(Checkpoint::from_bytes("a.ckpt", bytes)) else { return };
    let controls = Controls { resume: Some(resume), ..Controls::default() };
    RUN.with(|(config, data)| {
        let mut backend = CpuBackend::new(Some(1)).unwrap();
        match train_with(config.clone().check().unwrap(), data, &mut backend, &mut Silent, controls) {
            Ok(model) => assert_eq!(model.check(), Ok(())),
            Err(error) if error.exit_code() == 3 => {}
            Err(error) => refused(&error),
        }
    });
}

/// A model file, as it is and with the checksum of its bytes, without which no damage gets far.
pub fn model(bytes: &[u8]) {
    one_model(bytes);
    if let Some((all, _)) = bytes.split_last_chunk::<4>() {
        one_model(&[all, &crc32fast::hash(all).to_le_bytes()].concat());
    }
}

/// Loads or is refused; what loads answers every question with finite numbers.
fn one_model(bytes: &[u8]) {
    let Some(model) = ok(Model::from_bytes("a.safetensors", bytes)) else { return };
    assert_eq!(model.check(), Ok(()));
    let predictor = model.predictor();
    let (users, items) = (model.users.len() as u32, model.items.len() as u32);
    let some = |count: u32| [None, (count > 0).then_some(0), count.checked_sub(1)];
    for user in some(users) {
        for item in some(items) {
            let prediction = predictor.predict(user, item);
            assert!(prediction.rating.is_finite(), "{prediction:?}");
        }
        if let Some(user) = user {
            for best in predictor.recommend_index(user, 3, false) {
                assert!(best.item < items && best.score.is_finite(), "{best:?}");
            }
        }
    }
    let _ = model.card().sections();
    let wanted = Neighborhood { n: 3, ..Neighborhood::default() };
    for user in some(users).into_iter().flatten() {
        ok(predictor.similar_users(user, &wanted));
        ok(predictor.explore_index(user, 3, false, Explore::Thompson { seed: 1 }));
    }
    for item in some(items).into_iter().flatten() {
        ok(predictor.similar_items(item, &wanted));
    }
    for row in [
        predictor.fold_in_user(&[]),
        predictor.fold_in_user(&[(0, 1.0), (0, 2.0), (items, 3.0)]),
        predictor.fold_in_item(&[(0, 5.0), (users.saturating_sub(1), 1.0)]),
    ] {
        let Some(row) = ok(row) else { continue };
        assert!(row.factors.iter().all(|x| x.is_finite()) && row.bias.is_finite());
        let others = if row.side == Side::Users { items } else { users };
        for best in predictor.recommend_for(&row, &TopN { n: 3, ..TopN::default() }) {
            assert!(best.index < others && best.score.is_finite(), "{best:?}");
        }
    }
    top_n(&model);
    exports(&model);
}

/// Lists by a device are those of a scan.
fn top_n(model: &Model) {
    let predictor = model.predictor();
    let users: Vec<u32> = (0..model.users.len().min(20) as u32).collect();
    let query = TopN { n: 2, ..TopN::default() };
    let cpu = open(DeviceChoice::Cpu, &OpenOptions { threads: Some(1), ..OpenOptions::default() });
    let mut cpu = cpu.unwrap_or_else(|error| panic!("{error}")).backend;
    let done = predictor.top_n(&users, &query, &mut *cpu, |lists| {
        for list in lists {
            assert_eq!(list.items, predictor.recommend_index(list.user, 2, false));
        }
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
}

/// Every export is written, or refused as one that can't be created.
fn exports(model: &Model) {
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(format!("deltav-export-{process}-{thread:?}"));
    for format in EXPORTS {
        let output = Output::create(&path, true).unwrap_or_else(|error| panic!("{error}"));
        match format.write(model, None, output) {
            Ok(bytes) => assert!(bytes > 0, "{}", format.name),
            Err(error) => assert_eq!(error.exit_code(), 73, "{}: {error}", format.name),
        }
    }
    // Nothing is there if all were refused.
    let _ = std::fs::remove_file(&path);
}
