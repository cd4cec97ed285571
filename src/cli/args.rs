//! Values of flags: parsers that several commands share.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::backend::cpu::MAX_THREADS;

/// How long lists are. Each command says of what.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Length {
    /// Entries of each list
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true, default_value_t = 10)]
    pub(super) count: usize,
}

/// One of a family's values by name, listed in help and in errors.
pub(super) fn one_of<T>(all: &'static [T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let find = move |text: String| all.iter().copied().find(|value| name(*value) == text);
    PossibleValuesParser::new(all.iter().map(|value| name(*value)))
        .try_map(move |text| find(text).ok_or("this is none of the values"))
}

/// `key=value`.
pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write key=value, such as rate=0.1".to_owned()),
    }
}

/// A part of a whole.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fraction) if fraction > 0.0 && fraction < 1.0 => Ok(fraction),
        _ => Err("pass a fraction above 0 and below 1, such as 0.1".to_owned()),
    }
}

/// A number of threads.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if (1..=MAX_THREADS).contains(&number) => Ok(number),
        _ => Err(format!("pass a whole number from 1 to {MAX_THREADS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_split_at_the_first_sign() {
        assert_eq!(key_value("rate = 1=2"), Ok(("rate".to_owned(), "1=2".to_owned())));
        assert!(key_value("rate").is_err() && key_value("=1").is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(fraction("0.1"), Ok(0.1));
        for text in ["0", "1", "-0.1", "nan", "inf", "x", ""] {
            assert!(fraction(text).is_err(), "{text}");
        }
        assert_eq!(threads("3"), Ok(3));
        for text in ["0", "-1", "1.5", "x", "99999999"] {
            assert!(threads(text).is_err(), "{text}");
        }
    }
}
