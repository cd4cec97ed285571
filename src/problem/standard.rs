//! Ratings in units of their own deviation.

use crate::config::ModelKind;
use crate::data::Stats;

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
        ((f64::from(rating) - self.mean) / self.scale) as f32
    }
}
