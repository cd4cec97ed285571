//! JSON lines: an object a line, its keys found like the names of a header.
//!
//! Ids are strings, or whole numbers whose digits are kept exactly as they are written.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::collect::Gather;
use super::super::columns::{resolve_names, role_name};
use super::super::source::Source;
use super::super::text::quoted;
use super::lines::Lines;
use super::{AnyLine, Format, Record, Request, Sink, parse_rating, parse_timestamp};
use crate::error::{Error, Result};

pub(super) const FORMAT: Format = Format {
    name: "jsonl",
    aliases: &["ndjson", "json"],
    summary: "JSON, an object a line, such as {\"user\": \"Ann\", \"item\": 7, \"rating\": 4.5}",
    extensions: &["jsonl", "ndjson", "json"],
    recognize: |head, _| is_object(head) || is_array(head),
    read,
    collect: None,
    lines: Some(any_line),
    groups: false,
};

/// User, item, rating and time.
const ROLES: usize = 4;

fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{")
}

/// A whole file as one array: not JSON lines, but its owner believes so.
fn is_array(text: &[u8]) -> bool {
    text.trim_ascii_start().strip_prefix(b"[").is_some_and(is_object)
}

fn read(source: Source<'_>, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let (mut lines, wanted) = begin(source, request)?;
    loop {
        record(&lines, &wanted, request, sink)?;
        if !lines.advance()? {
            return Ok(());
        }
    }
}

fn any_line(source: Source<'_>, request: &Request<'_>) -> Result<AnyLine> {
    let (_, wanted) = begin(source, request)?;
    let read = move |source: Source<'_>, request: &Request<'_>, gather: &mut Gather<'_>| {
        let mut lines = Lines::new(source)?;
        while lines.advance()? {
            record(&lines, &wanted, request, &mut |record| gather.push(record))?;
        }
        Ok(())
    };
    Ok(AnyLine { before: 0, line_end: b'\n', read: Box::new(read) })
}

/// The first line that is not blank, and the keys that are wanted of each.
fn begin<'a>(source: Source<'a>, request: &Request<'_>) -> Result<(Lines<'a>, Vec<Vec<u8>>)> {
    if is_array(source.head()) {
        return Err(Error::data(
            source.path(),
            "is one JSON array",
            "write one object a line, such as with jq -c '.[]'",
        ));
    }
    let mut lines = Lines::new(source)?;
    if !lines.advance()? {
        return Err(lines.wrong_file("is empty", "pass a file with one object a line"));
    }
    let roles = 2 + usize::from(request.rating) + usize::from(request.time);
    let mut keys = Vec::new();
    parse(&lines, Keys(&mut keys))?;
    let keys: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
    let positions = resolve_names(&lines.at(), &keys, request.columns, roles)?;
    let wanted = positions.into_iter().filter_map(|position| keys.get(position).map(|key| key.to_vec()));
    let wanted = wanted.collect();
    Ok((lines, wanted))
}

fn record(lines: &Lines<'_>, wanted: &[Vec<u8>], request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let mut values: [Option<&RawValue>; ROLES] = [None; ROLES];
    parse(lines, Wanted { keys: wanted, values: &mut values })?;
    let mut cells = [const { Cow::Borrowed("") }; ROLES];
    for (role, ((key, cell), value)) in wanted.iter().zip(&mut cells).zip(values).enumerate() {
        let name = if role < 2 { format!("{} id", role_name(role)) } else { role_name(role).to_owned() };
        let Some(value) = value else {
            let what = format!("the object has no {} ({})", quoted(key), role_name(role));
            return Err(lines.wrong(what, "add it or remove the line"));
        };
        *cell = match scalar(value.get()) {
            Ok(text) => text,
            Err(what) => {
                return Err(lines.wrong(format!("the {name} {what}"), "write a number or a string"));
            }
        };
        if role < 2 && !value.get().starts_with('"') && !is_whole(cell) {
            let what = format!("the {name} {} is not a whole number", quoted(cell.as_bytes()));
            return Err(lines.wrong(what, "write ids as strings or as whole numbers"));
        }
        if role < 2 && cell.is_empty() {
            return Err(lines.wrong(format!("the {name} is empty"), "fill it in or remove the line"));
        }
    }
    let [user, item, rating, time] = &cells;
    let rating = request.rating.then(|| parse_rating(rating.as_bytes())).transpose();
    let time = request.time.then(|| parse_timestamp(time.as_bytes())).transpose();
    let wrong = |(what, remedy): (String, String)| lines.wrong(what, remedy);
    sink(Record {
        user: user.as_bytes(),
        item: item.as_bytes(),
        rating: rating.map_err(wrong)?,
        time: time.map_err(wrong)?,
        place: lines.place(),
    })
}

