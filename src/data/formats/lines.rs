//! Plain lines, for formats that need no separators and no quotes.

use super::super::source::Source;
use crate::error::{Error, Location, Place, Result};

/// The longest line or record in bytes. A longer one is no rating, and is not kept in memory.
pub(in super::super) const LONGEST: usize = 16 << 20;

/// The error for a line that is longer.
pub(super) fn too_long(at: Location) -> Error {
    Error::data_at(
        at,
        format!("the line is longer than {} MiB", LONGEST >> 20),
        "pass a text file with one rating a line",
    )
}

/// The lines of a text, one at a time, past blank ones.
pub(super) struct Lines<'a> {
    source: Source<'a>,
    buffer: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    /// # Errors
    /// [`Error::Data`] if the source is no text.
    pub(super) fn new(source: Source<'a>) -> Result<Self> {
        source.check_text()?;
        Ok(Self { source, buffer: Vec::new(), number: 0 })
    }

    /// Reads the next line that is not blank. `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        loop {
            self.buffer.clear();
            if self.source.read_until(b'\n', LONGEST as u64 + 1, &mut self.buffer)? == 0 {
                return Ok(false);
            }
            self.number += 1;
            if self.buffer.len() > LONGEST {
                return Err(too_long(self.at()));
            }
            if !self.line().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line, without spaces at its ends.
    pub(super) fn line(&self) -> &[u8] {
        self.buffer.trim_ascii()
    }

    /// Its fields, between any white space.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        self.buffer.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
    }

    /// Its number, from 1.
    pub(super) fn place(&self) -> Place {
        Place::line(self.number)
    }

    /// Where it stands.
    pub(super) fn at(&self) -> Location {
        Location::at(self.source.path(), self.place())
    }

    /// An error about it.
    pub(super) fn wrong(&self, what: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::data_at(self.at(), what, remedy)
    }

    /// An error about the whole file.
    pub(super) fn wrong_file(&self, what: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::data(self.source.path(), what, remedy)
    }
}

/// A whole number and its digits without leading zeros: `007` and `7` are one index.
pub(super) fn whole(text: &[u8]) -> Option<(u64, &[u8])> {
    let (_, but_last) = text.split_last()?;
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = but_last.iter().take_while(|&&digit| digit == b'0').count();
    let (_, digits) = text.split_at_checked(zeros)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_one_text() {
        for (text, number, digits) in [
            ("7", 7, "7"),
            ("007", 7, "7"),
            ("0", 0, "0"),
            ("000", 0, "0"),
            ("18446744073709551615", u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(whole(text.as_bytes()), Some((number, digits.as_bytes())));
        }
        for text in ["", "-1", "+1", "1.0", "1e3", " 1", "x", "18446744073709551616"] {
            assert_eq!(whole(text.as_bytes()), None, "{text}");
        }
    }
}
