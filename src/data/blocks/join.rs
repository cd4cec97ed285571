//! Blocks that were parsed, into the ratings of all, in the file's order.

use super::super::collect::{Collector, Gather};
use super::super::ids::IdMap;
use super::input::Blocks;
use super::parse::Parsed;
use super::slot::{Columns, Numbers, Slot};
use crate::error::{Place, Result};

/// Joins the blocks of a file.
pub(super) struct Joiner<'g, 'c> {
    gather: &'g mut Gather<'c>,
    /// Lines of the file that were joined.
    lines: u64,
    /// Slots without a block.
    free: Vec<Slot>,
}

impl<'g, 'c> Joiner<'g, 'c> {
    /// Behind so many lines that were read otherwise.
    pub(super) fn new(gather: &'g mut Gather<'c>, lines: u64) -> Self {
        Self { gather, lines, free: Vec::new() }
    }

    /// Lines of the file that were joined.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// A slot for the next block.
    pub(super) fn slot(&mut self) -> Slot {
        self.free.pop().unwrap_or_default()
    }

    /// Joins the next block; `Some` with what stands from its first line on that is no good in itself.
    ///
    /// # Errors
    /// As [`Gather::push`].
    pub(super) fn join(&mut self, parsed: Parsed, blocks: &mut Blocks<'_>) -> Result<Option<Vec<u8>>> {
        let Parsed { block, mut slot, lines, stop } = parsed;
        let Slot { users, items, columns } = &mut slot;
        let Collector { users: all_users, items: all_items, user, item, value, time, places } =
            &mut *self.gather.collector;
        let known = joined(users, all_users).zip(joined(items, all_items));
        let Some(((), ())) = known else {
            return Err(self.full(&slot));
        };
        extend(user, &columns.user, &users.of_all);
        extend(item, &columns.item, &items.of_all);
        value.extend_from_slice(&columns.value);
        if let Some(time) = time {
            time.extend_from_slice(&columns.time);
        }
        let ends = columns.runs.iter().skip(1).map(|&(record, _)| record).chain([columns.value.len()]);
        for (&(first, before), end) in columns.runs.iter().zip(ends) {
            // Lines count from 1.
            places.extend(self.gather.file, Place::line(self.lines + before + 1), (end - first) as u64);
        }
        columns.clear();
        self.free.push(slot);
        self.lines += lines;
        let left = stop.map(|stop| block.text().get(stop..).unwrap_or_default().to_vec());
        blocks.give_back(block);
        Ok(left)
    }

    /// The error for the first record whose user or item is one too many.
    fn full(&self, slot: &Slot) -> crate::error::Error {
        let Slot { users, items, columns } = slot;
        let Columns { user, item, runs, .. } = columns;
        let new = |numbers: &Numbers, number: &u32| *number as usize >= numbers.of_all.len();
        let record = user.iter().zip(item).position(|(user, item)| new(users, user) || new(items, item));
        let record = record.unwrap_or(0);
        let run = runs.iter().rev().find(|(first, _)| *first <= record);
        let line = run.map_or(0, |(first, before)| before + (record - first) as u64);
        let side = if user.get(record).is_some_and(|user| new(users, user)) { "users" } else { "items" };
        self.gather.full(side, Place::line(self.lines + line + 1))
    }
}

/// Looks the ids that are new to a slot up among all, in the order in which they came; `None` if there
/// are too many.
fn joined(numbers: &mut Numbers, all: &mut IdMap) -> Option<()> {
    let known = numbers.of_all.len();
    for new in known..numbers.ids().len() {
        let number = all.get_or_insert(numbers.ids().get(new as u32))?;
        numbers.of_all.push(number);
    }
    Some(())
}

/// Appends a slot's numbers as those of all.
#[expect(clippy::indexing_slicing, reason = "`joined` has seen every id of the slot")]
fn extend(all: &mut Vec<u32>, numbers: &[u32], of_all: &[u32]) {
    all.extend(numbers.iter().map(|&number| of_all[number as usize]));
}
