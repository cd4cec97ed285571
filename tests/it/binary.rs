//! Binary formats: good files read to the ratings of the CSV beside them, broken ones are
//! refused in one line.

use std::path::{Path, PathBuf};

use crate::broken::each_ends_in_its_line;
use deltav::data::formats::Format;
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

/// An archive of arrays: name, type, shape and bytes.
fn npz(arrays: &[(&str, &str, &str, Vec<u8>)]) -> Input {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, dtype, shape, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let length = (header.len() as u16).to_le_bytes();
        archive.write_all(&[b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), bytes].concat()).unwrap();
    }
    Input::bytes("a.npz", archive.finish().unwrap().into_inner())
}

fn i64s(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn whole_timestamps_of_npz_columns_are_exact() {
    let with = |times: &[i64]| {
        npz(&[
            ("user", "<i8", "2,", i64s(&[1, 1])),
            ("item", "<i8", "2,", i64s(&[1, 2])),
            ("rating", "<i8", "2,", i64s(&[3, 4])),
            ("timestamp", "<i8", "2,", i64s(times)),
        ])
    };
    // Where neighbors are one f64.
    let times = [(1 << 53) + 1, 1 << 53];
    assert_eq!(read(with(&times), &timed()).time, Some(times.to_vec()));
    let error = read_ratings([with(&[0, i64::MIN])], &timed()).unwrap_err();
    let expected = "a.npz: row 2: timestamp -9223372036854775808 is no time in seconds; \
                    save timestamps as seconds";
    assert_eq!((error.to_string().as_str(), error.exit_code()), (expected, 65));
}

#[test]
fn errors_of_csc_count_entries_in_the_order_of_the_file() {
    // By columns: (1, 0), (0, 1), (1, 1), (1, 1), of which row by row (0, 1) comes first.
    let csc = |last: i64| {
        npz(&[
            ("format", "|S3", "", b"csc".to_vec()),
            ("shape", "<i8", "2,", i64s(&[2, 2])),
            ("indptr", "<i8", "3,", i64s(&[0, 1, 4])),
            ("indices", "<i8", "4,", i64s(&[1, 0, 1, last])),
            ("data", "<i8", "4,", i64s(&[9, 1, 2, 3])),
        ])
    };
    let refused = |input: Input, range: Option<&str>| {
        let rating_range = range.map(|range| range.parse().unwrap());
        let options = ReadOptions { rating_range, ..ReadOptions::default() };
        read_ratings([input], &options).unwrap_err().to_string()
    };
    let index = refused(csc(2), None);
    assert!(index.starts_with("a.npz: entry 4: array \"indices\" holds index 2"), "{index}");
    let range = refused(csc(1), Some("0..5"));
    assert!(range.starts_with("a.npz: entry 1: rating 9 is outside 0..5; "), "{range}");
    let twice = refused(csc(1), None);
    let expected = "a.npz: entry 4: user \"1\" rated item \"1\" in entry 3 already; ";
    assert!(twice.starts_with(expected), "{twice}");
}

#[test]
fn what_has_indices_only_has_neither_columns_nor_timestamps() {
    for name in ["npy/float_le_f8_F.npy", "npz/float_csr_deflated.npz"] {
        let path = Path::new(ROOT).join("inputs").join(name);
        let refused = |options: &ReadOptions| {
            let error = read_ratings([&path], options).unwrap_err();
            (error.to_string().replace(&path.display().to_string(), "a"), error.exit_code())
        };
        let columns =
            ReadOptions { columns: Some("user,item,rating".parse().unwrap()), ..ReadOptions::default() };
        let expected = "a is a matrix, which has no columns to choose; leave --columns out";
        assert_eq!(refused(&columns), (expected.to_owned(), 2));
        let expected = "a: has no timestamps; hold out by random or by user, not by time";
        assert_eq!(refused(&timed()), (expected.to_owned(), 65));
    }
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
fn a_zip_bomb_is_refused_before_it_is_unpacked() {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let zeros = vec![0; 1 << 20];
    archive.start_file("data.npy", zip::write::SimpleFileOptions::default()).unwrap();
    (0..128).for_each(|_| std::io::Write::write_all(&mut archive, &zeros).unwrap());
    let bytes = archive.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 18);
    let error = read_ratings([Input::bytes("bomb.npz", bytes)], &ReadOptions::default()).unwrap_err();
    assert_eq!(error.exit_code(), 65);
    assert!(error.to_string().starts_with("bomb.npz: would unpack from "), "{error}");
}

#[test]
fn triples_are_not_taken_for_a_matrix() {
    let npy = |rows: &[[f64; 3]]| {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, 3), }}", rows.len());
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(format!("{text:<117}\n").as_bytes());
        bytes.extend(rows.iter().flatten().flat_map(|x| x.to_le_bytes()));
        [Input::bytes("triples.npy", bytes)]
    };
    let mut rows: Vec<[f64; 3]> = (0..30_i32).map(|n| [(n / 6).into(), (n % 6).into(), 0.5]).collect();
    let line = read_ratings(npy(&rows), &ReadOptions::default()).unwrap_err();
    assert!(line.to_string().contains("numpy.savez, or pass --format npy"), "{line}");
    assert_eq!(line.exit_code(), 65);
    let forced = ReadOptions { format: Some(Format::by_name("npy").unwrap()), ..ReadOptions::default() };
    assert_eq!(read_ratings(npy(&rows), &forced).unwrap().len(), 90);
    // One missing cell, or one that is no id, is what no triples have.
    rows[7][0] = f64::NAN;
    assert_eq!(read_ratings(npy(&rows), &ReadOptions::default()).unwrap().len(), 89);
    rows[7][0] = 2.5;
    assert_eq!(read_ratings(npy(&rows), &ReadOptions::default()).unwrap().len(), 90);
    assert_eq!(read_ratings(npy(&rows[..7]), &ReadOptions::default()).unwrap().len(), 21);
}