/// The text of a string or of a number, or what else the value is.
fn scalar(json: &str) -> std::result::Result<Cow<'_, str>, String> {
    let plain = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if let Some(text) = plain.filter(|text| !text.contains('\\')) {
        return Ok(Cow::Borrowed(text));
    }
    match json.as_bytes() {
        [b'"', ..] => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|error| format!("is no valid string: {}", message(&error))),
        [b'{', ..] => Err("is an object".to_owned()),
        [b'[', ..] => Err("is an array".to_owned()),
        [b'n' | b't' | b'f', ..] => Err(format!("is {json}")),
        _ => Ok(Cow::Borrowed(json)),
    }
}

fn is_whole(number: &str) -> bool {
    number.strip_prefix('-').unwrap_or(number).bytes().all(|byte| byte.is_ascii_digit())
}

/// Parses a line, which has to be an object and nothing else.
fn parse<'l>(lines: &'l Lines<'_>, seed: impl DeserializeSeed<'l, Value = ()>) -> Result<()> {
    let Ok(text) = std::str::from_utf8(lines.line()) else {
        return Err(lines.wrong("is not UTF-8", "convert the file to UTF-8, as JSON has to be"));
    };
    let mut json = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| {
        let what = message(&error);
        // What is JSON, but not as it should be: one that is none, or one that Wanted refuses.
        let what = if what.starts_with(TWICE) { what } else { format!("is not a JSON object: {what}") };
        lines.wrong(what, "correct the line: one object a line")
    })
}

/// The error's message with the column only: a line is all that was parsed.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
    match error.column() {
        0 => what.to_owned(),
        column => format!("{what} at column {column}"),
    }
}

/// How the refusal of a wanted key that comes twice begins.
const TWICE: &str = "the object has";

/// Collects an object's keys in the order of their first use.
struct Keys<'k>(&'k mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some((key, IgnoredAny)) = object.next_entry::<String, _>()? {
            // Twice matters only where the key is wanted: Wanted sees to that.
            if seen.insert(key.clone()) {
                self.0.push(key);
            }
        }
        Ok(())
    }
}

/// Picks the values of the wanted keys, as they are written.
struct Wanted<'k, 'de> {
    keys: &'k [Vec<u8>],
    values: &'k mut [Option<&'de RawValue>; ROLES],
}

impl<'de> DeserializeSeed<'de> for Wanted<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<(), A::Error> {
        while let Some(role) = object.next_key_seed(Role(self.keys))? {
            match role.and_then(|role| self.values.get_mut(role).zip(self.keys.get(role))) {
                None => drop(object.next_value::<IgnoredAny>()?),
                Some((value @ None, _)) => *value = Some(object.next_value()?),
                Some((Some(_), key)) => {
                    return Err(A::Error::custom(format_args!("{TWICE} {} twice,", quoted(key))));
                }
            }
        }
        Ok(())
    }
}

/// Which of the wanted keys a key is, without a copy of it.
struct Role<'k>(&'k [Vec<u8>]);

