//! What there is to say before the first epoch.

use super::{Checkpoint, Dataset};
use crate::backend::Backend;
use crate::config::Checked;
use crate::data::Held;
use crate::data::text::one_line;
use crate::event::Loaded;

pub(super) fn loaded(data: &Dataset, backend: &dyn Backend) -> Loaded {
    let count = |held: &Option<Held>| held.as_ref().map_or(0, |held| held.value.len() as u64);
    Loaded {
        users: data.train.users.len() as u64,
        items: data.train.items.len() as u64,
        ratings: data.train.len() as u64,
        valid: count(&data.valid),
        test: count(&data.test),
        test_unknown: data.test.as_ref().map_or(0, |test| test.unknown(&data.train.known())),
        device: backend.describe().to_owned(),
    }
}

/// What to know of the checkpoint that a run goes on from.
pub(super) fn resumed(from: &Checkpoint, backend: &dyn Backend) -> Vec<String> {
    let mut notices = vec![format!("going on after {} in {}", from.reached(), from.path().display())];
    let (then, now) = (one_line(&from.document().device), backend.describe());
    if then != now {
        notices.push(format!(
            "the checkpoint was made on {then}: on another device the last bits of the result may differ"
        ));
    } else if from.document().buffer_bytes.is_some_and(|bytes| bytes != backend.max_buffer_bytes()) {
        notices.push(
            "the checkpoint was made with another --max-buffer-bytes: the last bits of the result may differ"
                .to_owned(),
        );
    }
    notices
}

/// What may surprise in these settings on these data.
pub(super) fn notices(config: &Checked, data: &Dataset) -> Vec<String> {
    let (users, items) = (data.train.users.len(), data.train.items.len());
    let rank = config.config.rank;
    let mut notices = Vec::new();
    if rank > users.min(items) {
        notices.push(format!(
            "rank {rank} exceeds the {users} {} or the {items} {}: {} would do",
            if users == 1 { "user" } else { "users" },
            if items == 1 { "item" } else { "items" },
            users.min(items)
        ));
    }
    let stats = data.train.stats();
    if stats.min == stats.max {
        notices.push(format!("all ratings are {}: the model can only predict that", stats.min));
    }
    notices
}