#[test]
fn broken_npy() {
    each_ends_in_its_line(
        "npy",
        &ReadOptions::default(),
        &[
            "bool-dtype.npy: holds booleans, which say who rated, not how; write it as numbers, such as array.astype('int8')",
            "complex-dtype.npy: holds elements of type \"<c16\", which are no ratings; write it as float or integer numbers, such as array.astype(float)",
            "cut-in-header.npy: ends within its header; it is cut short: copy it again",
            "cut-in-magic.npy: ends within its header; it is cut short: copy it again",
            "cut-in-numbers.npy: holds 279 bytes of numbers where its header says 280; it is cut short or damaged: copy it again",
            "huge-header.npy: has a header of 4294967295 bytes; it is damaged: write it anew with numpy.save",
            "huge-shape.npy: holds 280 bytes of numbers where its header says 34567209880; it is cut short or damaged: copy it again",
            "infinite.npy: row 2: column 2: rating -inf is not finite; correct or remove it",
            "negative-shape.npy: has a header that can't be read: \"{'descr': '<f8', 'fortran_order': False,…\"; it is damaged: write it anew with numpy.save",
            "no-columns.npy: is a matrix without cells; pass a matrix with ratings",
            "no-dictionary.npy: has a header that can't be read: \"['descr': '<f8', 'fortran_order': False,…\"; it is damaged: write it anew with numpy.save",
            "no-rows.npy: is a matrix without cells; pass a matrix with ratings",
            "object-dtype.npy: holds Python objects, which only Python can unpickle and which may be code; write it as numbers, such as numpy.save(file, array.astype(float))",
            "one-dimension.npy: holds an array of shape [5], not a matrix; save a matrix, users × items, with NaN where there is no rating",
            "only-nan.npy: has no ratings: every cell is NaN; pass a matrix with ratings",
            "overflowing-shape.npy: holds 280 bytes of numbers where its header says more than 64 bits count; it is cut short or damaged: copy it again",
            "structured.npy: holds records of several fields, not numbers; save its fields as 1-D arrays user, item, rating with numpy.savez",
            "text-dtype.npy: holds text, not ratings; save a matrix of numbers",
            "three-dimensions.npy: holds an array of shape [2, 2, 2], not a matrix; save a matrix, users × items, with NaN where there is no rating",
            "too-large.npy: row 2: column 1: rating 1e39 is too large for a 32-bit float; correct or remove it",
            "too-long.npy: holds 288 bytes of numbers where its header says 280; it is cut short or damaged: copy it again",
            "version-9.npy: is a NumPy array of format 9, which does not exist yet; update deltav, or write it with numpy.save",
        ],
    );
}

