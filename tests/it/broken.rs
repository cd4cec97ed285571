//! Broken files of ratings: each ends in one line that says where, what, and what to do.
//!
//! `broken/FORMAT/` has a file for each way to be broken, named for it. Each of its format's
//! table here gives the line that reading it ends in, behind the folder's name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use deltav::data::formats::Format;
use deltav::data::{Input, ReadOptions, read_ratings};

/// Reads every file of `broken/FOLDER` and compares with the lines, which must be of all files.
pub fn each_ends_in_its_line(folder: &str, options: &ReadOptions, lines: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/broken").join(folder);
    let entries = std::fs::read_dir(&root).unwrap();
    let there: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let found: BTreeSet<String> = there
        .iter()
        .map(|path| match read_ratings([path], options) {
            Ok(ratings) => panic!("{}: read as {} ratings", path.display(), ratings.len()),
            Err(error) => {
                assert_eq!(error.exit_code(), 65, "{error}");
                let line = error.to_string();
                line.strip_prefix(&format!("{}/", root.display())).unwrap_or(&line).to_owned()
            }
        })
        .collect();
    let expected: BTreeSet<String> = lines.iter().map(|&line| line.to_owned()).collect();
    let surplus: Vec<_> = found.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(surplus.is_empty() && missing.is_empty(), "found {surplus:#?}\nexpected {missing:#?}");
    assert_eq!(there.len(), lines.len(), "a line for each file");
}

#[test]
fn delimited() {
    each_ends_in_its_line(
        "delimited",
        &ReadOptions::default(),
        &[
            "binary.csv: looks like a binary file; pass the ratings as text, one a line",
            "damaged.csv.gz: gzip stream is damaged (corrupt gzip stream does not have a matching checksum); download it again",
            "damaged.csv.zst: zstd stream is damaged (Restored data doesn't match checksum); download it again",
            "duplicate-header-name.csv:1: more than one column is called \"rating\"; name the columns by number with --columns, such as 1,2,3",
            "empty-item.csv:3: the item id is empty; fill it in or remove the line",
            "empty-rating.csv:3: the rating is empty; correct it, or name the right column with --columns",
            "empty-user.csv:3: the user id is empty; fill it in or remove the line",
            "empty.csv: is empty; pass a file with one rating a line",
            "fewer-columns-in-one-row.csv:3: has 2 columns, column 3 (rating) is missing; correct the line, or pass --columns or --separator",
            "garbage-behind.csv.gz: gzip stream is damaged (invalid gzip header); download it again",
            "header-tells-too-little.csv:1: the header does not tell user, item and rating: \"rating\", \"who\", \"what\"; name the three columns with --columns",
            "header-with-too-few-names.csv:1: has 2 columns, column 3 (rating) is missing; correct the line, or pass --columns or --separator",
            "mixed-separators.csv:2: has 1 column, column 2 (item) is missing; correct the line, or pass --columns or --separator",
            "more-columns-in-one-row.csv:3: has more columns than the 4 of the first line; quote the cell that has a separator in it, or correct the line",
            "only-blank-lines.csv: is empty; pass a file with one rating a line",
            "only-bom.csv: is empty; pass a file with one rating a line",
            "only-header.csv: has a header but no ratings; pass a file with one rating a line",
            "pair-twice.csv:4: user \"a\" rated item \"x\" on line 2 already; remove one of the two, or pass --duplicates first, last or mean",
            "rating-infinite.csv:3: rating \"-inf\" is not finite; correct or remove it",
            "rating-nan.csv:3: rating \"NaN\" is not finite; correct or remove it",
            "rating-not-a-number.csv:3: rating \"good\" is not a number; correct it, or name the right column with --columns",
            "rating-not-utf-8.csv:2: rating \"4\\xff\" is not a number; correct it, or name the right column with --columns",
            "rating-too-large.csv:3: rating \"1e39\" is too large for a 32-bit float; correct or remove it",
            "rating-with-decimal-comma.csv:2: rating \"3,5\" is not a number; write 3.5, with a point",
            "truncated.csv.gz: gzip stream ends early; download it again",
            "truncated.csv.zst: zstd stream ends early; download it again",
            "unclosed-quote.csv:2: a quote opens on this line and is not closed; close it, or write the field as \"…\" with each quote in it doubled",
            "utf-16-big-endian.csv: is UTF-16 text; convert it to UTF-8",
            "utf-16.csv: is UTF-16 text; convert it to UTF-8",
            "zip.csv: is a zip archive; unzip it and pass the file with the ratings",
        ],
    );
}

