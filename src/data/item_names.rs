//! Names of items, from delimited text beside the ratings: MovieLens' `movies.csv`, `movies.dat`,
//! `u.item` and their like.
//!
//! The id stands in the column whose header is a known name of an item, else in the first; the
//! name in the one that was asked for, else under a header such as `title`, else in the second.
//!
//! A name is text. One that is not UTF-8 is read as Windows-1252, which has all that Latin-1
//! prints: ids are compared byte for byte, but a name is for people to read.

use std::ops::Range;
use std::path::Path;

use super::columns::{Column, item_column, normal};
use super::formats::Records;
use super::formats::parse_number;
use super::ids::{IdMap, Ids};
use super::input::Input;
use super::read::Separator;
use super::source::Source;
use super::text::{listed, quoted};
use crate::error::{Error, Result};

/// Headers of a name, without `_`, `-` and spaces; the first that is there counts.
#[rustfmt::skip] // a word list, not a table
const KNOWN: [&str; 16] = [
    "title", "itemtitle", "movietitle", "filmtitle", "booktitle", "producttitle", "name", "itemname",
    "moviename", "productname", "songname", "trackname", "artistname", "gamename", "originaltitle", "label",
];

/// Names of a training set's items, and what there is to say of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemNames {
    /// A name for each item, `[n]`, in UTF-8; empty where there is none. Names may repeat.
    pub names: Ids,
    /// Items without a name.
    pub unnamed: u64,
    /// Names that were not UTF-8.
    pub recoded: u64,
    /// Lines with another name for an item that had one already, and kept it.
    pub contradicted: u64,
}

/// Reads the names of `items` from a file. `-` is standard input; gzip and zstd are unpacked.
///
/// Ids that are not among the items are passed over; of several names of an item the first that
/// is not empty counts. `column`: where the names stand; by default it is found out.
///
/// # Errors
/// As [`read_triples`](crate::data::read_triples), and [`Error::Data`] if no id is among the items.
pub fn read_item_names(input: impl Into<Input>, column: Option<&Column>, items: &Ids) -> Result<ItemNames> {
    from_source(Source::open(&input.into())?, column, items)
}

fn from_source(source: Source<'_>, column: Option<&Column>, items: &Ids) -> Result<ItemNames> {
    source.check_text()?;
    let path = source.path();
    let least = match column {
        Some(Column::Index(index)) => (*index).max(2),
        _ => 2,
    };
    let mut records = Records::new(source, Separator::Auto, least)?;
    if !records.advance()? {
        return Err(Error::data(path, "is empty", "pass a file with an id and a name a line"));
    }
    let layout = resolve((path, records.line()), &records.fields(), column)?;
    records.settle();
    let known = IdMap::from(items.clone());
    let (mut arena, mut places) = (Vec::new(), vec![Range::<usize>::default(); items.len()]);
    let (mut first, mut found, mut recoded, mut contradicted) = (None, false, 0, 0);
    let mut more = !layout.header || records.advance()?;
    while more {
        let field = |at: usize, what: &str| {
            records.field(at).ok_or_else(|| {
                let columns = records.fields().len();
                let s = if columns == 1 { "" } else { "s" };
                let what = format!("has {columns} column{s}, column {} ({what}) is missing", at + 1);
                Error::data_line(path, records.line(), what, "correct the line, or pass --name-column")
            })
        };
        let (id, name) = (field(layout.id, "the id")?, field(layout.name, "the name")?.trim_ascii());
        if let Some(place) = known.get(id).and_then(|item| places.get_mut(item as usize)) {
            found = true;
            let start = arena.len();
            let was_recoded = push_text(name, &mut arena);
            if Range::is_empty(place) && !name.is_empty() {
                recoded += u64::from(was_recoded);
                *place = start..arena.len();
            } else {
                let differs = arena.get(place.clone()) != arena.get(start..);
                contradicted += u64::from(!name.is_empty() && differs);
                arena.truncate(start);
            }
        } else if first.is_none() {
            first = Some(quoted(id));
        }
        more = records.advance()?;
    }
    if !found {
        return Err(none_known(path, first, items));
    }
    let (mut bytes, mut offsets) = (Vec::with_capacity(arena.len()), vec![0]);
    for place in &places {
        bytes.extend_from_slice(arena.get(place.clone()).unwrap_or_default());
        offsets.push(bytes.len() as u64);
    }
    let unnamed = places.iter().filter(|place| place.is_empty()).count() as u64;
    let names =
        Ids::from_parts(bytes, offsets).ok_or_else(|| Error::Internal("more names than items".to_owned()))?;
    Ok(ItemNames { names, unnamed, recoded, contradicted })
}

