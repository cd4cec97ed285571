//! Ratings: from files to ids, triples, splits and sparse layouts.

// Whatever is read is refused with an `Error`: nothing here may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod blocks;
mod cache;
mod cells;
mod collect;
mod columns;
mod duplicates;
mod folds;
pub mod formats;
mod held;
mod id_list;
mod ids;
mod input;
mod item_names;
mod k_core;
mod memory;
mod meter;
mod names;
pub mod planted;
mod range;
mod ratings;
mod read;
mod shared;
mod side;
mod source;
mod sparse;
mod split;
pub(crate) mod text;
mod time;
mod unpack;

#[cfg(feature = "cli")]
pub(crate) use duplicates::{counting, rated_twice};
#[cfg(feature = "cli")]
pub(crate) use {held::none_known, input::named, k_core::none_left};

pub use cache::Cache;
pub(crate) use cells::{Cells, Layout, by_block};
pub use columns::{Column, Columns};
pub use folds::FOLD_STREAM;
pub use held::{Held, Known};
pub use id_list::{read_item_ids, read_user_ids};
pub use ids::{IdMap, Ids, MAX_IDS};
pub use input::Input;
pub use item_names::{ItemNames, read_item_names};
pub use meter::Meter;
pub use range::RatingRange;
pub use ratings::{Ratings, Stats};
pub use read::{
    Duplicates, Pair, Rated, ReadOptions, Separator, Triples, read_pairs, read_ratings, read_triples,
    stream_ratings,
};
pub use shared::{Holdout, Shared, SharedRequest, read_shared};
pub use side::Side;
pub(crate) use sparse::offsets;
pub use sparse::{Compressed, gather};
pub use split::{HOLDOUT_STREAM, HoldoutBy};
