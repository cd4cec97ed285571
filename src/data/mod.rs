//! Ratings: from files to ids, triples, splits and sparse layouts.

pub mod formats;
mod held;
mod ids;
pub mod planted;
mod ratings;
mod read;
mod sparse;
mod split;

pub use held::Held;
pub use ids::{IdMap, Ids};
pub use ratings::{Ratings, Stats};
pub use read::{Column, Columns, Duplicates, ReadOptions, Separator, Triples, read_pairs, read_ratings, read_triples};
pub use sparse::Compressed;
