//! Ratings in units of their own deviation.

use std::ops::RangeInclusive;

use crate::config::ModelKind;
use crate::data::Stats;
use crate::error::{Error, Result};

/// The largest rating of a plain model: as many squares of it as a row can have are a number,
/// and so are the squares of the smaller ones, down to a millionth.
const PLAIN: RangeInclusive<f64> = 1e-12..=1e12;

/// The greatest target of a part that is measured: thousands of its squares are a number.
const FARTHEST: f64 = 1e15;

/// How ratings become targets: `y = (r − mean) / scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standard {
    /// μ, in rating units; 0 for plain.
    pub mean: f64,
    /// s > 0, in rating units; 1 for plain, and where all ratings are equal.
    pub scale: f64,
}

impl Standard {
    /// The transformation that a kind of model uses.
    pub fn of(kind: ModelKind, stats: &Stats) -> Self {
        match kind {
            ModelKind::Plain => Self { mean: 0.0, scale: 1.0 },
            ModelKind::Centered | ModelKind::Biased | ModelKind::Svdpp => {
                Self { mean: stats.mean, scale: if stats.std > 0.0 { stats.std } else { 1.0 } }
            }
        }
    }

    /// A rating as a target.
    pub fn target(&self, rating: f32) -> f32 {
        self.wide_target(rating) as f32
    }

    fn wide_target(&self, rating: f32) -> f64 {
        (f64::from(rating) - self.mean) / self.scale
    }

    /// A target of a part that is measured.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is so far off that f32 can't hold the sums of its squares.
    pub(super) fn held_target(&self, rating: f32) -> Result<f32> {
        if self.wide_target(rating).abs() <= FARTHEST {
            return Ok(self.target(rating));
        }
        Err(Error::usage(
            format!(
                "a rating of {rating:e} among those held out or for test is more than {FARTHEST:e} times as far \
                 from the training ratings as they are from each other"
            ),
            "correct it, or leave it out",
        ))
    }
}

/// Refuses ratings that a kind of model can't be trained on in f32.
///
/// Most kinds take ratings in units of their deviation, and so take all. Plain has them as they
/// are: their squares, and the sums of these, must be numbers.
///
/// # Errors
/// [`Error::Usage`] with a kind that does.
pub(super) fn check_size(kind: ModelKind, stats: &Stats) -> Result<()> {
    let largest = f64::from(stats.min.abs().max(stats.max.abs()));
    if kind != ModelKind::Plain || largest == 0.0 || PLAIN.contains(&largest) {
        return Ok(());
    }
    Err(Error::usage(
        format!(
            "--model plain multiplies ratings as they are, and the largest is {largest:e}: f32 needs it \
             between {:e} and {:e}",
            PLAIN.start(),
            PLAIN.end()
        ),
        "pass --model centered, which takes any, or ratings in other units",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_takes_what_f32_can_square_and_the_others_all() {
        for (value, plain) in [
            (0.0, true),
            (1e-45, false),
            (9e-13, false),
            (1.1e-12, true),
            (5.0, true),
            (9e11, true),
            (1.1e12, false),
            (f32::MAX, false),
        ] {
            for values in [[value, value / 2.0], [-value, 0.0], [value, value]] {
                let stats = Stats::of(&values);
                for kind in ModelKind::ALL {
                    let refused = check_size(kind, &stats);
                    assert_eq!(refused.is_ok(), plain || kind != ModelKind::Plain, "{kind:?} {values:?}");
                    if let Err(error) = refused {
                        assert_eq!(error.exit_code(), 2);
                        assert!(error.to_string().contains("--model centered"), "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn held_ratings_may_be_far_off_but_not_beyond_squaring() {
        let standard = Standard { mean: 3.0, scale: 1.0 };
        assert_eq!(standard.held_target(-1e6).unwrap(), -1_000_003.0);
        assert!(standard.held_target(9e14).unwrap().powi(2).is_finite());
        for far in [2e15, f32::MAX, f32::MIN] {
            let error = standard.held_target(far).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("leave it out"), "{error}");
        }
        // Beyond f32 as a target, though not as a rating.
        assert!(Standard { mean: 0.0, scale: 1e-30 }.held_target(1e30).is_err());
    }
}
