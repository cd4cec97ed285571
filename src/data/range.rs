//! The range that ratings must lie in.

use std::fmt;
use std::str::FromStr;

use super::formats::parse_rating;
use super::text::quoted;
use crate::error::{Error, Result};

/// The least and the greatest rating that a file may have. As text: `0.5..5`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatingRange {
    min: f32,
    max: f32,
}

impl RatingRange {
    /// From `min` to `max`, both included.
    ///
    /// # Errors
    /// [`Error::Usage`] unless both are finite and `min` is not above `max`.
    pub fn new(min: f32, max: f32) -> Result<Self> {
        if min.is_finite() && max.is_finite() && min <= max {
            return Ok(Self { min, max });
        }
        Err(Error::usage(
            format!("no rating lies from {min} to {max}"),
            "pass MIN..MAX, the smaller number first, such as 0.5..5",
        ))
    }

    /// Whether the rating lies in it.
    pub fn contains(&self, rating: f32) -> bool {
        (self.min..=self.max).contains(&rating)
    }
}

impl FromStr for RatingRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| parse_rating(text.as_bytes()).ok();
        match text.split_once("..").and_then(|(min, max)| Some((number(min)?, number(max)?))) {
            Some((min, max)) => Self::new(min, max),
            None => Err(Error::usage(
                format!("{} is no range of ratings", quoted(text.as_bytes())),
                "pass MIN..MAX, such as 0.5..5",
            )),
        }
    }
}

/// Such as `0.5..5`.
impl fmt::Display for RatingRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_as_people_write_them() {
        for (text, shown, inside, outside) in [
            ("0.5..5", "0.5..5", [0.5, 5.0], [0.49, 5.01]),
            ("-10..10", "-10..10", [-10.0, 10.0], [-11.0, 11.0]),
            (" 1 .. 1 ", "1..1", [1.0, 1.0], [0.0, 2.0]),
            // As 32-bit floats, like the ratings: the same text is the same number.
            ("0.1..0.7", "0.1..0.7", [0.1, 0.7], [0.099, 0.701]),
        ] {
            let range: RatingRange = text.parse().unwrap();
            assert_eq!(range.to_string(), shown);
            assert!(inside.iter().all(|&rating| range.contains(rating)), "{text}");
            assert!(!outside.iter().any(|&rating| range.contains(rating)), "{text}");
        }
        for text in ["", "..", "1", "1..", "..5", "5..1", "nan..1", "0..inf", "1-5", "a..b"] {
            assert_eq!(text.parse::<RatingRange>().unwrap_err().exit_code(), 2, "{text}");
        }
    }
}
