//! MatrixMarket: a sparse matrix as text, users × items.
//!
//! The format: Boisvert, Pozo and Remington, *The Matrix Market Exchange Formats: Initial
//! Design*, NISTIR 5935, 1996. Ids are the indices, which count from 1.

use super::super::source::Source;
use super::super::text::{one_line, quoted};
use super::lines::{Lines, whole};
use super::{Format, Record, Request, Sink, parse_rating};
use crate::error::{Error, Result};

pub(super) const FORMAT: Format = Format {
    name: "mtx",
    aliases: &["matrixmarket"],
    summary: "MatrixMarket, coordinate and general; ids are the indices, from 1",
    extensions: &["mtx"],
    recognize: |head, _| starts_with_banner(head),
    read,
    collect: None,
    lines: None,
    groups: false,
};

const BANNER: &[u8] = b"%%MatrixMarket";

fn starts_with_banner(line: &[u8]) -> bool {
    line.get(..BANNER.len()).is_some_and(|start| start.eq_ignore_ascii_case(BANNER))
}

/// Rows, columns and entries.
type Size = [u64; 3];

fn read(source: Source<'_>, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    request.indices_only("a MatrixMarket file", source.path())?;
    let mut lines = Lines::new(source)?;
    let pattern = banner(&mut lines, request.rating)?;
    let size = size(&mut lines)?;
    let mut entries = 0;
    while lines.advance()? {
        entries += 1;
        if entries > size[2] {
            let what = format!("is one entry more than the {} of the size line", size[2]);
            return Err(lines.wrong(what, "correct the size line, or write the file again"));
        }
        sink(entry(&lines, &size, pattern, request.rating)?)?;
    }
    if entries < size[2] {
        let what = format!("has {entries} of the {} entries of its size line", size[2]);
        return Err(lines.wrong_file(what, "write or download the file again"));
    }
    if entries == 0 {
        return Err(lines.wrong_file("has no entries", "pass a matrix with ratings"));
    }
    Ok(())
}

/// Checks the first line and returns whether the matrix is a pattern, without values.
fn banner(lines: &mut Lines<'_>, rating: bool) -> Result<bool> {
    if !lines.advance()? {
        return Err(lines.wrong_file("is empty", "pass a MatrixMarket file"));
    }
    let line = String::from_utf8_lossy(lines.line()).to_ascii_lowercase();
    // One more than there may be: a line can have megabytes of them.
    let words: Vec<&str> = line.split_ascii_whitespace().take(6).collect();
    let general = "write it as `matrix coordinate real general`";
    let [object, format, field, symmetry] = match words[..] {
        [_, object, format, field, symmetry] if starts_with_banner(lines.line()) => {
            [object, format, field, symmetry]
        }
        _ => return Err(lines.wrong("is not the first line of a MatrixMarket file", general)),
    };
    if object != "matrix" {
        return Err(lines.wrong(format!("holds a {}, not a matrix", one_line(&object)), general));
    }
    match format {
        "coordinate" => {}
        "array" => {
            return Err(lines.wrong(
                "is a dense array, which says a rating for every user and item",
                "write it as `matrix coordinate`, with the known ratings only",
            ));
        }
        _ => {
            return Err(lines.wrong(format!("has the unknown format {}", quoted(format.as_bytes())), general));
        }
    }
    if symmetry != "general" {
        return Err(lines.wrong(
            format!("is {}: the matrix says only half of its entries", one_line(&symmetry)),
            "write it as general, with every entry",
        ));
    }
    match field {
        "real" | "double" | "integer" | "unsigned-integer" => Ok(false),
        "pattern" if !rating => Ok(true),
        "pattern" => {
            Err(lines.wrong("is a pattern: its entries have no ratings", "write it with values, as real"))
        }
        _ => Err(lines.wrong(format!("has {} entries, which are no ratings", one_line(&field)), general)),
    }
}

/// The line behind the comments.
fn size(lines: &mut Lines<'_>) -> Result<Size> {
    loop {
        if !lines.advance()? {
            return Err(lines.wrong_file("has no size line", "write or download the file again"));
        }
        if !lines.line().starts_with(b"%") {
            break;
        }
    }
    let numbers: Option<Vec<u64>> = lines.fields().take(4).map(|field| Some(whole(field)?.0)).collect();
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| {
        let what = format!("the size line {} is not three whole numbers", quoted(lines.line()));
        lines.wrong(what, "write rows, columns and entries")
    })
}

