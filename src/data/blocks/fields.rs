//! The cells of a plain line, eight bytes at a time; and plain numbers.

use std::ops::Range;

use super::super::columns::Layout;
use super::super::formats::{Cut, Rules};

/// Bytes that end a cell, or make the line none that is cut here: all are below.
const PLAIN: u8 = b'-';

/// A line's parts, and where the next line begins.
pub(super) struct Line {
    /// Where each stands, in the order of [`Layout::positions`].
    pub(super) cells: [Range<usize>; ROLES],
    pub(super) next: usize,
}

/// Parts of a rating.
const ROLES: usize = 4;
/// Columns of a file whose lines are cut here.
const COLUMNS: usize = 32;
/// The role of a column that is not read.
const UNREAD: u8 = ROLES as u8;

/// Cuts lines without quotes, of separators that stand alone or are `::`.
#[derive(Debug)]
pub(super) struct Fields {
    separator: u8,
    /// In every byte.
    separators: u64,
    /// Whether only two of them separate.
    double: bool,
    line_end: u8,
    /// Columns of the first record.
    columns: usize,
    /// Columns that a line must have.
    least: usize,
    /// What stands in each column.
    roles: [u8; COLUMNS],
}

impl Fields {
    /// `None` where lines have to be cut otherwise.
    pub(super) fn new(rules: &Rules, layout: &Layout) -> Option<Self> {
        let (separator, double) = match rules.cut {
            Cut::Byte(byte) => (byte, false),
            Cut::DoubleColon => (b':', true),
            Cut::Spaces => return None,
        };
        let mut roles = [UNREAD; COLUMNS];
        for (role, &position) in (0..).zip(&layout.positions) {
            *roles.get_mut(position)? = role;
        }
        let least = layout.positions.iter().max()? + 1;
        (layout.positions.len() <= ROLES && rules.columns <= COLUMNS).then_some(Self {
            separator,
            separators: every(separator),
            double,
            line_end: rules.line_end,
            columns: rules.columns,
            least,
            roles,
        })
    }

    /// The line that begins at `start`; `None` where it has to be looked at more closely: it is blank,
    /// quoted, has other columns than the first, or is near the end of the text.
    pub(super) fn line(&self, text: &[u8], start: usize) -> Option<Line> {
        let mut cells: [Range<usize>; ROLES] = [0..0, 0..0, 0..0, 0..0];
        let (mut begin, mut at) = (start, start);
        for (column, &role) in (1..=self.columns).zip(&self.roles) {
            let end = loop {
                at = self.stop(text, at)?;
                let byte = *text.get(at)?;
                let next = text.get(at + 1);
                if byte == self.separator {
                    if !self.double || next == Some(&self.separator) {
                        break None;
                    }
                } else if byte == self.line_end {
                    break Some(at + 1);
                } else if byte == b'\r' {
                    if next != Some(&self.line_end) {
                        return None;
                    }
                    break Some(at + 2);
                } else if byte == b'"' {
                    return None;
                }
                at += 1;
            };
            if let Some(cell) = cells.get_mut(usize::from(role)) {
                *cell = begin..at;
            }
            if let Some(next) = end {
                return (column >= self.least).then_some(Line { cells, next });
            }
            at += 1 + usize::from(self.double);
            begin = at;
        }
        None
    }

    /// The next place from `at` on where a cell may end.
    fn stop(&self, text: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let word = u64::from_le_bytes(*text.get(at..)?.first_chunk()?);
            // The lowest bit that is set is right; a borrow may set higher ones.
            let found = below(word, PLAIN) | below(word ^ self.separators, 1);
            if found != 0 {
                return Some(at + found.trailing_zeros() as usize / 8);
            }
            at += 8;
        }
    }
}

/// A word of one byte eight times.
const fn every(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// The high bits of the bytes that are below `least`, which is at most 128; those above the lowest may
/// be wrong. (Anderson, *Bit Twiddling Hacks*, "hasless".)
fn below(word: u64, least: u8) -> u64 {
    word.wrapping_sub(every(least)) & !word & every(0x80)
}

/// Powers of ten that f64 holds exactly, and more than a [`decimal`] has places.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A number such as `4`, `3.5` or `-12.25`, of at most 15 digits: rounded as [`str::parse`] does, since
/// both its digits and its power of ten are exact, and their quotient is rounded once. (Clinger,
/// *How to Read Floating Point Numbers Accurately*, 1990, the fast path.)
pub(super) fn decimal(text: &[u8]) -> Option<f64> {
    let (minus, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 16 {
        return None;
    }
    let (mut number, mut count, mut point) = (0_u64, 0, None);
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                number = 10 * number + u64::from(byte - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(count),
            _ => return None,
        }
    }
    if !(1..=15).contains(&count) {
        return None;
    }
    let value = number as f64 / POWERS.get(count - point.unwrap_or(count))?;
    Some(if minus { -value } else { value })
}

/// Whole seconds of at most 18 digits.
pub(super) fn seconds(text: &[u8]) -> Option<i64> {
    let few = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    few.then(|| text.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn decimals_are_rounded_as_the_standard_library_rounds_them() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut fast = 0;
        for _ in 0..200_000 {
            let length = rng.random_range(1..19);
            let text: Vec<u8> = (0..length)
                .map(|_| match rng.random_range(0..40) {
                    0 => b'-',
                    1..5 => b'.',
                    5 => b'e',
                    _ => b'0' + rng.random_range(0..10),
                })
                .collect();
            let expected: Option<f64> = std::str::from_utf8(&text).unwrap().parse().ok();
            if let Some(number) = decimal(&text) {
                assert_eq!(Some(number.to_bits()), expected.map(f64::to_bits), "{text:?}");
                fast += 1;
            }
        }
        assert!(fast > 50_000, "{fast}");
        for (text, number) in [("4.5", 4.5), ("-0", -0.0), ("5.", 5.0), (".5", 0.5), ("0.1", 0.1)] {
            assert_eq!(decimal(text.as_bytes()).map(f64::to_bits), Some(f64::to_bits(number)), "{text}");
        }
        for text in ["", "-", ".", "-.", "1.2.3", "+1", " 1", "1e3", "nan", "1234567890123456", "--1"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_whole_numbers() {
        assert_eq!(seconds(b"978300760"), Some(978_300_760));
        assert_eq!(seconds(b"999999999999999999"), Some(999_999_999_999_999_999));
        for text in ["", "-1", "1.5", "1000000000000000000", "2005-04-02"] {
            assert_eq!(seconds(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_lowest_byte_that_is_found_is_right() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        for _ in 0..100_000 {
            let bytes: [u8; 8] = std::array::from_fn(|_| rng.random_range(0..60) * rng.random_range(1..5));
            let (least, word) = (rng.random_range(1..128), u64::from_le_bytes(bytes));
            let first = bytes.iter().position(|&byte| byte < least);
            let found = below(word, least);
            assert_eq!((found != 0).then(|| found.trailing_zeros() as usize / 8), first, "{bytes:?} {least}");
        }
    }
}
