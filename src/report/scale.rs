//! An axis: what it spans, and where it has ticks with which text.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// An axis from `low` to `high`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Scale {
    /// With a tick at round numbers, about as many as wanted, that holds all finite values.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, ticks: usize) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        // Nothing, or nothing that differs: some room around it.
        let room = if low.is_finite() && low != 0.0 { low.abs() / 2.0 } else { 1.0 };
        let (low, high) = match low <= high {
            true if high - low > 1e-9 * low.abs().max(high.abs()) => (low, high),
            true => (low - room, high + room),
            false => (0.0, 1.0),
        };
        let step = round_step((high - low) / ticks.max(1) as f64);
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let tick = |at: i64| (at as f64 * step, number(at as f64 * step, decimals));
        let (low, high) = (first as f64 * step, last as f64 * step);
        Self { low, high, ticks: (first..=last).map(tick).collect() }
    }

    /// The same, from 0.
    pub(super) fn from_zero(values: impl IntoIterator<Item = f64>, ticks: usize) -> Self {
        Self::of(values.into_iter().chain([0.0]), ticks)
    }

    /// A place for each label, at 0, 1, 2, …; where they are many, not each has its text.
    pub(super) fn names(labels: &[String]) -> Self {
        let letters = labels.iter().map(|label| label.chars().count() + 1).max().unwrap_or(1);
        let every = (letters * labels.len()).div_ceil(LETTERS).max(1);
        let ticks = (0..).zip(labels).filter(|(at, _)| at % every == 0);
        Self {
            low: -0.6,
            high: labels.len() as f64 - 0.4,
            ticks: ticks.map(|(at, label)| (at as f64, label.clone())).collect(),
        }
    }

    pub(super) fn low(&self) -> f64 {
        self.low
    }

    pub(super) fn high(&self) -> f64 {
        self.high
    }
}

/// Letters that fit along an axis.
const LETTERS: usize = 60;

/// About as much, of 1, 2 and 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= step * 0.7);
    times.unwrap_or(10.0) * power
}

/// A number as people read it on an axis.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.decimals$}");
    // −0.0 is no number to show.
    if text.trim_start_matches(['-', '0', '.']).is_empty() {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(-1.0, 2.0);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|tick| tick.0 == *value).map_or(String::new(), |tick| tick.1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| &*tick.1).collect()
    }

    #[test]
    fn ticks_are_round_numbers_that_hold_all_values() {
        assert_eq!(
            texts(&Scale::of([0.61, 0.87], 5)),
            ["0.60", "0.65", "0.70", "0.75", "0.80", "0.85", "0.90"]
        );
        assert_eq!(texts(&Scale::of([-3.0, 3.0], 6)), ["-3", "-2", "-1", "0", "1", "2", "3"]);
        assert_eq!(texts(&Scale::from_zero([0.07], 4)), ["0.00", "0.02", "0.04", "0.06", "0.08"]);
        assert_eq!(texts(&Scale::of([0.0, 4e9], 4)), ["0", "1.0e9", "2.0e9", "3.0e9", "4.0e9"]);
    }

    #[test]
    fn nothing_and_nothing_that_differs_have_a_scale() {
        let odd: [&[f64]; 8] = [
            &[],
            &[0.0],
            &[5.0, 5.0],
            &[-2.0],
            &[f64::NAN, f64::INFINITY],
            &[3e38, 3e38],
            &[1e-45],
            &[f64::from(f32::MIN), f64::from(f32::MAX)],
        ];
        for values in odd {
            let scale = Scale::of(values.iter().copied(), 5);
            assert!(scale.low < scale.high && (2..20).contains(&scale.ticks.len()), "{values:?}: {scale:?}");
            for value in values.iter().filter(|value| value.is_finite()) {
                assert!((0..=100).contains(&scale.map(value, (0, 100))), "{value}: {scale:?}");
            }
        }
    }

    #[test]
    fn many_names_are_thinned_out() {
        let names = |count: usize| Scale::names(&vec!["1024–2047".to_owned(); count]);
        assert_eq!([6, 11, 14].map(|count| names(count).ticks.len()), [6, 6, 5]);
        assert_eq!(Scale::names(&[]).ticks.len(), 0);
        assert!(Scale::names(&[]).low < Scale::names(&[]).high);
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!([-0.0, -0.001, -0.01].map(|value| number(value, 2)), ["0.00", "0.00", "-0.01"]);
    }
}