#[test]
fn broken_npz() {
    each_ends_in_its_line(
        "npz",
        &ReadOptions::default(),
        &[
            "checksum.npz: array \"data\" is damaged (Invalid checksum); it is cut short or damaged: copy it again",
            "columns-empty-id.npz: row 2: the user id is empty; save ids as whole numbers or as text",
            "columns-float-ids.npz: array \"user\" holds float64, not ids; save ids as whole numbers or as text",
            "columns-nan.npz: row 3: rating NaN is not finite; correct or remove it",
            "columns-none.npz: has no ratings; pass a file with ratings",
            "columns-of-two-lengths.npz: array \"item\" has length 4 where 3 is expected; save it with scipy.sparse.save_npz",
            "coo-col-negative.npz: entry 1: array \"col\" holds index -3, and the shape has 5 columns; indices count from 0: save the matrix with scipy.sparse.save_npz",
            "coo-row-too-large.npz: entry 5: array \"row\" holds index 7, and the shape has 7 rows; indices count from 0: save the matrix with scipy.sparse.save_npz",
            "coo-short-col.npz: array \"col\" has length 15 where 16 is expected; save it with scipy.sparse.save_npz",
            "csc-index-too-large.npz: entry 4: array \"indices\" holds index 7, and the shape has 7 rows; indices count from 0: save the matrix with scipy.sparse.save_npz",
            "cut-in-arrays.npz: is no whole zip archive (invalid Zip archive: Could not find EOCD); it is cut short or damaged: copy it again",
            "cut-in-directory.npz: is no whole zip archive (invalid Zip archive: Unexpected end of zip::format::blocks::Zip32CDEBlock); it is cut short or damaged: copy it again",
            "data-bool.npz: array \"data\" holds booleans, which say who rated, not how; write it as numbers, such as array.astype('int8')",
            "data-infinite.npz: entry 1: rating inf is not finite; correct or remove it",
            "data-nan.npz: entry 7: rating NaN is not finite; correct or remove it",
            "data-object.npz: array \"data\" holds Python objects, which only Python can unpickle and which may be code; write it as numbers, such as numpy.save(file, array.astype(float))",
            "data-text.npz: array \"data\" holds U32 where numbers are expected; save it with scipy.sparse.save_npz",
            "format-bsr.npz: is a sparse matrix of format \"bsr\"; save it with scipy.sparse.save_npz(file, matrix.tocsr())",
            "format-dia.npz: is a sparse matrix of format \"dia\"; save it with scipy.sparse.save_npz(file, matrix.tocsr())",
            "format-number.npz: array \"format\" is not the name of a sparse format; save it with scipy.sparse.save_npz",
            "format-unknown.npz: is a sparse matrix of format \"lil\"; save it with scipy.sparse.save_npz(file, matrix.tocsr())",
            "index-negative.npz: entry 16: array \"indices\" holds index -1, and the shape has 5 columns; indices count from 0: save the matrix with scipy.sparse.save_npz",
            "index-too-large.npz: entry 4: array \"indices\" holds index 5, and the shape has 5 columns; indices count from 0: save the matrix with scipy.sparse.save_npz",
            "indices-matrix.npz: array \"indices\" has shape [4, 4] where one dimension is expected; save it with scipy.sparse.save_npz",
            "indices-short.npz: array \"indices\" has length 15 where 16 is expected; save it with scipy.sparse.save_npz",
            "indptr-begins-late.npz: array \"indptr\" begins with 1 where 0 is expected; save it with scipy.sparse.save_npz",
            "indptr-beyond.npz: array \"indptr\" holds 99 behind 2 at position 2, of 16; save it with scipy.sparse.save_npz",
            "indptr-ends-early.npz: array \"indptr\" ends at 15 where there are 16 entries; save it with scipy.sparse.save_npz",
            "indptr-falls.npz: array \"indptr\" holds 1 behind 2 at position 2, of 16; save it with scipy.sparse.save_npz",
            "indptr-float.npz: array \"indptr\" holds float64 where whole numbers are expected; save it with scipy.sparse.save_npz",
            "indptr-short.npz: array \"indptr\" has length 7 where 8 is expected; save it with scipy.sparse.save_npz",
            "no-entries.npz: has no ratings: no entry is stored; pass a matrix with ratings",
            "no-indptr.npz: has no array indptr; save it with scipy.sparse.save_npz",
            "other-arrays.npz: holds neither a sparse matrix nor columns of ratings, but \"user_factors\" (7×2 float32), \"item_factors\" (5×2 float32), \"mean\" (float64); save it with scipy.sparse.save_npz, or as 1-D arrays user, item and rating",
            "packed-otherwise.npz: array \"format\" is neither stored nor deflated; save it with scipy.sparse.save_npz",
            "shape-huge.npz: array \"shape\" holds 1099511627776, which is no number of users or items; save it with scipy.sparse.save_npz",
            "shape-more-rows.npz: array \"indptr\" has length 8 where 2147483649 is expected; save it with scipy.sparse.save_npz",
            "shape-negative.npz: array \"shape\" holds -7, which is no number of users or items; save it with scipy.sparse.save_npz",
            "shape-three.npz: array \"shape\" does not have a number of users and one of items; save it with scipy.sparse.save_npz",
        ],
    );
}

