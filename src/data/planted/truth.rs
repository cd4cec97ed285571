//! The model that ratings are planted from.

use rand_chacha::ChaCha8Rng;

use super::{Planted, sample};

const MEAN: f64 = 3.5;
const USER_BIAS: f64 = 0.35;
const ITEM_BIAS: f64 = 0.4;
const SIGNAL: f64 = 0.7;

/// One side's biases and factors, `[rows]` and `[rows, rank]`.
#[derive(Debug)]
struct Rows {
    rank: usize,
    bias: Vec<f32>,
    factors: Vec<f32>,
}

impl Rows {
    /// A row's bias and factors; nothing where there is no such row.
    fn row(&self, index: u32) -> (f64, &[f32]) {
        let begin = index as usize * self.rank;
        let factors = self.factors.get(begin..begin + self.rank).unwrap_or_default();
        (self.bias.get(index as usize).copied().map_or(0.0, f64::from), factors)
    }
}

/// `r = μ + b_u + c_i + p_u·q_i`, before noise and clipping.
#[derive(Debug)]
pub(super) struct Truth {
    mean: f64,
    users: Rows,
    items: Rows,
}

impl Truth {
    /// Draws the biases of users and items, then their factors.
    pub(super) fn draw(recipe: &Planted, rng: &mut ChaCha8Rng) -> Self {
        let Planted { users, items, rank, biases, .. } = *recipe;
        let biased = f64::from(u8::from(biases));
        let mut normals =
            |count: usize, sd: f64| -> Vec<f32> { (0..count).map(|_| (sample(rng) * sd) as f32).collect() };
        let user_bias = normals(users, USER_BIAS * biased);
        let item_bias = normals(items, ITEM_BIAS * biased);
        // sd(p·q) = √k·sd², over independent factors.
        let sd = (SIGNAL / (rank as f64).sqrt()).sqrt();
        let user_factors = normals(users * rank, sd);
        let item_factors = normals(items * rank, sd);
        Self {
            mean: MEAN * biased,
            users: Rows { rank, bias: user_bias, factors: user_factors },
            items: Rows { rank, bias: item_bias, factors: item_factors },
        }
    }

    /// The rating without noise.
    pub(super) fn mean(&self, user: u32, item: u32) -> f64 {
        let ((b, p), (c, q)) = (self.users.row(user), self.items.row(item));
        let product: f64 = p.iter().zip(q).map(|(p, q)| f64::from(*p) * f64::from(*q)).sum();
        self.mean + (b + c) + product
    }
}