impl<'de> DeserializeSeed<'de> for Role<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Role<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> std::result::Result<Option<usize>, E> {
        Ok(self.0.iter().position(|wanted| *wanted == key.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{
        Input, Ratings, ReadOptions, ratings::tests::ratings, read_pairs, read_ratings,
    };
    use super::*;

    fn read(text: &str) -> Result<Ratings> {
        read_ratings([Input::bytes("a.jsonl", text.as_bytes())], &ReadOptions::default())
    }

    fn refused(text: &str) -> String {
        let error = read(text).unwrap_err();
        assert_eq!(error.exit_code(), 65, "{error}");
        error.to_string()
    }

    #[test]
    fn ids_are_the_text_of_strings_and_the_digits_of_numbers() {
        let text = r#"{"user_id": 123456789012345678901234567890, "Item": "a\"b\u00e9", "rating": 4.5}

  {"rating":"3","user_id":"007","Item":7,"more":{"a":[1,{}]}}
{"user_id": -1, "Item": "Zoë 🦀", "rating": -1e0}"#;
        let expected = ratings(&[
            ("123456789012345678901234567890", "a\"bé", 4.5),
            ("007", "7", 3.0),
            ("-1", "Zoë 🦀", -1.0),
        ]);
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read(&text.replace('\n', "\r\n")).unwrap(), expected);
        assert_eq!(read(&format!("\u{feff}{text}")).unwrap(), expected);
    }

    #[test]
    fn keys_are_found_by_name_only() {
        let text = r#"{"reviewerID": "u", "asin": "i", "overall": 5.0, "unixReviewTime": 99, "a": null}"#;
        let timed = ReadOptions { time: true, ..ReadOptions::default() };
        let read = |options: &ReadOptions| read_ratings([Input::bytes("a", text.as_bytes())], options);
        assert_eq!(read(&timed).unwrap().time, Some(vec![99]));
        let named =
            |columns: &str| ReadOptions { columns: Some(columns.parse().unwrap()), ..ReadOptions::default() };
        assert_eq!(read(&named("asin,reviewerID,overall")).unwrap(), ratings(&[("i", "u", 5.0)]));
        assert_eq!(read(&named("1,2,3")).unwrap(), ratings(&[("u", "i", 5.0)]));
        let error = read(&named("asin,user,overall")).unwrap_err().to_string();
        assert!(error.starts_with("a:1: no column is called \"user\"; there are \"reviewerID\""), "{error}");
        // The order of keys says nothing, so nothing is guessed from it.
        let error = refused(r#"{"a": 1, "b": 2, "c": 3}"#);
        assert!(error.starts_with("a.jsonl:1: the names do not tell the user: \"a\", \"b\""), "{error}");
    }

    #[test]
    fn what_is_no_rating_is_named_with_its_line() {
        let with = |line: &str| refused(&format!("{{\"user\":1,\"item\":2,\"rating\":3}}\n{line}\n"));
        for (line, message) in [
            (r#"{"user":1,"item":2}"#, "the object has no \"rating\" (rating); "),
            (r#"{"user":1,"item":null,"rating":3}"#, "the item id is null; "),
            (r#"{"user":{"id":1},"item":2,"rating":3}"#, "the user id is an object; "),
            (r#"{"user":[1],"item":2,"rating":3}"#, "the user id is an array; "),
            (r#"{"user":true,"item":2,"rating":3}"#, "the user id is true; "),
            (r#"{"user":1.5,"item":2,"rating":3}"#, "the user id \"1.5\" is not a whole number; "),
            (r#"{"user":1e3,"item":2,"rating":3}"#, "the user id \"1e3\" is not a whole number; "),
            (r#"{"user":"","item":2,"rating":3}"#, "the user id is empty; "),
            (r#"{"user":"\ud800","item":2,"rating":3}"#, "the user id is no valid string: "),
            (r#"{"user":1,"item":2,"rating":null}"#, "the rating is null; "),
            (r#"{"user":1,"item":2,"rating":"good"}"#, "rating \"good\" is not a number; "),
            (r#"{"user":1,"item":2,"rating":1e39}"#, "rating \"1e39\" is too large for a 32-bit float; "),
            (r#"{"user":1,"item":2,"rating":1e400}"#, "rating \"1e400\" is not finite; "),
            (r#"{"user":1,"item":2,"rating":NaN}"#, "is not a JSON object: expected value at column 29; "),
            (r#"{"user":1,"user":2,"item":2,"rating":3}"#, "the object has \"user\" twice, at column"),
            (
                r#"{"user":1,"item":2,"rating":3},"#,
                "is not a JSON object: trailing characters at column 31; ",
            ),
            (r#"{"user":1,"item":2,"rat"#, "is not a JSON object: EOF while parsing"),
            (r#"{"user":007,"item":2,"rating":3}"#, "is not a JSON object: invalid number at column"),
            ("[1,2,3]", "is not a JSON object: invalid type: sequence, expected an object; "),
            ("17", "is not a JSON object: invalid type: integer `17`, expected an object at column 2; "),
        ] {
            let found = with(line);
            assert!(found.starts_with(&format!("a.jsonl:2: {message}")), "{line}: {found}");
        }
        let deep = format!("{{\"user\":1,\"item\":2,\"rating\":3,\"more\":{}", "[".repeat(200_000));
        assert!(with(&deep).contains("is not a JSON object: "));
        assert!(
            refused("[{\"user\":1,\"item\":2,\"rating\":3}]")
                .contains("is one JSON array; write one object a line")
        );
    }

    #[test]
    fn pairs_need_no_rating() {
        let mut pairs = Vec::new();
        let text = b"{\"user\":1,\"item\":\"x\"}\n{\"item\":\"y\",\"user\":2}\n";
        read_pairs([Input::bytes("a", *text)], &ReadOptions::default(), |pair| {
            pairs.push((pair.user.to_vec(), pair.item.to_vec(), pair.place.number));
            Ok(())
        })
        .unwrap();
        assert_eq!(pairs, [(b"1".to_vec(), b"x".to_vec(), 1), (b"2".to_vec(), b"y".to_vec(), 2)]);
    }
}
