//! A block of text into records, on one thread.

use std::path::Path;

use memchr::memchr;

use super::super::columns::Layout;
use super::super::formats::{Records, Request, Rules, parse_rating, parse_timestamp, record};
use super::super::ids::Ids;
use super::super::range::RatingRange;
use super::super::source::Source;
use super::fields::{Fields, decimal, seconds};
use super::input::Block;
use super::slot::{Columns, Slot, Slots};

/// How the lines of a file are read.
pub(in super::super) struct Plan<'a> {
    pub(super) path: &'a Path,
    pub(super) rules: Rules,
    pub(super) layout: &'a Layout,
    pub(super) request: &'a Request<'a>,
    pub(super) range: Option<RatingRange>,
    fields: Option<Fields>,
}

impl<'a> Plan<'a> {
    /// Of a text whose first record is known.
    pub(in super::super) fn new(
        path: &'a Path,
        rules: Rules,
        layout: &'a Layout,
        request: &'a Request<'a>,
        range: Option<RatingRange>,
    ) -> Self {
        let fields = Fields::new(&rules, layout);
        Self { path, rules, layout, request, range, fields }
    }
}

/// A block that was parsed.
pub(super) struct Parsed {
    pub(super) block: Block,
    pub(super) columns: Columns,
    /// Whose numbers its ids have.
    pub(super) slot: usize,
    /// Users and items that were new to the slot, in the order in which they came.
    pub(super) new: [Ids; 2],
    /// Lines that were parsed.
    pub(super) lines: u64,
    /// Where the first line begins that is no good in itself.
    pub(super) stop: Option<usize>,
}

/// Parses a block, by its place among all, as far as its lines are good.
pub(super) fn parse(plan: &Plan<'_>, slots: &Slots, at: usize, block: Block, columns: Columns) -> Parsed {
    let slot = slots.take(at);
    let known = [slot.users.ids().len(), slot.items.ids().len()];
    let mut parser = Parser { plan, slot, columns, lines: 0, next: None };
    let text = block.text();
    let mut records = Records::resume(Source::empty(plan.path), plan.rules, 0);
    let (mut at, mut stop) = (0, None);
    while at < text.len() {
        match parser.plain(text, at).or_else(|| parser.any(&mut records, text, at)) {
            Some(next) => {
                at = next;
                parser.lines += 1;
            }
            None => {
                stop = Some(at);
                break;
            }
        }
    }
    let Parser { slot, columns, lines, .. } = parser;
    let new = [slot.users.ids().tail(known[0]), slot.items.ids().tail(known[1])];
    let number = slot.number;
    slots.free(slot);
    Parsed { block, columns, slot: number, new, lines, stop }
}

struct Parser<'p> {
    plan: &'p Plan<'p>,
    slot: Slot,
    columns: Columns,
    /// Lines of the block that were parsed.
    lines: u64,
    /// The line behind that of the last record.
    next: Option<u64>,
}

impl Parser<'_> {
    /// Parses the line at `at` if it is a plain one. Returns where the next begins.
    fn plain(&mut self, text: &[u8], at: usize) -> Option<usize> {
        let line = self.plan.fields.as_ref()?.line(text, at)?;
        let [user, item, rating, time] = line.cells;
        if user.is_empty() || item.is_empty() {
            return None;
        }
        let rating = text.get(rating)?;
        let rating = match decimal(rating) {
            Some(number) => number as f32,
            None => parse_rating(rating).ok()?,
        };
        let time = match self.plan.request.time.then(|| text.get(time)) {
            Some(time) => Some(seconds(time?).map_or_else(|| parse_timestamp(time?).ok(), Some)?),
            None => None,
        };
        let (user_length, item_length) = (user.len(), item.len());
        let (user, item) = (text.get(user.start..)?, text.get(item.start..)?);
        self.push((user, user_length), (item, item_length), rating, time)?;
        Some(line.next)
    }

    /// Parses any line that is one record or blank, as line by line.
    fn any(&mut self, records: &mut Records<'_>, text: &[u8], at: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        let length = memchr(self.plan.rules.line_end, rest).map_or(rest.len(), |end| end + 1);
        if records.take(rest.get(..length)?).ok()? {
            let record = record(records, self.plan.layout, self.plan.request).ok()?;
            let (user, item) = (record.user, record.item);
            self.push((user, user.len()), (item, item.len()), record.rating?, record.time)?;
        }
        Some(at + length)
    }

    /// Takes a record; the ids are the first bytes of what they come with. `None` if it can't be taken.
    fn push(
        &mut self,
        (user, user_length): (&[u8], usize),
        (item, item_length): (&[u8], usize),
        rating: f32,
        time: Option<i64>,
    ) -> Option<()> {
        if self.plan.range.is_some_and(|range| !range.contains(rating)) {
            return None;
        }
        let Self { slot, columns, .. } = self;
        let (user, item) = (slot.users.number(user, user_length)?, slot.items.number(item, item_length)?);
        if self.next != Some(self.lines) {
            columns.runs.push((columns.value.len(), self.lines));
        }
        self.next = Some(self.lines + 1);
        columns.user.push(user);
        columns.item.push(item);
        columns.value.push(rating);
        columns.time.extend(time);
        Some(())
    }
}