fn none_known(path: &Path, first: Option<String>, items: &Ids) -> Error {
    let Some(first) = first else {
        return Error::data(path, "has a header but no names", "pass a file with an id and a name a line");
    };
    let example =
        items.iter().next().map_or(String::new(), |id| format!(" and the ratings have {}", quoted(id)));
    Error::data(
        path,
        "none of its ids is an item of the ratings",
        format!("its first id is {first}{example}: put the ids first, or under a header such as itemId"),
    )
}

/// Where id and name stand, counted from 0.
struct Layout {
    id: usize,
    name: usize,
    header: bool,
}

fn resolve((path, line): (&Path, u64), cells: &[&[u8]], column: Option<&Column>) -> Result<Layout> {
    let names: Vec<Vec<u8>> = cells.iter().map(|cell| normal(cell)).collect();
    let numbers = cells.iter().any(|cell| parse_number(cell).is_some());
    let usual = KNOWN.iter().find_map(|known| names.iter().position(|name| name == known.as_bytes()));
    let item = item_column(&names);
    let mut header = !numbers && (usual.is_some() || item.is_some());
    let name = match column {
        Some(Column::Index(index)) => Some(index.saturating_sub(1)),
        Some(Column::Name(wanted)) => {
            let exact = cells.iter().position(|cell| cell.trim_ascii() == wanted.as_bytes());
            let alike = || names.iter().position(|name| *name == normal(wanted.as_bytes()));
            let Some(position) = exact.or_else(alike) else {
                let what =
                    format!("no column is called {}; there are {}", quoted(wanted.as_bytes()), listed(cells));
                return Err(Error::data_line(
                    path,
                    line,
                    what,
                    "pass --name-column with one of them, or a number",
                ));
            };
            header = true;
            Some(position)
        }
        None => usual.filter(|_| header),
    };
    // The id is no name: of two columns it is the other one.
    let id = item.filter(|&item| header && Some(item) != name).unwrap_or(usize::from(name == Some(0)));
    let name = name.unwrap_or(usize::from(id == 0));
    Ok(Layout { id, name, header })
}

/// Appends a name as UTF-8; whether it was none before.
fn push_text(name: &[u8], text: &mut Vec<u8>) -> bool {
    if std::str::from_utf8(name).is_ok() {
        text.extend_from_slice(name);
        return false;
    }
    let mut utf8 = [0; 4];
    for &byte in name {
        text.extend_from_slice(windows_1252(byte).encode_utf8(&mut utf8).as_bytes());
    }
    true
}

