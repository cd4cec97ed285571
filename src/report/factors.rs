//! What factors look like: how many of them matter, which items lie together, and which are near.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

use crate::error::Result;
use crate::model::{Neighbor, Neighborhood, Predictor};
use crate::problem::singular_values;

/// Items of the map.
pub(super) const MAPPED: usize = 100;
/// Items whose neighbours are shown.
const SHOWN: usize = 10;
/// Neighbours of each.
const NEIGHBORS: usize = 5;
/// Items among which those are chosen: the most popular.
const CHOSEN_FROM: usize = 200;
/// Ratings from which on the direction of an item's factors is more than chance.
const SURE: u64 = 10;
/// How alike those items may be that are shown, so that they are not all of one corner.
const ALIKE: f64 = 0.5;
/// Greatest rank whose singular values are computed: the time grows with its cube.
pub(super) const MOST_FACTORS: usize = 512;
/// A second axis with less of the variance than this is none.
const FLAT: f64 = 1e-9;

/// How much each singular direction of U·Vᵀ moves predictions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spectrum {
    /// `s·σ_f/√(mn)`, greatest first: root of the mean square over all known users and items, in
    /// rating units.
    pub(super) strengths: Vec<f64>,
    /// Directions that hold 99% of the variance.
    pub(super) for_most: usize,
    /// `exp(−Σ p ln p)` of the shares p of the variance: as many equal directions would be as varied.
    pub(super) effective: f64,
}

/// Items in the plane in which the directions of their factors differ most.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map {
    /// The most popular first.
    pub(super) places: Vec<Place>,
    /// Shares of the variance that the two axes show.
    pub(super) shown: [f64; 2],
}

/// An item on the map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) item: u32,
    pub(super) x: f64,
    pub(super) y: f64,
}

/// An item and the items next to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nearest {
    pub(super) item: u32,
    pub(super) neighbors: Vec<Neighbor>,
}

/// Items with training ratings, the most popular first; of equally popular ones the lower index.
pub(super) fn by_popularity(predictor: &Predictor<'_>) -> Vec<u32> {
    let items = 0..predictor.model().items.len() as u32;
    let mut items: Vec<u32> = items.filter(|&item| predictor.knows_item(item)).collect();
    items.sort_by_key(|&item| std::cmp::Reverse(predictor.item_ratings(item)));
    items
}

impl Spectrum {
    /// `None` if there are no factors to speak of, or too many.
    pub(super) fn new(predictor: &Predictor<'_>) -> Option<Self> {
        let model = predictor.model();
        let k = model.rank;
        if k > MOST_FACTORS {
            return None;
        }
        let known = |factors: &[f32], knows: &dyn Fn(u32) -> bool| -> Vec<f32> {
            let rows = (0..).zip(factors.chunks_exact(k)).filter(|&(row, _)| knows(row));
            rows.flat_map(|(_, row)| row).copied().collect()
        };
        let users = known(&model.user_factors, &|user| predictor.knows_user(user));
        let items = known(&model.item_factors, &|item| predictor.knows_item(item));
        let pairs = (users.len() / k) as f64 * (items.len() / k) as f64;
        let values = singular_values(&users, &items, k);
        let strengths: Vec<f64> = values.iter().map(|value| model.scale * value / pairs.sqrt()).collect();
        let greatest =
            strengths.first().copied().filter(|&greatest| greatest > 0.0 && greatest.is_finite())?;
        let squares: Vec<f64> = strengths.iter().map(|strength| (strength / greatest).powi(2)).collect();
        let total: f64 = squares.iter().sum();
        let shares = squares.iter().map(|square| square / total);
        let sums = shares.clone().scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        Some(Self {
            for_most: sums.take_while(|&sum| sum < 0.99).count() + 1,
            effective: (-shares.filter(|&share| share > 0.0).map(|share| share * share.ln()).sum::<f64>())
                .exp(),
            strengths,
        })
    }
}

