//! The objective of a row and its minimum, from the definition, in dense f64.

#![expect(clippy::needless_range_loop, reason = "formulas read as formulas")]

use crate::model::{Model, Side};

/// The other side of a row: factors, variances, bias, and the bias's variance.
pub(super) struct Cell {
    pub(super) x: Vec<f64>,
    pub(super) variances: Vec<f64>,
    pub(super) y: f64,
    pub(super) bias_variance: f64,
}

/// The objective of a row, from the definition.
pub(super) struct Definition {
    pub(super) cells: Vec<Cell>,
    pub(super) precision: Vec<f64>,
    pub(super) mean: Vec<f64>,
    pub(super) bias: bool,
}

impl Definition {
    pub(super) fn of(model: &Model, side: Side, ratings: &[(u32, f32)]) -> Self {
        let k = model.rank;
        let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| f64::from(x)).collect() };
        let (factors, biases) = match side {
            Side::Users => (&model.item_factors, &model.item_bias),
            Side::Items => (&model.user_factors, &model.user_bias),
        };
        let predictor = model.predictor();
        let known: Vec<(usize, f64)> = ratings
            .iter()
            .filter(|(index, _)| match side {
                Side::Users => predictor.knows_item(*index),
                Side::Items => predictor.knows_user(*index),
            })
            .map(|&(index, rating)| (index as usize, f64::from(rating)))
            .collect();
        let n = known.len() as f64;
        let cells = known.iter().map(|&(index, rating)| Cell {
            x: wide(&factors[index * k..][..k]),
            variances: match (&model.posterior, side) {
                (Some(p), Side::Users) => wide(&p.item_variances[index * k..][..k]),
                (Some(p), Side::Items) => wide(&p.user_variances[index * k..][..k]),
                (None, _) => vec![0.0; k],
            },
            y: (rating - model.mean) / model.scale - f64::from(biases[index]),
            bias_variance: match (&model.posterior, side) {
                (Some(p), Side::Users) => p.item_bias_variances[index].into(),
                (Some(p), Side::Items) => p.user_bias_variances[index].into(),
                (None, _) => 0.0,
            },
        });
        let mut mean = vec![0.0; k + 1];
        let mut precision = match &model.posterior {
            Some(p) => {
                let (prior, bias) = match side {
                    Side::Users => (&p.user_prior, p.user_bias_prior),
                    Side::Items => (&p.item_prior, p.item_bias_prior),
                };
                if let Some(mask) = &p.mask {
                    let y = match side {
                        Side::Users => &mask.user_mask_factors,
                        Side::Items => &mask.item_mask_factors,
                    };
                    for f in 0..k {
                        let sum: f64 = known.iter().map(|&(index, _)| f64::from(y[index * k + f])).sum();
                        mean[f] = if n > 0.0 { sum / n.sqrt() } else { 0.0 };
                    }
                }
                prior.iter().chain([&bias]).map(|p| model.posterior.as_ref().unwrap().noise / p).collect()
            }
            None => {
                let setting = |key: &str| model.metadata.settings.get(key).map(String::as_str);
                let power = match setting("reg_scaling").unwrap() {
                    "sqrt" => n.sqrt(),
                    "count" => n,
                    _ => 1.0,
                };
                let lambda: f64 = setting("reg").unwrap().parse().unwrap();
                let own = setting("reg_bias").map_or(lambda, |text| text.parse().unwrap());
                let mut precision = vec![lambda * power; k];
                precision.push(own * power);
                precision
            }
        };
        let bias = model.kind.has_bias();
        if !bias {
            precision[k] = 0.0;
        }
        Self { cells: cells.collect(), precision, mean, bias }
    }

    /// Half of E(e²), and of what the prior costs.
    pub(super) fn objective(&self, w: &[f64]) -> f64 {
        let k = w.len() - 1;
        let cells: f64 = self
            .cells
            .iter()
            .map(|cell| {
                let product: f64 = (0..k).map(|f| cell.x[f] * w[f]).sum();
                let unsure: f64 = (0..k).map(|f| cell.variances[f] * w[f] * w[f]).sum();
                (cell.y - product - w[k]).powi(2) + unsure
            })
            .sum();
        let prior: f64 = (0..=k).map(|f| self.precision[f] * (w[f] - self.mean[f]).powi(2)).sum();
        0.5 * (cells + prior)
    }

    /// The second derivatives, and the right-hand side.
    pub(super) fn equations(&self) -> (Vec<Vec<f64>>, Vec<f64>) {
        let d = self.mean.len() - usize::from(!self.bias);
        let x = |cell: &Cell, f: usize| cell.x.get(f).copied().unwrap_or(1.0);
        let mut h = vec![vec![0.0; d]; d];
        let mut right = vec![0.0; d];
        for i in 0..d {
            for cell in &self.cells {
                for j in 0..d {
                    h[i][j] += x(cell, i) * x(cell, j);
                }
                h[i][i] += cell.variances.get(i).copied().unwrap_or(0.0);
                right[i] += cell.y * x(cell, i);
            }
            h[i][i] += self.precision[i];
            right[i] += self.precision[i] * self.mean[i];
        }
        (h, right)
    }

    /// By Gaussian elimination with pivots.
    pub(super) fn minimum(&self) -> Vec<f64> {
        let (mut h, mut right) = self.equations();
        let d = right.len();
        for i in 0..d {
            let pivot = (i..d).max_by(|&a, &b| h[a][i].abs().total_cmp(&h[b][i].abs())).unwrap();
            h.swap(i, pivot);
            right.swap(i, pivot);
            for row in i + 1..d {
                let factor = h[row][i] / h[i][i];
                for column in i..d {
                    h[row][column] -= factor * h[i][column];
                }
                right[row] -= factor * right[i];
            }
        }
        for i in (0..d).rev() {
            let known: f64 = (i + 1..d).map(|j| h[i][j] * right[j]).sum();
            right[i] = (right[i] - known) / h[i][i];
        }
        right.resize(self.mean.len(), 0.0);
        right
    }
}
