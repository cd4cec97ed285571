//! What a problem is made of.

use super::{Places, SideBuffers};
use crate::config::{Kernels, ModelKind, RegScaling};
use crate::data::{Held, Known, Ratings, Side};
use crate::model::BaselineBiases;
use crate::world::Share;

/// What to train on and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The form of a prediction.
    pub kind: ModelKind,
    /// Number of latent factors.
    pub rank: usize,
    /// Those that start from a draw, 1 to `rank`; the others are 0 until an optimiser fills them.
    pub start_rank: usize,
    /// Where biases start, in rating units; `None`: at 0. A model without biases has none.
    pub biases: Option<&'a BaselineBiases>,
    /// Seed of the initial factors.
    pub seed: u64,
    /// L2 penalty λ.
    pub reg: f64,
    /// How λ grows with a row's ratings.
    pub reg_scaling: RegScaling,
    /// λ of the biases, where it is another: above 0, as λ is.
    pub reg_bias: Option<f64>,
    /// Elements of the widest row that the optimiser keeps for a row of factors of a width.
    pub row_elements: fn(usize) -> usize,
    /// Loop iterations of one invocation for a cell of its row, for factors of a width.
    pub cell_loops: fn(usize) -> u64,
    /// Work of a cell in one dispatch, for factors of a width.
    pub cell_work: fn(usize) -> u64,
    /// Which kernels train.
    pub kernels: Kernels,
    /// Whether the optimiser has fused kernels.
    pub fuses: bool,
    /// Whether it gathers variances beside factors.
    pub spreads: bool,
    /// Bytes of the ratings that are on the device at a time, where fused kernels train, with as many
    /// for those that come next; a row that has more gets them. `None`: all are there.
    pub page_bytes: Option<u64>,
    /// Whether fused kernels gather f16.
    pub half: bool,
    /// Clip predictions of the held parts.
    pub clip: bool,
    /// Where there are more users than those of `train`: what all processes know.
    pub share: Option<&'a Share>,
    /// The training ratings, without duplicates.
    pub train: &'a Ratings,
    /// Validation part.
    pub valid: Option<&'a Held>,
    /// Test part.
    pub test: Option<&'a Held>,
}

impl Setup<'_> {
    /// Columns of a factor matrix.
    pub(super) fn width(&self) -> usize {
        self.rank + if self.kind.has_bias() { 2 } else { 0 }
    }

    /// Where partial sums of users' and of items' rows lie.
    pub(super) fn places(&self, sides: [&SideBuffers; 2]) -> [Places; 2] {
        let [users, items] = sides.map(SideBuffers::places);
        [self.share.map_or(users, Places::of_users), items]
    }

    /// Training ratings of the user or item that has most, on any process.
    pub(super) fn longest(&self, known: &Known) -> u64 {
        let here = known.user_counts.iter().chain(&known.item_counts).max().copied().unwrap_or(0);
        self.share.map_or(here, |share| share.longest_user.max(here))
    }

    /// Rows of a side that have a training rating; `counts`: those of each row that is here.
    pub(super) fn rated(&self, role: Side, counts: &[u64]) -> u64 {
        match self.share {
            Some(share) if role == Side::Users => share.rated_users,
            _ => counts.iter().filter(|&&n| n > 0).count() as u64,
        }
    }

    /// κ, what the constant columns hold. With `b = κ·b'`, the penalty λ‖b'‖² of a
    /// column is (λ/κ²)·b²: so the biases have a λ of their own without a second
    /// penalty in any kernel. 1 where they have the same.
    pub(super) fn bias_unit(&self) -> f64 {
        self.reg_bias.map_or(1.0, |lambda| (self.reg / lambda).sqrt())
    }
}
