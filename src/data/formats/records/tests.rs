use std::path::Path;

use super::*;

type Row = (u64, Vec<String>);

fn read(text: &[u8], separator: Separator) -> Result<Vec<Row>> {
    let source = Source::new(Path::new("f"), Box::new(text))?;
    let mut records = Records::new(source, separator, 3)?;
    let mut rows = Vec::new();
    while records.advance()? {
        let fields = records.fields().into_iter().map(|field| String::from_utf8_lossy(field).into_owned());
        rows.push((records.line(), fields.collect()));
    }
    Ok(rows)
}

fn rows(text: &str) -> Vec<Row> {
    read(text.as_bytes(), Separator::Auto).unwrap()
}

fn row(line: u64, fields: &[&str]) -> Row {
    (line, fields.iter().map(|&field| field.to_owned()).collect())
}

fn refused(text: &str) -> String {
    read(text.as_bytes(), Separator::Auto).unwrap_err().to_string()
}

#[test]
fn the_separator_is_found_from_the_first_line() {
    for text in ["1::2::3", "1\t2\t3", "1,2,3", "1;2;3", "1|2|3", "1 2 3", "  1   2 3  ", "\n1,2,3"] {
        let rows = rows(text);
        assert_eq!(rows[0].1, ["1", "2", "3"], "{text:?}");
    }
    // The first separator that gives three columns, not the first that occurs.
    assert_eq!(rows("1;2;3,5")[0].1, ["1", "2", "3,5"]);
    assert_eq!(rows("a::b,c,5")[0].1, ["a::b", "c", "5"]);
    assert_eq!(rows("\"a\tb\tc\",d,5")[0].1, ["a\tb\tc", "d", "5"]);
    assert_eq!(rows("\"a\"\"\tb\tc\",d,5")[0].1, ["a\"\tb\tc", "d", "5"]);
    assert_eq!(rows("The Matrix,Ann Lee,5")[0].1, ["The Matrix", "Ann Lee", "5"]);
    assert_eq!(rows("1\t2")[0].1, ["1", "2"]);
    assert_eq!(rows("lonely")[0].1, ["lonely"]);
}

