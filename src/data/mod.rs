//! Ratings: from files to ids, triples, splits and sparse layouts.

mod columns;
mod core;
mod duplicates;
mod folds;
pub mod formats;
mod held;
mod ids;
mod input;
mod names;
#[cfg(feature = "parquet")]
pub(crate) mod panics;
pub mod planted;
mod range;
mod ratings;
mod read;
mod side;
mod source;
mod sparse;
mod split;
pub(crate) mod text;
mod time;
mod unpack;

#[cfg(feature = "cli")]
pub(crate) use duplicates::{counting, rated_twice};

pub use columns::{Column, Columns};
pub use folds::FOLD_STREAM;
pub use formats::{ItemNames, read_item_ids, read_item_names, read_user_ids};
pub use held::{Held, Known};
pub use ids::{IdMap, Ids, MAX_IDS};
pub use input::Input;
pub use range::RatingRange;
pub use ratings::{Ratings, Stats};
pub use read::{
    Duplicates, Pair, Rated, ReadOptions, Separator, Triples, read_pairs, read_ratings, read_triples,
    stream_ratings,
};
pub use side::Side;
pub use sparse::{Compressed, gather};
pub use split::{HOLDOUT_STREAM, HoldoutBy};
