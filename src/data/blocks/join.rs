//! Blocks that were parsed, into the ratings of all, in the file's order.

use super::super::collect::{Collector, Gather};
use super::super::ids::{IdMap, Ids};
use super::input::Blocks;
use super::parse::Parsed;
use super::slot::Columns;
use crate::error::{Error, Place, Result};

/// Joins the blocks of a file.
pub(super) struct Joiner<'g, 'c> {
    gather: &'g mut Gather<'c>,
    /// Lines of the file that were joined.
    lines: u64,
    /// Of each slot: what its users and its items are among all.
    of_all: Vec<[Vec<u32>; 2]>,
    /// Columns that are free again.
    spare: Vec<Columns>,
}

impl<'g, 'c> Joiner<'g, 'c> {
    /// Behind so many lines that were read otherwise.
    pub(super) fn new(gather: &'g mut Gather<'c>, lines: u64) -> Self {
        Self { gather, lines, of_all: Vec::new(), spare: Vec::new() }
    }

    /// Lines of the file that were joined.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Room for the records of the next block.
    pub(super) fn columns(&mut self) -> Columns {
        self.spare.pop().unwrap_or_default()
    }

    /// Joins the next block; `Some` with what stands from its first line on that is no good in itself.
    ///
    /// # Errors
    /// As [`Gather::push`].
    pub(super) fn join(&mut self, parsed: Parsed, blocks: &mut Blocks<'_>) -> Result<Option<Vec<u8>>> {
        let Parsed { block, mut columns, slot, new, lines, stop } = parsed;
        if self.of_all.len() <= slot {
            self.of_all.resize_with(slot + 1, Default::default);
        }
        let Some([users_of_all, items_of_all]) = self.of_all.get_mut(slot) else { return Ok(None) };
        let Collector { users, items, user, item, value, time, places } = &mut *self.gather.collector;
        let known = joined(&new[0], users, users_of_all).zip(joined(&new[1], items, items_of_all));
        let Some(((), ())) = known else {
            return Err(self.full(&columns, slot));
        };
        extend(user, &columns.user, users_of_all);
        extend(item, &columns.item, items_of_all);
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
        self.spare.push(columns);
        self.lines += lines;
        let left = stop.map(|stop| block.text().get(stop..).unwrap_or_default().to_vec());
        blocks.give_back(block);
        Ok(left)
    }

    /// The error for the first record whose user or item is one too many.
    fn full(&self, columns: &Columns, slot: usize) -> Error {
        let known = |side: usize| self.of_all.get(slot).and_then(|sides| sides.get(side)).map_or(0, Vec::len);
        let new = |side: usize, number: &u32| *number as usize >= known(side);
        let mut both = columns.user.iter().zip(&columns.item);
        let record = both.position(|(user, item)| new(0, user) || new(1, item)).unwrap_or(0);
        let run = columns.runs.iter().rev().find(|(first, _)| *first <= record);
        let line = run.map_or(0, |(first, before)| before + (record - first) as u64);
        let side = if columns.user.get(record).is_some_and(|user| new(0, user)) { "users" } else { "items" };
        self.gather.full(side, Place::line(self.lines + line + 1))
    }
}

/// Looks the ids that are new to a slot up among all, in the order in which they came; `None` if there
/// are too many.
fn joined(new: &Ids, all: &mut IdMap, of_all: &mut Vec<u32>) -> Option<()> {
    new.iter().try_for_each(|id| all.get_or_insert(id).map(|number| of_all.push(number)))
}

/// Appends a slot's numbers as those of all.
#[expect(clippy::indexing_slicing, reason = "`joined` has seen every id of the slot")]
fn extend(all: &mut Vec<u32>, numbers: &[u32], of_all: &[u32]) {
    all.extend(numbers.iter().map(|&number| of_all[number as usize]));
}
