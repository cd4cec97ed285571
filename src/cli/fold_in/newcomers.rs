//! New users, or items, with their ratings: from files that are read whole, or one by one as they come.

use std::path::PathBuf;

use indicatif::HumanCount;

use super::super::input::{far_outside, outside_note};
use super::super::table::count;
use crate::data::{
    Duplicates, Input, Rated, Ratings, ReadOptions, Side, counting, rated_twice, stream_ratings,
};
use crate::error::{Error, Location, Place, Result};
use crate::model::{FoldedIn, Metadata, Predictor};

/// The index of what the model does not have.
const UNKNOWN: u32 = u32::MAX;

/// A new row.
pub(super) struct Newcomer {
    /// Its id.
    pub(super) id: Vec<u8>,
    /// Ratings by indices of the other side.
    pub(super) ratings: Vec<(u32, f32)>,
    /// Whether the model has a row with training ratings and this id.
    pub(super) known: bool,
}

/// What there is to say at the end.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ratings: u64,
    unknown: u64,
    /// Rows of which no rating took part.
    empty: u64,
    known: u64,
    /// Ratings of another scale, it seems.
    outside: u64,
    /// What the user should know of how they were read.
    read: Vec<String>,
}

impl Tally {
    pub(super) fn read(&mut self, notices: Vec<String>) {
        self.read = notices;
    }

    pub(super) fn count(&mut self, newcomer: &Newcomer, row: &FoldedIn, trained: &Metadata) {
        self.outside += far_outside(newcomer.ratings.iter().map(|(_, rating)| rating), trained);
        self.ratings += newcomer.ratings.len() as u64;
        self.unknown += row.unknown;
        self.empty += u64::from(row.rated.is_empty());
        self.known += u64::from(newcomer.known);
    }

    pub(super) fn notes(&self, side: Side, trained: &Metadata) -> Vec<String> {
        let (own, other) = words(side);
        let is = |number: u64| if number == 1 { "is" } else { "are" };
        let mut notes: Vec<String> = self.read.iter().map(|notice| format!("note: {notice}")).collect();
        if self.known > 0 {
            notes.push(format!(
                "note: {} {} in the model already: answered from these ratings alone",
                count(self.known, own),
                is(self.known)
            ));
        }
        notes.extend(outside_note(self.ratings, self.outside, trained));
        if self.unknown > 0 {
            let of = count(self.ratings, "rating");
            notes.push(format!(
                "note: of {of}, {} with an unknown {other}: passed over",
                HumanCount(self.unknown)
            ));
        }
        if self.empty > 0 {
            let rows = count(self.empty, own);
            notes.push(format!("note: {rows} without a known {other}: answered by the biases alone"));
        }
        notes
    }
}

/// What a row and a row of the other side are called.
fn words(side: Side) -> (&'static str, &'static str) {
    match side {
        Side::Users => ("user", "item"),
        Side::Items => ("item", "user"),
    }
}

fn is_known(predictor: &Predictor<'_>, side: Side, id: &[u8]) -> bool {
    match side {
        Side::Users => predictor.trained_user(id).is_some(),
        Side::Items => predictor.trained_item(id).is_some(),
    }
}

fn other(predictor: &Predictor<'_>, side: Side, id: &[u8]) -> u32 {
    let index = match side {
        Side::Users => predictor.item(id),
        Side::Items => predictor.user(id),
    };
    index.unwrap_or(UNKNOWN)
}

