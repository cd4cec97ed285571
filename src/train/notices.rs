//! What there is to say before the first epoch.

use super::{Checkpoint, Dataset};
use crate::backend::Backend;
use crate::config::Checked;
use crate::data::text::one_line;
use crate::data::{Held, Stats};
use crate::error::Result;
use crate::event::Loaded;
use crate::world::Share;
use crate::world::together::gather;

pub(super) fn loaded(data: &Dataset, share: Option<&Share>, backend: &dyn Backend) -> Result<Loaded> {
    let count = |held: &Option<Held>| held.as_ref().map_or(0, |held| held.value.len() as u64);
    let mut known = data.train.known();
    if let Some(share) = share {
        known.item_counts.clone_from(&share.item_counts);
    }
    let unknown = data.test.as_ref().map_or(0, |test| test.unknown(&known));
    let test_unknown = gather(backend.world(), &[unknown])?.concat().into_iter().sum();
    let [users, ratings] = match share {
        Some(share) => [share.users as u64, share.stats.count],
        None => [data.train.users.len() as u64, data.train.len() as u64],
    };
    let [valid, test] = share.map_or_else(|| [count(&data.valid), count(&data.test)], |share| share.held);
    Ok(Loaded {
        users,
        items: data.train.items.len() as u64,
        ratings,
        valid,
        test,
        test_unknown,
        device: backend.describe().to_owned(),
    })
}

/// What to know of the devices of several processes.
pub(super) fn devices(backend: &dyn Backend) -> Result<Option<String>> {
    let all = gather(backend.world(), backend.describe().as_bytes())?;
    let other = all.iter().position(|device| Some(device) != all.first());
    let name = |at: usize| all.get(at).map_or("".into(), |device| String::from_utf8_lossy(device));
    Ok(other.map(|process| {
        format!(
            "process 0 trains on {}, process {process} on {}: the last bits of the result depend on which has              which users; where all have the same device they don't",
            name(0),
            name(process)
        )
    }))
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
pub(super) fn notices(config: &Checked, data: &Dataset, share: Option<&Share>, stats: &Stats) -> Vec<String> {
    let users = share.map_or(data.train.users.len(), |share| share.users);
    let items = data.train.items.len();
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
    if stats.min == stats.max {
        notices.push(format!("all ratings are {}: the model can only predict that", stats.min));
    }
    notices
}