#[test]
fn a_given_separator_is_obeyed() {
    let first = |text: &str, separator| read(text.as_bytes(), separator).unwrap()[0].1.clone();
    assert_eq!(first("1,2;3,4", Separator::Byte(b';')), ["1,2", "3,4"]);
    assert_eq!(first("1::2", Separator::Byte(b':')), ["1", "", "2"]);
    assert_eq!(first("a,1::b \"x\"::\"3", Separator::DoubleColon), ["a,1", "b \"x\"", "\"3"]);
    assert_eq!(first("1  2\t2", Separator::Byte(b' ')), ["1", "2\t2"]);
    assert_eq!(first("1\x012\x013", Separator::Byte(1)), ["1", "2", "3"]);
    let error = read(b"1", Separator::Byte(b'"')).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn line_ends_of_every_kind_and_blank_lines() {
    let expected = [row(1, &["a", "b", "1"]), row(2, &["c", "d", "2"])];
    for text in ["a,b,1\nc,d,2\n", "a,b,1\r\nc,d,2", "a,b,1\nc,d,2\r\n", "a,b,1\r\r\nc,d,2", "a,b,1\rc,d,2\r"]
    {
        assert_eq!(rows(text), expected, "{text:?}");
    }
    let sparse = "\n\r\n  \na,b,1\n\n \t\r\nc,d,2\n\n";
    assert_eq!(rows(sparse), [row(4, &["a", "b", "1"]), row(7, &["c", "d", "2"])]);
    assert!(rows("\n\n").is_empty());
}

#[test]
fn quotes_protect_separators_quotes_and_line_ends() {
    assert_eq!(rows("\"a,b\",\"say \"\"hi\"\"\",\"\"\n")[0].1, ["a,b", "say \"hi\"", ""]);
    assert_eq!(rows("a\"b,c\"\"d,5\" tape")[0].1, ["a\"b", "c\"\"d", "5\" tape"], "quotes inside are text");
    assert_eq!(rows("\"The\" Best,b,5")[0].1, ["The Best", "b", "5"]);
    assert_eq!(rows(" \"a\" \"b c\"  5 ")[0].1, ["a", "b c", "5"]);
    assert_eq!(rows("\"\"\"\",\"\"\"\"\"\",x")[0].1, ["\"", "\"\"", "x"]);
    assert_eq!(rows("\"a\",\"b\",")[0].1, ["a", "b", ""]);
    let text = "a,b,1,\"two\nlines\"\nc,d,2,\"three\r\n\n\"\"lines\"\"\"\r\ne,f,3,x\n";
    assert_eq!(
        rows(text),
        [
            row(1, &["a", "b", "1", "two\nlines"]),
            row(3, &["c", "d", "2", "three\r\n\n\"lines\""]),
            row(6, &["e", "f", "3", "x"]),
        ]
    );
}

#[test]
fn an_open_quote_is_found_where_it_opened() {
    let at = |text: &str, line: u64| {
        let error = refused(text);
        assert!(
            error.starts_with(&format!("f:{line}: a quote opens on this line and is not closed")),
            "{error}"
        );
    };
    at("a,b,1\nc,\"d,2\ne,f,3\n", 2);
    at("a,b,1\nc,d,\"2", 2);
    at("\"", 1);
    at("a,b,1\nc,d,2,\"x\ny\",\"z\n", 3); // the record begins a line earlier
    at("a,b,\"1\"\"\n", 1);
    // Not closed by the quote that opens a field two lines on.
    at("a,b,1\nc,\"d,2\ne,f,3\ng,\"h\",4\n", 2);
}

#[test]
fn a_record_without_end_is_not_kept_in_memory() {
    let long = vec![b'x'; LONGEST + 10];
    let error = read(&[b"a,b,1\n", &long[..]].concat(), Separator::Auto).unwrap_err();
    assert_eq!(
        error.to_string(),
        "f:2: the line is longer than 16 MiB; pass a text file with one rating a line"
    );
    let lines = "c,d,2\n".repeat(LONGEST / 6 + 2);
    let error = read(format!("a,b,1\nc,\"d,2\n{lines}").as_bytes(), Separator::Auto).unwrap_err();
    assert!(error.to_string().starts_with("f:2: a quote opens"), "{error}");
}

#[test]
fn quoting_and_plain_splitting_agree_on_random_lines() {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut expected = Vec::new();
        let (mut text, mut line) = (String::new(), 1);
        for _ in 0..rng.random_range(1..20) {
            let width = rng.random_range(3..6);
            let fields: Vec<String> = (0..width)
                .map(|_| {
                    let length = rng.random_range(1..6);
                    (0..length).map(|_| ['a', ',', '"', '\n', 'é', ' '][rng.random_range(0..6)]).collect()
                })
                .collect();
            let written: Vec<String> = fields
                .iter()
                .map(|field| match field.contains([',', '"', '\n']) || rng.random() {
                    true => format!("\"{}\"", field.replace('"', "\"\"")),
                    false => field.clone(),
                })
                .collect();
            let blank = written.iter().all(|field| field.trim().is_empty());
            assert!(!blank || width > 1);
            text += &written.join(",");
            expected.push((line, fields));
            line += 1 + expected[expected.len() - 1]
                .1
                .iter()
                .map(|field| field.matches('\n').count() as u64)
                .sum::<u64>();
            let end = if rng.random() { "\r\n" } else { "\n" };
            text += end;
            if rng.random_range(0..5) == 0 {
                text += end;
                line += 1;
            }
        }
        let read = read(text.as_bytes(), Separator::Byte(b',')).unwrap();
        assert_eq!(read, expected, "{text:?}");
    }
}
