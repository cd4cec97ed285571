//! Binary formats: good files read to the ratings of the CSV beside them, broken ones are
//! refused in one line.

use std::path::{Path, PathBuf};

use crate::broken::each_ends_in_its_line;
use deltav::data::{Input, ReadOptions, Triples, read_pairs, read_ratings, read_triples};

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");

/// The files of a folder with this extension, by name.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

fn timed() -> ReadOptions {
    ReadOptions { time: true, ..ReadOptions::default() }
}

fn read(input: impl Into<Input>, options: &ReadOptions) -> Triples {
    let input = input.into();
    let path = input.path().display().to_string();
    read_triples([input], options).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Ids and values by rating, so that orders of records may differ.
fn sorted(triples: &Triples) -> Vec<(String, String, u32)> {
    let text = |id: &[u8]| String::from_utf8(id.to_vec()).unwrap();
    let record = |at: usize| {
        let (user, item) = (triples.users.get(triples.user[at]), triples.items.get(triples.item[at]));
        (text(user), text(item), triples.value[at].to_bits())
    };
    let mut records: Vec<_> = (0..triples.value.len()).map(record).collect();
    records.sort();
    records
}

#[test]
fn every_type_order_and_byte_order_of_npy_reads_as_the_csv() {
    let options = ReadOptions::default();
    let mut seen = 0;
    for path in files("inputs/npy", "npy") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let csv = path.with_file_name(format!("{}.csv", name.split('_').next().unwrap()));
        assert_eq!(read(&path, &options), read(&csv, &options), "{name}");
        assert_eq!(read_ratings([&path], &options).unwrap(), read_ratings([&csv], &options).unwrap());
        seen += 1;
    }
    assert_eq!(seen, 25);
}

#[test]
fn every_sparse_format_of_npz_reads_as_the_csv() {
    let options = ReadOptions::default();
    let mut seen = 0;
    for path in files("inputs/npz", "npz") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let csv = path.with_file_name(format!("{}.csv", name.split('_').next().unwrap()));
        let expected = read(&csv, &options);
        let mut found = read(&path, &options);
        // SciPy turns a matrix to COO in an order of its own.
        if name.contains("coo") {
            assert_eq!(sorted(&found), sorted(&expected), "{name}");
            found = expected.clone();
        }
        assert_eq!(found, expected, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 20);
}

#[test]
fn timestamps_of_npz_columns_are_read() {
    let path = Path::new(ROOT).join("inputs/npz/float_columns_deflated.npz");
    let times: Vec<i64> = (0..16).collect();
    assert_eq!(read(path, &timed()).time, Some(times));
}

#[cfg(feature = "parquet")]
#[test]
fn every_codec_encoding_and_type_of_parquet_reads_as_the_csv() {
    let csv = read(Path::new(ROOT).join("inputs/parquet/ratings.csv"), &timed());
    let mut seen = 0;
    for path in files("inputs/parquet", "parquet") {
        assert_eq!(read(&path, &timed()), csv, "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 31);
}

#[cfg(feature = "parquet")]
#[test]
fn columns_are_chosen_by_name_and_number_and_rating_is_not_asked_for_in_vain() {
    let input = || Input::from(Path::new(ROOT).join("inputs/parquet/plain.parquet"));
    let columns = |text: &str| ReadOptions { columns: Some(text.parse().unwrap()), ..ReadOptions::default() };
    let plain = read(input(), &ReadOptions::default());
    assert_eq!(read(input(), &columns("userId,movieId,rating")), plain);
    assert_eq!(read(input(), &columns("2,3,4")), plain);
    assert_eq!(read(input(), &columns("movieId,userId,rating")).users, plain.items);
    let mut count = 0;
    let pairs = read_pairs([input()], &columns("userId,movieId"), |_| {
        count += 1;
        Ok(())
    });
    assert_eq!((pairs.unwrap(), count), (16, 16));
}

#[test]
fn what_is_packed_or_in_memory_reads_as_the_file() {
    for name in ["npy/float_le_f8_F.npy", "npz/float_csr_deflated.npz", "parquet/small_pages.parquet"] {
        if name.contains("parquet") && !cfg!(feature = "parquet") {
            continue;
        }
        let path = Path::new(ROOT).join("inputs").join(name);
        let bytes = std::fs::read(&path).unwrap();
        let options = ReadOptions::default();
        let plain = read(path, &options);
        assert_eq!(read(Input::bytes("memory", bytes.clone()), &options), plain, "{name}");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &bytes).unwrap();
        assert_eq!(read(Input::bytes("memory.gz", packed.finish().unwrap()), &options), plain, "{name}");
    }
}

#[test]
fn broken_npy() {
    each_ends_in_its_line("npy", &ReadOptions::default(), &[]);
}

#[test]
fn broken_npz() {
    each_ends_in_its_line("npz", &ReadOptions::default(), &[]);
}

#[cfg(feature = "parquet")]
#[test]
fn broken_parquet() {
    each_ends_in_its_line("parquet", &ReadOptions::default(), &[]);
}
