//! How large a model's file will be, before there is a model.

use super::super::Model;
use crate::config::{Checked, ModelKind, Reg};
use crate::data::{Ids, Ratings};

/// Names, shapes and offsets of the tensors, and the settings: more than any model has of them.
const HEADER_BYTES: u64 = 10_000;
/// One epoch of the curve at most: its number and three f64 of at most 24 characters.
const EPOCH_BYTES: u64 = 90;
/// The curve has at most about so many points, however many epochs there are.
const MAX_CURVE: u64 = 4_100;

impl Model {
    /// The size in bytes of the file of a model trained like this, or a little more: the tensors
    /// exactly, and room for what stands before them.
    ///
    /// `item_names`: those that [`Model::item_names`] will have.
    pub fn estimate_bytes(config: &Checked, train: &Ratings, item_names: Option<&Ids>) -> u64 {
        let [m, n] = [&train.users, &train.items].map(|ids| ids.len() as u64);
        let texts = |ids: &Ids| {
            let (bytes, offsets) = ids.parts();
            bytes.len() as u64 + 8 * offsets.len() as u64
        };
        let average = u64::from(config.config.average);
        let k = average * config.config.rank as u64;
        let rows = m + n;
        // Factors, biases, and the baseline's biases.
        let mut floats = rows * k + 2 * rows;
        let mut doubles = 2;
        // An average has no posterior.
        if config.reg == Reg::Auto && average == 1 {
            floats += rows * k + rows + m;
            doubles += 2 * k;
            if config.model == ModelKind::Svdpp {
                floats += rows * k;
            }
        }
        let seen = 8 * (m + 1) + 4 * train.len() as u64;
        let ids = texts(&train.users) + texts(&train.items) + item_names.map_or(0, texts);
        let curve = EPOCH_BYTES * u64::from(config.epochs).min(MAX_CURVE);
        4 * floats + 8 * doubles + seen + ids + curve + HEADER_BYTES
    }
}
