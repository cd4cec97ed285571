//! What `deltav train` reads: all of it, or the part of one process among many.

use std::cell::LazyCell;
use std::path::PathBuf;

use super::super::input::{left_out, metered, not_read, read_held};
use super::super::table::count;
use super::Train;
use crate::data::{Holdout, Meter, Shared, SharedRequest, read_shared};
use crate::error::Result;
use crate::train::Dataset;
use crate::world::{Share, World};

impl Train {
    /// Reads and splits: what this process has of it, what all have where there are others, and what the
    /// user should know.
    ///
    /// # Errors
    /// As the files are read and split, the same on every process.
    pub(super) fn data(
        &self,
        meter: &Meter,
        world: &dyn World,
    ) -> Result<(Dataset, Option<Share>, Vec<String>)> {
        if world.processes() == 1 {
            return self.all(meter).map(|(data, notices)| (data, None, notices));
        }
        self.reading.caching.refuse_among_many()?;
        let options = self.reading.options();
        let by = self.holdout_by.unwrap_or_default();
        let request = SharedRequest {
            inputs: metered(&self.files, meter),
            options: &options,
            least: self.reading.least(),
            holdout: self.holdout.map(|fraction| Holdout { fraction, by, seed: self.method.seed }),
            valid: metered(&self.valid, meter),
            test: metered(&self.test, meter),
        };
        let Shared { train, valid, test, share, left_out: out } = read_shared(world, request)?;
        let mut notices = not_read(&self.files)?;
        notices.extend(self.reading.leaves_out().then(|| left_out(out)));
        if self.holdout.is_some() {
            let items = share.item_counts.iter().filter(|&&count| count == 0).count() as u64;
            notices.extend(left_without(share.users as u64 - share.rated_users, items));
        }
        notices.extend(not_read(&self.valid)?);
        notices.extend(not_read(&self.test)?);
        Ok((Dataset { train, valid, test }, Some(share), notices))
    }

    /// The same by one process.
    fn all(&self, meter: &Meter) -> Result<(Dataset, Vec<String>)> {
        let by = self.holdout_by.unwrap_or_default();
        let (ratings, mut notices) = self.reading.read(&self.files, self.times(), meter)?;
        let (train, valid) = match self.holdout {
            None => (ratings, None),
            Some(fraction) => {
                let (train, valid) = ratings.split_by(by, fraction, self.method.seed)?;
                let without =
                    |counts: Vec<u64>| counts.into_iter().filter(|&count| count == 0).count() as u64;
                notices.extend(left_without(without(train.user_counts()), without(train.item_counts())));
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
        Ok((Dataset { train, valid, test }, notices))
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