#[cfg(feature = "parquet")]
#[test]
fn broken_parquet() {
    each_ends_in_its_line(
        "parquet",
        &ReadOptions::default(),
        &[
            "bool-rating.parquet: column \"rating\" (rating) has a type that no part of a rating has; write it as numbers or as text",
            "cut-in-footer.parquet: is a Parquet file without its end; it is cut short or damaged: copy it again",
            "cut-in-magic.parquet: is a Parquet file without its end; it is cut short or damaged: copy it again",
            "cut-in-pages.parquet: is a Parquet file without its end; it is cut short or damaged: copy it again",
            "date-item.parquet: column \"movieId\" (item) holds no ids; write ids as whole numbers or as text",
            "delta-byte-array.parquet: is a Parquet file that can't be read (Parquet error: texts are encoded by DELTA_BYTE_ARRAY, which is not read: write them as PLAIN or by a dictionary); it is cut short or damaged: copy it again",
            "empty-user.parquet: row 4: the user id is empty; fill it in or remove the row",
            "encrypted-end.parquet: is encrypted; write it without encryption, or as CSV",
            "float-user.parquet: column \"userId\" (user) holds no ids; write ids as whole numbers or as text",
            "footer-too-long.parquet: is a Parquet file without its end; it is cut short or damaged: copy it again",
            "more-children-than-columns.parquet: is a Parquet file that can't be read (its footer does not fit together); it is cut short or damaged: copy it again",
            "footer-zeros.parquet: is a Parquet file that can't be read (Parquet error: Required field version is missing); it is cut short or damaged: copy it again",
            "infinite-rating.parquet: row 1: rating inf is not finite; correct or remove it",
            "missing-rating.parquet: the names do not tell the rating: \"timestamp\", \"userId\", \"movieId\"; name the columns with --columns",
            "nan-rating.parquet: row 10: rating NaN is not finite; correct or remove it",
            "nested-user.parquet: column \"userId\" (user) is nested; write each part of a rating as a column of its own",
            "no-rows.parquet: has columns but no rows; pass a file with ratings",
            "null-rating.parquet: row 7: column \"rating\" (rating) is null; fill it in or remove the row",
            "null-user.parquet: row 16: column \"userId\" (user) is null; fill it in or remove the row",
            "packed-damaged.parquet: is a Parquet file that can't be read (External: Data corruption detected); it is cut short or damaged: copy it again",
            "pages-zeros.parquet: is a Parquet file that can't be read (Parquet error: a page's header is damaged); it is cut short or damaged: copy it again",
            "struct-item.parquet: column \"movieId\" (item) is nested; write each part of a rating as a column of its own",
            "text-rating.parquet: row 16: rating \"good\" is not a number; correct it, or name the right column with --columns",
            "too-large-rating.parquet: row 16: rating 1e39 is too large for a 32-bit float; correct or remove it",
            "two-columns.parquet: the names do not tell the user: \"a\", \"b\"; name the columns with --columns",
            "wrong-end.parquet: is a Parquet file without its end; it is cut short or damaged: copy it again",
        ],
    );
}

#[cfg(feature = "parquet")]
#[test]
fn a_footer_out_of_all_proportion() {
    let whole = std::fs::read(Path::new(ROOT).join("inputs/parquet/plain.parquet")).unwrap();
    let (body, end) = whole.split_at(whole.len() - 8);
    let footer = u32::from_le_bytes(*end.first_chunk().unwrap()) + (1 << 20);
    let bytes = [body, &vec![0; 1 << 20], &footer.to_le_bytes(), b"PAR1"].concat();
    let error = read_ratings([Input::bytes("a.parquet", bytes)], &ReadOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a.parquet: has a footer of 1049086 among 1049850 bytes, more than ratings need; write it with larger row groups, of 100,000 rows or more"
    );
}