#[test]
fn jsonl() {
    each_ends_in_its_line(
        "jsonl",
        &ReadOptions::default(),
        &[
            "array.json: is one JSON array; write one object a line, such as with jq -c '.[]'",
            "bad-json.jsonl:2: is not a JSON object: expected `,` or `}` at column 24; correct the line: one object a line",
            "cut.jsonl:2: is not a JSON object: EOF while parsing a string at column 15; correct the line: one object a line",
            "fractional-id.jsonl:1: the user id \"1.5\" is not a whole number; write ids as strings or as whole numbers",
            "key-twice.jsonl:1: the object has \"rating\" twice, at column 42; correct the line: one object a line",
            "missing-key.jsonl:2: the object has no \"item\" (item); add it or remove the line",
            "nested.jsonl:1: the user id is an object; write a number or a string",
            "not-an-object.jsonl:2: is not a JSON object: invalid type: sequence, expected an object; correct the line: one object a line",
            "not-utf-8.jsonl:1: is not UTF-8; convert the file to UTF-8, as JSON has to be",
            "null.jsonl:2: the rating is null; write a number or a string",
            "pretty-printed.json:1: is not a JSON object: EOF while parsing an object at column 1; correct the line: one object a line",
            "rating-infinite.jsonl:1: rating \"1e999\" is not finite; correct or remove it",
            "rating-too-large.jsonl:1: rating \"1e39\" is too large for a 32-bit float; correct or remove it",
            "truncated.jsonl.gz: gzip stream ends early; download it again",
            "unknown-keys.jsonl:1: the names do not tell the user: \"a\", \"b\", \"c\"; name the columns with --columns",
        ],
    );
}

#[test]
fn mtx() {
    each_ends_in_its_line(
        "mtx",
        &ReadOptions::default(),
        &[
            "column-index-0.mtx:3: column index 0: MatrixMarket counts from 1; add 1 to every index, or pass the matrix in another format",
            "complex.mtx:1: has complex entries, which are no ratings; write it as `matrix coordinate real general`",
            "dense-array.mtx:1: is a dense array, which says a rating for every user and item; write it as `matrix coordinate`, with the known ratings only",
            "entries-long.mtx:4: is one entry more than the 1 of the size line; correct the size line, or write the file again",
            "entries-short.mtx: has 2 of the 3 entries of its size line; write or download the file again",
            "field-missing.mtx:3: has 2 fields, an entry has 3; write row, column and value between spaces",
            "field-more.mtx:3: has 4 fields, an entry has 3; write row, column and value between spaces",
            "index-0.mtx:4: row index 0: MatrixMarket counts from 1; add 1 to every index, or pass the matrix in another format",
            "index-above-size.mtx:4: row index 3 is above the 2 rows of the size line; correct it or the size line",
            "index-negative.mtx:3: row index \"-1\" is not a whole number; write a number from 1",
            "index-too-large.mtx:3: column index 99999999999999999999 is above the 2 columns of the size line; correct it or the size line",
            "no-entries.mtx: has no entries; pass a matrix with ratings",
            "only-banner.mtx: has no size line; write or download the file again",
            "pair-twice.mtx:4: user \"1\" rated item \"1\" on line 3 already; remove one of the two, or pass --duplicates first, last or mean",
            "pattern.mtx:1: is a pattern: its entries have no ratings; write it with values, as real",
            "rating-nan.mtx:3: rating \"nan\" is not finite; correct or remove it",
            "rating-too-large.mtx:3: rating \"1e39\" is too large for a 32-bit float; correct or remove it",
            "size-not-three-numbers.mtx:3: the size line \"2 2\" is not three whole numbers; write rows, columns and entries",
            "symmetric.mtx:1: is symmetric: the matrix says only half of its entries; write it as general, with every entry",
            "vector.mtx:1: holds a vector, not a matrix; write it as `matrix coordinate real general`",
            "wrong-banner.mtx:1: is not the first line of a MatrixMarket file; write it as `matrix coordinate real general`",
        ],
    );
}