fn entry<'l>(lines: &'l Lines<'_>, size: &Size, pattern: bool, rating: bool) -> Result<Record<'l>> {
    let expected = if pattern { 2 } else { 3 };
    let mut cells: [&[u8]; 3] = [b""; 3];
    let mut there = 0;
    for field in lines.fields() {
        if let Some(cell) = cells.get_mut(there) {
            *cell = field;
        }
        there += 1;
    }
    if there != expected {
        let s = if there == 1 { "" } else { "s" };
        let what = format!("has {there} field{s}, an entry has {expected}");
        return Err(lines.wrong(what, "write row, column and value between spaces"));
    }
    let user = index(lines, cells[0], "row", size[0])?;
    let item = index(lines, cells[1], "column", size[1])?;
    let rating = match rating.then(|| parse_rating(cells[2])) {
        Some(Err((what, remedy))) => return Err(lines.wrong(what, remedy)),
        rating => rating.and_then(std::result::Result::ok),
    };
    Ok(Record { user, item, rating, time: None, place: lines.place() })
}

fn index<'l>(lines: &Lines<'_>, text: &'l [u8], side: &str, size: u64) -> Result<&'l [u8]> {
    let wrong = |what: String, remedy: &str| -> Error { lines.wrong(what, remedy) };
    match whole(text) {
        Some((0, _)) => Err(wrong(
            format!("{side} index 0: MatrixMarket counts from 1"),
            "add 1 to every index, or pass the matrix in another format",
        )),
        Some((number, digits)) if number <= size => Ok(digits),
        // All digits, but more than any size has.
        _ if text.iter().all(u8::is_ascii_digit) => Err(wrong(
            format!(
                "{side} index {} is above the {size} {side}s of the size line",
                one_line(&String::from_utf8_lossy(text))
            ),
            "correct it or the size line",
        )),
        _ => Err(wrong(
            format!("{side} index {} is not a whole number", quoted(text)),
            "write a number from 1",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Input, ReadOptions, ratings::tests::ratings, read_pairs, read_ratings};

    const HEAD: &str = "%%MatrixMarket matrix coordinate real general\n";

    fn refused(text: &str) -> String {
        let error =
            read_ratings([Input::bytes("a.mtx", text.as_bytes())], &ReadOptions::default()).unwrap_err();
        assert_eq!(error.exit_code(), 65, "{error}");
        error.to_string()
    }

    #[test]
    fn what_programs_write_is_read() {
        let expected = ratings(&[("3", "1", 4.5), ("1", "2", -1.0)]);
        for text in [
            format!("{HEAD}3 2 2\n3 1 4.5\n1 2 -1\n"),
            format!("{HEAD}% a comment\n%\n\n3\t2 2\r\n 03  1\t4.50 \n\n1 2 -1e0"),
            "%%matrixmarket MATRIX Coordinate Real General\n3 2 2\n3 1 4.5\n1 2 -1\n".to_owned(),
            "%%MatrixMarket matrix coordinate double general\n30 20 2\n3 1 4.5\n1 2 -1\n".to_owned(),
        ] {
            let found = read_ratings([Input::bytes("a", text.as_bytes())], &ReadOptions::default()).unwrap();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_pattern_has_pairs_but_no_ratings() {
        let text = "%%MatrixMarket matrix coordinate pattern general\n3 2 2\n3 1\n1 2\n";
        let mut pairs = Vec::new();
        read_pairs([Input::bytes("a.mtx", text.as_bytes())], &ReadOptions::default(), |pair| {
            pairs.push((pair.user.to_vec(), pair.item.to_vec(), pair.place.number));
            Ok(())
        })
        .unwrap();
        assert_eq!(pairs, [(b"3".to_vec(), b"1".to_vec(), 3), (b"1".to_vec(), b"2".to_vec(), 4)]);
        assert!(refused(text).starts_with("a.mtx:1: is a pattern: its entries have no ratings; "));
    }

    #[test]
    fn columns_and_times_mean_nothing_here() {
        let input = || [Input::bytes("a.mtx", format!("{HEAD}1 1 1\n1 1 1\n").as_bytes())];
        let columns = ReadOptions { columns: Some("1,2,3".parse().unwrap()), ..ReadOptions::default() };
        assert_eq!(read_ratings(input(), &columns).unwrap_err().exit_code(), 2);
        let timed = ReadOptions { time: true, ..ReadOptions::default() };
        let error = read_ratings(input(), &timed).unwrap_err().to_string();
        assert!(error.starts_with("a.mtx: has no timestamps; "), "{error}");
    }

    #[test]
    fn an_index_of_any_length_fits_in_a_message() {
        let long = refused(&format!("{HEAD}3 2 1\n{} 1 5\n", "9".repeat(1 << 20)));
        assert!(
            long.starts_with("a.mtx:3: row index 999") && long.contains("9… is above the 3 rows"),
            "{long}"
        );
        assert!(long.len() < 400);
    }

    #[test]
    fn sizes_are_not_believed() {
        let huge = u64::MAX;
        let text = format!("{HEAD}{huge} {huge} {huge}\n{huge} 1 5\n");
        assert!(refused(&text).contains("has 1 of the 18446744073709551615 entries of its size line"));
    }
}
