//! Lists of ids: one a line, or a column of a table as text.

use super::columns::{id_column, normal};
use super::formats::Records;
use super::formats::parse_number;
use super::input::Input;
use super::read::Separator;
use super::source::Source;
use crate::error::{Error, Result};

/// Reads ids of users: `each` gets every id with its line number, as they come. Returns their number.
///
/// The ids stand in the column whose header is a known name of a user, such as `userId`, else in
/// the first. Columns are separated by `::`, tabs, commas, `;` or `|`, so an id may hold spaces. `-`
/// is standard input; gzip and zstd are unpacked.
///
/// # Errors
/// [`Error::NoInput`] if the file can't be opened, [`Error::Io`] if reading breaks off,
/// [`Error::Data`] for a line without an id or with more columns than the first (an id with a
/// separator in it wants quotes), and whatever `each` returns.
pub fn read_user_ids(input: impl Into<Input>, mut each: impl FnMut(&[u8], u64) -> Result<()>) -> Result<u64> {
    from_source(Source::open(&input.into())?, 0, &mut each)
}

/// The same for items.
///
/// # Errors
/// As [`read_user_ids`].
pub fn read_item_ids(input: impl Into<Input>, mut each: impl FnMut(&[u8], u64) -> Result<()>) -> Result<u64> {
    from_source(Source::open(&input.into())?, 1, &mut each)
}

fn from_source(
    source: Source<'_>,
    role: usize,
    each: &mut dyn FnMut(&[u8], u64) -> Result<()>,
) -> Result<u64> {
    source.check_text()?;
    let path = source.path();
    let separator = separator(source.head());
    let mut records = Records::new(source, separator, 1)?;
    let mut count = 0;
    let mut more = records.advance()?;
    let mut column = 0;
    if more {
        records.settle();
        let cells = records.fields();
        let names: Vec<Vec<u8>> = cells.iter().map(|cell| normal(cell)).collect();
        let header =
            id_column(&names, role).filter(|_| cells.iter().all(|cell| parse_number(cell).is_none()));
        if let Some(named) = header {
            column = named;
            more = records.advance()?;
        }
    }
    while more {
        let wrong = |what: String, remedy: &str| Err(Error::data_line(path, records.line(), what, remedy));
        match records.field(column) {
            None => {
                let columns = records.fields().len();
                let s = if columns == 1 { "" } else { "s" };
                let what = format!("has {columns} column{s}, column {} (the id) is missing", column + 1);
                return wrong(what, "correct the line, or pass a file with one id a line");
            }
            Some(b"") => return wrong("the id is empty".to_owned(), "fill it in or remove the line"),
            Some(id) => each(id, records.line())?,
        }
        count += 1;
        more = records.advance()?;
    }
    Ok(count)
}

/// The first separator that the first line holds; a comma if none.
fn separator(head: &[u8]) -> Separator {
    let line = head.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.trim_ascii().is_empty());
    let line = line.unwrap_or_default();
    if memchr::memmem::find(line, b"::").is_some() {
        return Separator::DoubleColon;
    }
    let byte = [b'\t', b',', b';', b'|'].into_iter().find(|byte| line.contains(byte));
    Separator::Byte(byte.unwrap_or(b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, role: usize) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let source = Source::new(std::path::Path::new("ids"), Box::new(text.as_bytes()))?;
        let count = from_source(source, role, &mut |id, line| {
            ids.push(format!("{}@{line}", String::from_utf8_lossy(id)));
            Ok(())
        })?;
        assert_eq!(count, ids.len() as u64);
        Ok(ids)
    }

    #[test]
    fn ids_stand_one_a_line_or_in_their_column() {
        for (text, users, items) in [
            ("7\n007\n", &["7@1", "007@2"][..], &["7@1", "007@2"][..]),
            ("\u{feff}Ada Abara\r\n\r\n Zoë", &["Ada Abara@1", " Zoë@3"], &["Ada Abara@1", " Zoë@3"]),
            ("userId\n1\n", &["1@2"], &["userId@1", "1@2"]),
            ("item,user,rating\na,b,3\n", &["b@2"], &["a@2"]),
            ("ID;x\n5;6\n", &["5@2"], &["5@2"]),
            ("1::31::2.5\n2::32::3\n", &["1@1", "2@2"], &["1@1", "2@2"]),
            ("\"a,b\"\n\"say \"\"hi\"\"\"\n", &["a,b@1", "say \"hi\"@2"], &["a,b@1", "say \"hi\"@2"]),
            ("movie_id\ttitle\n9\tHeat\n", &["movie_id@1", "9@2"], &["9@2"]),
            ("7\n8,,\n", &["7@1", "8@2"], &["7@1", "8@2"]),
            ("", &[], &[]),
            ("user,item\n", &[], &[]),
        ] {
            assert_eq!(read(text, 0).unwrap(), users, "{text:?}");
            assert_eq!(read(text, 1).unwrap(), items, "{text:?}");
        }
    }

    #[test]
    fn a_line_without_an_id_is_named() {
        for (text, error) in [
            ("item,user\na,b\nc\n", "ids:3: has 1 column, column 2 (the id) is missing; correct"),
            ("1,2\n,3\n", "ids:2: the id is empty; fill"),
            ("Ada\nSmith, John\n", "ids:2: has more columns than the 1 of the first line; quote the cell"),
            ("user;age\nAda;7;8\n", "ids:2: has more columns than the 2 of the first line; quote the cell"),
            ("\"a\n", "ids:1: a quote opens"),
        ] {
            let refused = read(text, 0).unwrap_err();
            assert!(refused.to_string().starts_with(error) && refused.exit_code() == 65, "{refused}");
        }
        assert!(read("a\0b", 0).unwrap_err().to_string().contains("binary file"));
    }
}