#[test]
fn libmf() {
    let format = Some(Format::by_name("libmf").unwrap());
    each_ends_in_its_line(
        "libmf",
        &ReadOptions { format, ..ReadOptions::default() },
        &[
            "comma.txt:2: has 1 field, not 3; write user, item and rating between spaces, or leave --format libmf out",
            "empty.txt: is empty; pass a file with one rating a line",
            "four-fields.txt:1: has 4 fields, not 3; write user, item and rating between spaces, or leave --format libmf out",
            "header.txt:1: the user id \"user\" is not a whole number; write user, item and rating between spaces, or leave --format libmf out",
            "id-too-large.txt:1: the user id \"99999999999999999999\" is too large; write numbers below 2^64",
            "negative-id.txt:2: the item id \"-3\" is not a whole number; write user, item and rating between spaces, or leave --format libmf out",
            "quotes.txt:1: the user id \"\"1\"\" is not a whole number; write user, item and rating between spaces, or leave --format libmf out",
            "rating-infinite.txt:1: rating \"inf\" is not finite; correct or remove it",
            "two-fields.txt:2: has 2 fields, not 3; write user, item and rating between spaces, or leave --format libmf out",
        ],
    );
}

/// The line that bytes under this name end in.
fn line(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> String {
    let error = read_ratings([Input::bytes(name, bytes)], options).unwrap_err();
    assert_eq!(error.exit_code(), 65, "{error}");
    error.to_string()
}

#[test]
fn lines_of_many_megabytes() {
    let options = ReadOptions::default();
    let ten = vec![b'x'; 10 << 20];
    let twenty = vec![b'x'; 20 << 20];
    let quoted = format!("\"{}…\"", "x".repeat(40));
    assert_eq!(
        line("a.csv", [b"1,2,3\n1,3,", &ten[..], b"\n"].concat(), &options),
        format!(
            "a.csv:2: rating {quoted} is not a number; correct it, or name the right column with --columns"
        )
    );
    assert_eq!(
        line("a.csv", [b"1,2,3\n", &ten[..]].concat(), &options),
        "a.csv:2: has 1 column, column 2 (item) is missing; correct the line, or pass --columns or --separator"
    );
    let long = "the line is longer than 16 MiB; pass a text file with one rating a line";
    assert_eq!(line("a.csv", [b"1,2,3\n", &twenty[..]].concat(), &options), format!("a.csv:2: {long}"));
    let object = [b"{\"user\":1,\"item\":2,\"rating\":\"", &twenty[..], b"\"}"].concat();
    assert_eq!(line("a.jsonl", object, &options), format!("a.jsonl:1: {long}"));
    let matrix = [b"%%MatrixMarket matrix coordinate real general\n%", &twenty[..]].concat();
    assert_eq!(line("a.mtx", matrix, &options), format!("a.mtx:2: {long}"));
    for (name, columns) in [("a.csv", b"1,".repeat(70_000)), ("b.csv", b"\"\",".repeat(70_000))] {
        let many = "has more than 65536 columns; pass a text file with one rating a line";
        assert_eq!(line(name, columns, &options), format!("{name}:1: {many}"));
    }
    // An id may be as long as it likes.
    let id = [b"1,", &ten[..], b",3\n"].concat();
    assert_eq!(read_ratings([Input::bytes("a.csv", id)], &options).unwrap().items.get(0), &ten[..]);
}

#[test]
fn what_a_format_is_not_when_it_is_forced() {
    let forced =
        |format| ReadOptions { format: Some(Format::by_name(format).unwrap()), ..ReadOptions::default() };
    let csv = b"user,item,rating\n1,2,3\n".to_vec();
    for (format, expected) in [
        (
            "mtx",
            "a.csv:1: is not the first line of a MatrixMarket file; write it as `matrix coordinate real general`",
        ),
        (
            "jsonl",
            "a.csv:1: is not a JSON object: expected value at column 1; correct the line: one object a line",
        ),
        (
            "libmf",
            "a.csv:1: has 1 field, not 3; write user, item and rating between spaces, or leave --format libmf out",
        ),
    ] {
        assert_eq!(line("a.csv", csv.clone(), &forced(format)), expected);
        assert!(line("a.csv", Vec::new(), &forced(format)).starts_with("a.csv: is empty; "));
        assert!(
            line("a.csv", b"\xff\xfe1\0".to_vec(), &forced(format)).starts_with("a.csv: is UTF-16 text; ")
        );
    }
}
