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

/// Bytes as hexadecimal digits, two each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A word of a command that can be pasted into a shell.
#[cfg(feature = "report")]
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
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

/// A number in rating units with four decimals, or, where these would say nothing, four digits and
/// an exponent.
pub(crate) fn measured(value: f64) -> String {
    if value == 0.0 || (1e-3..1e9).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.4e}")
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
    fn numbers_of_any_size_can_be_read() {
        for (value, text) in [
            (0.0, "0.0000"),
            (0.88214, "0.8821"),
            (-3.5, "-3.5000"),
            (0.001, "0.0010"),
            (9.99e-4, "9.9900e-4"),
            (123_456_789.0, "123456789.0000"),
            (1e9, "1.0000e9"),
            (-1.4e-41, "-1.4000e-41"),
        ] {
            assert_eq!(measured(value), text);
        }
    }

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

    #[cfg(feature = "report")]
    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_word("user_1"), "user_1");
        assert_eq!(shell_word("Ada O'Neil"), r"'Ada O'\''Neil'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a;b"), "'a;b'");
    }

    #[test]
    fn many_columns_are_counted() {
        let cells: Vec<&[u8]> = vec![b" a "; 14];
        assert!(listed(&cells).ends_with("\"a\", and 2 more"));
        assert_eq!(listed(&cells[..2]), "\"a\", \"a\"");
    }
}