impl Map {
    /// Principal components of the unit vectors of the most popular items' factors: popularity, which
    /// is in their lengths and biases, takes no part. `None` if there is no plane to show.
    pub(super) fn new(predictor: &Predictor<'_>, popular: &[u32]) -> Option<Self> {
        let k = predictor.model().rank;
        let rows: Vec<(u32, Vec<f64>)> = popular
            .iter()
            .take(MAPPED)
            .filter_map(|&item| Some((item, direction(predictor, item)?)))
            .collect();
        let n = rows.len();
        let mean: Vec<f64> =
            (0..k).map(|f| rows.iter().map(|(_, row)| row[f]).sum::<f64>() / n.max(1) as f64).collect();
        let centered = DMatrix::from_fn(n, k, |row, f| rows[row].1[f] - mean[f]);
        if n < 3 {
            return None;
        }
        // n × n, since k may be far larger: the coordinates are its eigenvectors times √eigenvalue.
        let eigen = SymmetricEigen::new(&centered * centered.transpose());
        let total: f64 = eigen.eigenvalues.iter().map(|value| value.max(0.0)).sum();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let [first, second] = [order[0], order[1]];
        let shown = [first, second].map(|axis| eigen.eigenvalues[axis].max(0.0) / total);
        if total <= 0.0 || shown[1].is_nan() || shown[1] < FLAT {
            return None;
        }
        // Either sign is an axis: the one in which the most popular item that is off it comes first.
        let axis = |axis: usize| -> Vec<f64> {
            let values = eigen.eigenvectors.column(axis) * eigen.eigenvalues[axis].max(0.0).sqrt();
            let sign = values.iter().find(|value| value.abs() > 1e-6).map_or(1.0, |value| value.signum());
            values.iter().map(|value| value * sign).collect()
        };
        let (xs, ys) = (axis(first), axis(second));
        let place = |((&(item, _), x), y): ((&(u32, Vec<f64>), f64), f64)| Place { item, x, y };
        Some(Self { places: rows.iter().zip(xs).zip(ys).map(place).collect(), shown })
    }
}

/// An item's factors, of length 1; `None` if they are 0.
fn direction(predictor: &Predictor<'_>, item: u32) -> Option<Vec<f64>> {
    let k = predictor.model().rank;
    let row = &predictor.model().item_factors[item as usize * k..][..k];
    let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    (length > 0.0).then(|| row.iter().map(|&x| f64::from(x) / length).collect())
}

/// Ratings that a neighbour must have: those of the item in the middle of the catalogue, or
/// [`SURE`] where that has fewer and there are items enough.
pub(super) fn least_ratings(predictor: &Predictor<'_>, popular: &[u32]) -> u64 {
    let of = |at: usize| popular.get(at).map_or(1, |&item| predictor.item_ratings(item));
    of(popular.len() / 2).max(of(CHOSEN_FROM).min(SURE))
}

/// Popular items of different kinds and what is next to each.
pub(super) fn nearest(predictor: &Predictor<'_>, popular: &[u32]) -> Result<Vec<Nearest>> {
    let mut chosen: Vec<(u32, Vec<f64>)> = Vec::new();
    let mut passed_over = Vec::new();
    for &item in popular.iter().take(CHOSEN_FROM) {
        let Some(own) = direction(predictor, item) else { continue };
        let cosine = |other: &[f64]| own.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        if chosen.iter().all(|(_, other)| cosine(other) < ALIKE) {
            chosen.push((item, own));
        } else {
            passed_over.push((item, own));
        }
        if chosen.len() == SHOWN {
            break;
        }
    }
    chosen.extend(passed_over.into_iter().take(SHOWN - chosen.len()));
    let wanted = Neighborhood {
        n: NEIGHBORS,
        min_ratings: least_ratings(predictor, popular),
        ..Neighborhood::default()
    };
    let one = |&(item, _): &(u32, Vec<f64>)| {
        Ok(Nearest { item, neighbors: predictor.similar_items(item, &wanted)? })
    };
    chosen.par_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