/// What a byte means in Windows-1252; the five that it leaves open are controls, as in Latin-1.
///
/// Source: <https://encoding.spec.whatwg.org/index-windows-1252.txt>
fn windows_1252(byte: u8) -> char {
    #[rustfmt::skip] // rows of 16
    const FROM_80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80.. => FROM_80.get(usize::from(byte - 0x80)).copied().unwrap_or(char::from(byte)),
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(ids: &[&str]) -> Ids {
        let mut map = IdMap::new();
        for id in ids {
            map.get_or_insert(id.as_bytes()).unwrap();
        }
        map.into_ids()
    }

    fn read(bytes: &[u8], column: Option<&str>) -> Result<ItemNames> {
        let column = column.map(|text| text.parse::<Column>().unwrap());
        let source = Source::new(Path::new("names"), Box::new(bytes)).unwrap();
        from_source(source, column.as_ref(), &items(&["7", "1", "x"]))
    }

    fn names(bytes: &[u8], column: Option<&str>) -> Vec<String> {
        let read = read(bytes, column).unwrap();
        let names: Vec<String> = (0..3).map(|item| read.names.text(item).into_owned()).collect();
        assert_eq!(read.unnamed, names.iter().filter(|name| name.is_empty()).count() as u64);
        names
    }

    #[test]
    fn the_usual_layouts_are_read() {
        let csv =
            b"movieId,title,genres\n1,\"Postman, The (1994)\",Comedy|Drama\n99,Other,\n7,\"A \"\"B\"\"\",\n";
        assert_eq!(names(csv, None), ["A \"B\"", "Postman, The (1994)", ""]);
        assert_eq!(
            names(b"1::Toy Story (1995)::Animation\n7::Heat::Crime\n", None),
            ["Heat", "Toy Story (1995)", ""]
        );
        let u_item = b"1|Toy Story (1995)|01-Jan-1995||http://x|0|1\n7|Heat|||http://y|0|0\n";
        assert_eq!(names(u_item, None), ["Heat", "Toy Story (1995)", ""]);
        // Names before ids, and no header at all.
        assert_eq!(names(b"name;item_id\nseven;7\n", None), ["seven", "", ""]);
        assert_eq!(names(b"x\tletter\n7\tseven\n", None), ["seven", "", "letter"]);
        assert_eq!(names(b"\xef\xbb\xbfid,title\r\n1,one\r\n", None), ["", "one", ""]);
    }

    #[test]
    fn the_column_may_be_asked_for() {
        let text = b"movieId,title,original\n1,one,eins\n7,seven,sieben\n";
        assert_eq!(names(text, Some("original")), ["sieben", "eins", ""]);
        assert_eq!(names(text, Some("3")), ["sieben", "eins", ""]);
        assert_eq!(names(b"eins,1\nsieben,7\n", Some("1")), ["sieben", "eins", ""]);
        let error = read(text, Some("titel")).unwrap_err();
        assert_eq!(error.exit_code(), 65);
        let listed = r#"names:1: no column is called "titel"; there are "movieId", "title", "original"; "#;
        assert!(error.to_string().starts_with(listed), "{error}");
    }

    #[test]
    fn of_several_names_the_first_that_says_something_counts() {
        assert_eq!(names(b"1,\n1,  \n1,first\n1,second\n7, padded \n", None), ["padded", "first", ""]);
    }

    #[test]
    fn what_is_not_utf8_is_windows_1252() {
        let found = read(b"1,Mis\xe9rables\n7,Zo\xc3\xab \x96 \x80\xff\nx,Zo\xc3\xab\n", None).unwrap();
        assert_eq!(found.names.text(1), "Misérables");
        assert_eq!(found.names.text(0), "ZoÃ« – €ÿ", "a name is of one encoding");
        assert_eq!(found.names.text(2), "Zoë");
        assert_eq!(found.recoded, 2);
        let all: std::collections::HashSet<char> = (0..=255).map(windows_1252).collect();
        assert_eq!(all.len(), 256);
        assert!((0..128).chain(160..=255).all(|byte| u32::from(windows_1252(byte)) == u32::from(byte)));
    }

    #[test]
    fn a_file_without_any_name_is_refused_with_an_example() {
        let error = read(b"movieId,title\nm1,one\nm7,seven\n", None).unwrap_err();
        assert_eq!(error.exit_code(), 65);
        assert_eq!(
            error.to_string(),
            "names: none of its ids is an item of the ratings; its first id is \"m1\" and the ratings have \
             \"7\": put the ids first, or under a header such as itemId"
        );
        for (bytes, what) in [
            (&b""[..], "names: is empty; "),
            (b"movieId,title\n", "names: has a header but no names; "),
            (b"1,one\n7\n", "names:2: has 1 column, column 2 (the name) is missing; "),
            (
                b"movieId,title\n1,Postman, The (1994)\n",
                "names:2: has more columns than the 2 of the first line; quote the cell",
            ),
            (b"id,title,genres\n7,Postman, The (1994),Drama\n", "names:2: has more columns than the 3 of"),
            (b"PK\x03\x04", "names: is a zip archive; "),
        ] {
            let error = read(bytes, None).unwrap_err();
            assert!(error.exit_code() == 65 && error.to_string().starts_with(what), "{error}");
        }
    }
}
