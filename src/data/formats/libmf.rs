//! Triples of numbers as LIBMF reads them: the strict cousin of delimited text.
//!
//! The format: `README` of LIBMF (Chin and others, *LIBMF: A Library for Parallel Matrix
//! Factorization in Shared-memory Systems*, JMLR 17, 2016).

use super::super::collect::Gather;
use super::super::source::Source;
use super::super::text::quoted;
use super::lines::{Lines, whole};
use super::{AnyLine, Format, Record, Request, Sink, parse_rating};
use crate::error::Result;

pub(super) const FORMAT: Format = Format {
    name: "libmf",
    aliases: &[],
    summary: "exactly a user, an item and a rating a line, ids whole numbers; only where --format asks for it",
    extensions: &["txt"],
    // Whatever is written so is read as delimited text as well.
    recognize: |_, _| false,
    read,
    collect: None,
    lines: Some(any_line),
    groups: false,
};

fn read(source: Source<'_>, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    request.indices_only("a LIBMF file", source.path())?;
    let mut lines = Lines::new(source)?;
    let mut empty = true;
    while lines.advance()? {
        empty = false;
        sink(record(&lines, request.rating)?)?;
    }
    if empty {
        return Err(lines.wrong_file("is empty", "pass a file with one rating a line"));
    }
    Ok(())
}

fn any_line(source: Source<'_>, request: &Request<'_>) -> Result<AnyLine> {
    request.indices_only("a LIBMF file", source.path())?;
    let mut lines = Lines::new(source)?;
    if !lines.advance()? {
        return Err(lines.wrong_file("is empty", "pass a file with one rating a line"));
    }
    let read = |source: Source<'_>, request: &Request<'_>, gather: &mut Gather<'_>| {
        let mut lines = Lines::new(source)?;
        while lines.advance()? {
            gather.push(record(&lines, request.rating)?)?;
        }
        Ok(())
    };
    Ok(AnyLine { before: 0, line_end: b'\n', read: Box::new(read) })
}

fn record<'l>(lines: &'l Lines<'_>, rating: bool) -> Result<Record<'l>> {
    const REMEDY: &str = "write user, item and rating between spaces, or leave --format libmf out";
    let mut fields = lines.fields();
    let (Some(user), Some(item), value, None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        let there = lines.fields().count();
        let s = if there == 1 { "" } else { "s" };
        return Err(lines.wrong(format!("has {there} field{s}, not 3"), REMEDY));
    };
    let id =
        |text: &'l [u8], side: &str| match whole(text) {
            Some((_, digits)) => Ok(digits),
            None if text.iter().all(u8::is_ascii_digit) => Err(lines
                .wrong(format!("the {side} id {} is too large", quoted(text)), "write numbers below 2^64")),
            None => Err(lines.wrong(format!("the {side} id {} is not a whole number", quoted(text)), REMEDY)),
        };
    let (user, item) = (id(user, "user")?, id(item, "item")?);
    let rating = match (rating, value) {
        (false, _) => None,
        (true, None) => return Err(lines.wrong("has 2 fields, not 3", REMEDY)),
        (true, Some(value)) => Some(parse_rating(value).map_err(|(what, remedy)| lines.wrong(what, remedy))?),
    };
    Ok(Record { user, item, rating, time: None, place: lines.place() })
}

#[cfg(test)]
mod tests {
    use super::super::super::{Input, Ratings, ReadOptions, ratings::tests::ratings, read_ratings};
    use super::*;

    fn read(text: &str) -> Result<Ratings> {
        let options = ReadOptions { format: Some(&FORMAT), ..ReadOptions::default() };
        read_ratings([Input::bytes("a.txt", text.as_bytes())], &options)
    }

    #[test]
    fn triples_of_numbers_are_read_and_nothing_else() {
        let expected = ratings(&[("0", "7", 4.5), ("12", "7", -1.0)]);
        for text in ["0 7 4.5\n12 7 -1\n", "0\t7   4.5\r\n\n 12 007 -1"] {
            assert_eq!(read(text).unwrap(), expected);
        }
        for (text, message) in [
            ("", "a.txt: is empty; "),
            ("user item rating\n", "a.txt:1: the user id \"user\" is not a whole number; "),
            ("1 2 3\n1 -2 3\n", "a.txt:2: the item id \"-2\" is not a whole number; "),
            ("1 2\n", "a.txt:1: has 2 fields, not 3; "),
            ("1 2 3 4\n", "a.txt:1: has 4 fields, not 3; "),
            ("1,2,3\n", "a.txt:1: has 1 field, not 3; "),
            ("\"1\" 2 3\n", "a.txt:1: the user id \"\"1\"\" is not a whole number; "),
            ("1 2 nan\n", "a.txt:1: rating \"nan\" is not finite; "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().starts_with(message), "{text:?}: {error}");
            assert_eq!(error.exit_code(), 65);
        }
    }
}
