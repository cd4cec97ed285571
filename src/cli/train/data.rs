//! What `train` trains on: all of it, or this process's part.

use std::cell::LazyCell;
use std::path::PathBuf;

use super::Train;
use crate::cli::input::{metered, not_read, read_held};
use crate::cli::table::count;
use crate::data::{Holdout, Known, Meter, Shared, SharedRequest, read_shared};
use crate::error::{Error, Result};
use crate::train::Dataset;
use crate::world::{Share, World};

/// What was read.
pub(super) struct Read {
    pub(super) data: Dataset,
    /// Where this is one of several processes.
    pub(super) share: Option<Share>,
    /// What the user should know of it.
    pub(super) notices: Vec<String>,
}

impl Train {
    /// Reads and splits.
    pub(super) fn read(&self, meter: &Meter, world: &dyn World) -> Result<Read> {
        if world.processes() > 1 {
            return self.read_part(meter, world);
        }
        let by = self.holdout_by.unwrap_or_default();
        let (ratings, mut notices) = self.reading.read(&self.files, self.times(), meter)?;
        let (train, valid) = match self.holdout {
            None => (ratings, None),
            Some(fraction) => {
                let (train, valid) = ratings.split_by(by, fraction, self.method.seed)?;
                let Known { user_counts, item_counts } = train.known();
                let without = |counts: &[u64]| counts.iter().filter(|&&count| count == 0).count() as u64;
                notices.extend(left_without(without(&user_counts), without(&item_counts)));
                (train, Some(valid))
            }
        };
        let options = self.reading.options();
        let known = LazyCell::new(|| train.known());
        let ids = [&train.users, &train.items];
        let mut read = |inputs: &[PathBuf]| {
            if inputs.is_empty() {
                return Ok(None);
            }
            let (held, notes) = read_held(inputs, &options, &self.reading.caching, ids, &known, meter)?;
            notices.extend(notes);
            Ok(Some(held))
        };
        let valid = match valid {
            Some(valid) => Some(valid),
            None => read(&self.valid)?,
        };
        let test = read(&self.test)?;
        notices.extend(not_read(&self.valid)?);
        notices.extend(not_read(&self.test)?);
        Ok(Read { data: Dataset { train, valid, test }, share: None, notices })
    }

    /// Reads this process's part.
    fn read_part(&self, meter: &Meter, world: &dyn World) -> Result<Read> {
        if self.reading.caching.is_asked() {
            return Err(Error::usage("--cache keeps what one process has read", "leave it out"));
        }
        let options = self.reading.options();
        let by = self.holdout_by.unwrap_or_default();
        let seed = self.method.seed;
        let request = SharedRequest {
            inputs: metered(&self.files, meter),
            options: &options,
            least: self.reading.least(),
            holdout: self.holdout.map(|fraction| Holdout { fraction, by, seed }),
            valid: metered(&self.valid, meter),
            test: metered(&self.test, meter),
        };
        let Shared { train, valid, test, share, left_out } = read_shared(world, request)?;
        let mut notices = not_read(&self.files)?;
        notices.extend(self.reading.left_out(left_out));
        if self.holdout.is_some() {
            let items = share.item_counts.iter().filter(|&&count| count == 0).count() as u64;
            notices.extend(left_without(share.users as u64 - share.rated_users, items));
        }
        notices.extend(not_read(&self.valid)?);
        notices.extend(not_read(&self.test)?);
        Ok(Read { data: Dataset { train, valid, test }, share: Some(share), notices })
    }
}

/// Users and items that the hold-out left without a training rating.
fn left_without(users: u64, items: u64) -> Option<String> {
    let parts: Vec<String> = [(users, "user"), (items, "item")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, one)| count(n, one))
        .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "the hold-out leaves {} without a training rating, to be predicted as unknown",
            parts.join(" and ")
        )
    })
}