/// Hands out the rows of all ratings in the order of their first ratings, a block at a time.
pub(super) fn whole(
    predictor: &Predictor<'_>,
    side: Side,
    ratings: &Ratings,
    block: usize,
    mut each: impl FnMut(&[Newcomer]) -> Result<()>,
) -> Result<()> {
    let ((rows, order), ids, others) = match side {
        Side::Users => (ratings.by_user(), &ratings.users, &ratings.items),
        Side::Items => (ratings.by_item(), &ratings.items, &ratings.users),
    };
    // Each id is looked up once, not once for each of its ratings.
    let indices: Vec<u32> = others.iter().map(|id| other(predictor, side, id)).collect();
    #[expect(clippy::indexing_slicing, reason = "rows, order and indices are those of the ratings")]
    let newcomer = |row: usize| {
        let cells = rows.row(row).iter().zip(&order[rows.range(row)]);
        let id = ids.get(row as u32);
        Newcomer {
            id: id.to_vec(),
            ratings: cells.map(|(&at, &p)| (indices[at as usize], ratings.value[p as usize])).collect(),
            known: is_known(predictor, side, id),
        }
    };
    for first in (0..ids.len()).step_by(block) {
        let block: Vec<Newcomer> = (first..ids.len().min(first + block)).map(newcomer).collect();
        each(&block)?;
    }
    Ok(())
}

/// Hands out each row when its last rating was read: when another one's first comes, or the end.
pub(super) fn grouped(
    predictor: &Predictor<'_>,
    side: Side,
    inputs: Vec<Input>,
    options: &ReadOptions,
    mut each: impl FnMut(&Newcomer) -> Result<()>,
) -> Result<()> {
    let mut group: Option<Group> = None;
    stream_ratings(inputs, options, |Rated { pair, rating }| {
        let (own, with) = match side {
            Side::Users => (pair.user, pair.item),
            Side::Items => (pair.item, pair.user),
        };
        if let Some(done) = group.take_if(|group| group.id != own) {
            each(&done.newcomer(predictor, side, options.duplicates)?)?;
        }
        let group = group.get_or_insert_with(|| Group { id: own.to_vec(), ..Group::default() });
        if group.files.last().is_none_or(|file| file != pair.path) {
            group.files.push(pair.path.to_owned());
        }
        let file = group.files.len() - 1;
        group.cells.push(Cell { with: with.to_vec(), rating, file, place: pair.place });
        Ok(())
    })?;
    match group {
        Some(done) => each(&done.newcomer(predictor, side, options.duplicates)?),
        None => Ok(()),
    }
}

/// A row whose ratings are being read.
#[derive(Default)]
struct Group {
    id: Vec<u8>,
    cells: Vec<Cell>,
    files: Vec<PathBuf>,
}

struct Cell {
    with: Vec<u8>,
    rating: f32,
    file: usize,
    place: Place,
}

impl Group {
    fn newcomer(mut self, predictor: &Predictor<'_>, side: Side, duplicates: Duplicates) -> Result<Newcomer> {
        // Stable: equal ids stay in the order of the file.
        self.cells.sort_by(|a, b| a.with.cmp(&b.with));
        let mut ratings = Vec::with_capacity(self.cells.len());
        // The pair that is the first to come again.
        let mut twice: Option<[&Cell; 2]> = None;
        for cells in self.cells.chunk_by(|a, b| a.with == b.with) {
            let Some(Cell { with, .. }) = cells.first() else { continue };
            let Some((_, rating)) = counting(cells.iter().map(|cell| cell.rating), duplicates) else {
                if let [first, second, ..] = cells
                    && twice.is_none_or(|[_, before]| second.order() < before.order())
                {
                    twice = Some([first, second]);
                }
                continue;
            };
            ratings.push((other(predictor, side, with), rating));
        }
        if let Some(cells) = twice {
            return Err(self.twice(side, cells));
        }
        let known = is_known(predictor, side, &self.id);
        Ok(Newcomer { id: self.id, ratings, known })
    }

    fn twice(&self, side: Side, [first, second]: [&Cell; 2]) -> Error {
        let pair = match side {
            Side::Users => [&self.id[..], &second.with],
            Side::Items => [&second.with[..], &self.id],
        };
        let file = |cell: &Cell| self.files.get(cell.file).cloned().unwrap_or_default();
        let at = |cell: &Cell| (cell.file, Location::at(file(cell), cell.place));
        rated_twice(pair, at(first), at(second))
    }
}

impl Cell {
    /// What orders cells as they were read.
    fn order(&self) -> (usize, u64) {
        (self.file, self.place.number)
    }
}
