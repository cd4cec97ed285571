//! Bytes from a file, made fit for a message on one line.

use std::fmt::Write;

const LONGEST: usize = 40;

/// The bytes in quotes: controls and what is not UTF-8 escaped, long ones cut.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut shown = String::from("\"");
    let parts = bytes.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().copied().map(Part::Byte);
        chunk.valid().chars().map(Part::Char).chain(invalid)
    });
    for (count, part) in parts.enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        // Writing to a String can't fail.
        let _ = match part {
            Part::Char(c @ ('"' | '\'')) => write!(shown, "{c}"),
            Part::Char(c) => write!(shown, "{}", c.escape_debug()),
            Part::Byte(byte) => write!(shown, "\\x{byte:02x}"),
        };
    }
    shown.push('"');
    shown
}

/// What may quote the file, such as another crate's error, without line breaks and other controls,
/// and not too long.
pub(crate) fn one_line(text: &impl ToString) -> String {
    const MOST: usize = 200;
    let text = text.to_string().replace(char::is_control, " ");
    match text.char_indices().nth(MOST).and_then(|(end, _)| text.get(..end)) {
        Some(begin) => format!("{begin}…"),
        None => text,
    }
}

/// The column names of a header, for a message.
pub(super) fn listed(cells: &[&[u8]]) -> String {
    const MOST: usize = 12;
    let mut names: Vec<String> = cells.iter().take(MOST).map(|cell| quoted(cell.trim_ascii())).collect();
    if cells.len() > MOST {
        names.push(format!("and {} more", cells.len() - MOST));
    }
    names.join(", ")
}

enum Part {
    Char(char),
    Byte(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_fit_on_a_line() {
        assert_eq!(quoted(b"abc"), "\"abc\"");
        assert_eq!(quoted("Zoë 🦀".as_bytes()), "\"Zoë 🦀\"");
        assert_eq!(quoted(b"a\tb\n\x1b[31m\xff\0"), r#""a\tb\n\u{1b}[31m\xff\0""#);
        assert_eq!(quoted(b"Children's \"best\""), "\"Children's \"best\"\"");
        assert_eq!(quoted(b""), "\"\"");
        assert_eq!(quoted(&[b'x'; 40]).chars().count(), 42);
        assert_eq!(quoted(&[b'x'; 5_000]), format!("\"{}…\"", "x".repeat(40)));
    }

    #[test]
    fn many_columns_are_counted() {
        let cells: Vec<&[u8]> = vec![b" a "; 14];
        assert!(listed(&cells).ends_with("\"a\", and 2 more"));
        assert_eq!(listed(&cells[..2]), "\"a\", \"a\"");
    }
}
