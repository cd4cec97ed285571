//! Reading by many processes, none of which ever holds all ratings.
//!
//! ```text
//! files ─► plan: bytes of each process ─► part: parsed as alone ─► numbers: ids of all
//!       ─► twice: pairs that occur again ─► set_aside: the hold-out ─► sums: stats, hashes, counts
//!       ─► bounds: user blocks of each process ─► flow: ratings to whose users they are
//! ```
//!
//! Until the last step a process has what it has read, which stands in the files behind what the
//! processes before it have: so whatever depends on the order of the files goes from process to process.

mod core;
mod flow;
mod numbers;
mod part;
mod plan;
mod set_aside;
mod sums;
mod told;
mod twice;

use std::path::Path;

use super::held::{Held, Known, none_known};
use super::ids::{IdMap, Ids, MAX_IDS};
use super::input::{Input, named};
use super::k_core::none_left;
use super::ratings::Ratings;
use super::read::{ReadOptions, Triples, files};
use super::sparse::count;
use super::split::HoldoutBy;
use crate::error::{Error, Result};
use crate::world::together::gather;
use crate::world::{Share, World, blocks, share};

pub use set_aside::Holdout;

use self::flow::{each, route, sum};
use self::numbers::number;
use self::part::Part;
use self::told::agree;

/// What to read.
#[derive(Debug, Clone)]
pub struct SharedRequest<'a> {
    /// Ratings to train on: files, folders, or standard input of process 0.
    pub inputs: Vec<Input>,
    /// How they are read; timestamps are where the hold-out needs them.
    pub options: &'a ReadOptions,
    /// Ratings that a user and an item must have at least, see [`Ratings::k_core`].
    pub least: Option<[u64; 2]>,
    /// What of them is set aside to validate with.
    pub holdout: Option<Holdout>,
    /// Ratings to validate with, if any, and nothing is set aside.
    pub valid: Vec<Input>,
    /// Ratings to test with, if any.
    pub test: Vec<Input>,
}

/// What a process has of a data set: the ratings of its own users, which are numbered from 0. Items
/// are numbered as on all processes.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The training ratings, in the order of the files, without times; and its users' ids.
    pub train: Ratings,
    /// Those to validate with, in the order of the files. Those of users that nobody knows are the last
    /// process's.
    pub valid: Option<Held>,
    /// The same to test with.
    pub test: Option<Held>,
    /// What there is to know of all ratings.
    pub share: Share,
    /// Users, items and ratings that have too few, and are left out: in all.
    pub left_out: [u64; 3],
}

/// No index: an id that is unknown.
const NONE: u32 = u32::MAX;

/// Reads ratings to train on, as [`read_ratings`](super::read_ratings), sets some aside, and reads those
/// to measure with: each process a part of the bytes, and then has the ratings of its own users.
///
/// All processes, together, have what one alone has: the same numbers of ids, the same hold-out, the same
/// order. All call it with the same request.
///
/// # Errors
/// As [`read_ratings`](super::read_ratings), [`Ratings::split_by`] and
/// [`read_triples`](super::read_triples) alone: the first of all, in the same words on every process.
/// [`Error::Data`] also where no rating of a test file has a user and an item that are trained on, and
/// where files are not the same on every host. [`Error::Usage`] if there are more processes than user
/// blocks. [`Error::Internal`] if another process can't be reached.
pub fn read_shared(world: &dyn World, request: SharedRequest<'_>) -> Result<Shared> {
    let SharedRequest { inputs, options, least, holdout, valid, test } = request;
    let time = holdout.is_some_and(|holdout| holdout.by == HoldoutBy::Time);
    let options = ReadOptions { time, ..options.clone() };
    let mut part = part::read(world, agree(world, files(&inputs))?, &options)?;
    let (mut users, mut items) = (IdMap::new(), IdMap::new());
    renumber(world, &mut part, [&mut users, &mut items])?;
    twice::distinct(world, &mut part, [users.ids(), items.ids()], options.duplicates)?;
    let mut left_out = [0; 3];
    if let Some(least @ [user, item]) = least {
        left_out = core::k_core(world, &mut part, [&mut users, &mut items], least)?;
        if users.is_empty() {
            return Err(none_left(&named(&paths(&inputs)), user, item));
        }
    }

    let mut held = None;
    if let Some(holdout) = holdout {
        let aside = set_aside::set_aside(world, &part, users.len(), holdout)?;
        held = Some(part.split(&aside));
    }
    let Triples { user, item, value, .. } = part.into_triples();
    let known = Known {
        user_counts: sum(world, count(users.len(), &user))?,
        item_counts: sum(world, count(items.len(), &item))?,
    };
    let stats = sums::stats(world, &value)?;
    let block = blocks(users.len(), stats.count);
    share::check(users.len(), block, world.processes())?;
    let bounds = share::bounds(&known.user_counts, block, world.processes());
    let hash = sums::hash(world, [users.ids(), items.ids()], [&user, &item], &value)?;

    let options = ReadOptions { time: false, ..options };
    let read = |inputs: &[Input]| {
        (!inputs.is_empty()).then(|| read_held(world, inputs, &options, [&users, &items], &known)).transpose()
    };
    let valid = match held {
        Some(held) => Some(held),
        None => read(&valid)?,
    };
    let test = read(&test)?;
    let (valid, valid_hash) = deal(world, valid, &bounds)?;
    let (test, test_hash) = deal(world, test, &bounds)?;
    let process = world.process();
    let (first, end) = (bounds.get(process).copied(), bounds.get(process + 1).copied());
    let own = first.unwrap_or(0)..end.unwrap_or(0);
    let arrived = route(world, value.len(), |at| of_train(&bounds, [&user, &item], &value, at))?;
    drop((user, item, value));
    let records = arrived.records;
    let column = |column: usize| records.iter().map(move |record| record.get(column).copied().unwrap_or(0));
    let train = Ratings {
        users: users.ids().part(own),
        user: column(0).collect(),
        item: column(1).collect(),
        value: column(2).map(f32::from_bits).collect(),
        items: items.into_ids(),
        time: None,
    };
    let length = |held: &Option<Held>| held.as_ref().map_or(0, Held::len) as u64;
    let held = each(world, [length(&valid), length(&test)])?;
    let share = Share {
        users: users.len(),
        bounds,
        process,
        block,
        rated_users: known.user_counts.iter().filter(|&&count| count > 0).count() as u64,
        longest_user: known.user_counts.iter().copied().max().unwrap_or(0),
        item_counts: known.item_counts,
        stats,
        held: held.iter().fold([0, 0], |sum, held| [sum[0] + held[0], sum[1] + held[1]]),
        hashes: [hash, valid_hash, test_hash],
        ids: (process == 0).then(|| users.into_ids()),
    };
    Ok(Shared { train, valid, test, share, left_out })
}

/// Numbers a part's ids as all processes do. `all`: users and items.
fn renumber(world: &dyn World, part: &mut Part, all: [&mut IdMap; 2]) -> Result<()> {
    let Triples { users, items, user, item, .. } = &mut part.triples;
    for ((ids, indices), (all, side)) in
        [(users, user), (items, item)].into_iter().zip(all.into_iter().zip(["users", "items"]))
    {
        let numbers = number(world, &std::mem::take(ids), all)?.ok_or_else(|| {
            Error::usage(format!("the files have more than {MAX_IDS} {side}"), "train on files with fewer")
        })?;
        renumbered(indices, &numbers);
    }
    Ok(())
}

#[expect(clippy::indexing_slicing, reason = "every id has a number")]
fn renumbered(indices: &mut [u32], numbers: &[u32]) {
    indices.iter_mut().for_each(|index| *index = numbers[*index as usize]);
}

/// Reads ratings to measure with, by the ids that are trained on.
fn read_held(
    world: &dyn World,
    inputs: &[Input],
    options: &ReadOptions,
    [users, items]: [&IdMap; 2],
    known: &Known,
) -> Result<Held> {
    let triples = part::read(world, agree(world, files(inputs))?, options)?.into_triples();
    let held = Held::from_triples(&triples, users, items);
    let any = |found: bool| u64::from(found);
    let found = each(
        world,
        [
            held.len() as u64 - held.unknown(known),
            any(held.user.iter().any(|&user| known.user(user).is_some())),
            any(held.item.iter().any(|&item| known.item(item).is_some())),
        ],
    )?;
    if found.iter().all(|[both, ..]| *both == 0) {
        let first = |ids: &Ids| ids.iter().next().unwrap_or_default().to_vec();
        let firsts = [first(&triples.users), first(&triples.items)];
        let users = gather(world, &firsts[0])?.into_iter().find(|id| !id.is_empty());
        let items = gather(world, &firsts[1])?.into_iter().find(|id| !id.is_empty());
        let any_user = found.iter().any(|[_, user, _]| *user > 0);
        let any_item = found.iter().any(|[_, _, item]| *item > 0);
        let first = users.as_deref().zip(items.as_deref());
        return Err(none_known(&named(&paths(inputs)), [any_user, any_item], first));
    }
    Ok(held)
}

fn paths(inputs: &[Input]) -> Vec<&Path> {
    inputs.iter().map(Input::path).collect()
}

/// Gives held ratings to whose users they are. Returns those of this process, and the hash of all.
fn deal(world: &dyn World, held: Option<Held>, bounds: &[usize]) -> Result<(Option<Held>, String)> {
    let Some(held) = held else { return Ok((None, "none".to_owned())) };
    let hash = sums::hash_held(world, &held)?;
    let last = world.processes() - 1;
    let arrived = route(world, held.len(), |at| {
        let of = |side: &[Option<u32>]| side.get(at).copied().flatten();
        let owner = of(&held.user).map_or(last, |user| share::owner(bounds, user));
        let first = bounds.get(owner).map_or(0, |&first| first as u32);
        let user = of(&held.user).map_or(NONE, |user| user - first);
        let value = held.value.get(at).map_or(0, |value| value.to_bits());
        (owner, [user, of(&held.item).unwrap_or(NONE), value])
    })?;
    drop(held);
    let known = |index: u32| (index != NONE).then_some(index);
    let records = arrived.records;
    let mine = Held {
        user: records.iter().map(|&[user, ..]| known(user)).collect(),
        item: records.iter().map(|&[_, item, _]| known(item)).collect(),
        value: records.iter().map(|&[.., value]| f32::from_bits(value)).collect(),
    };
    Ok((Some(mine), hash))
}

/// Whose a training rating is, and how they have it.
#[expect(clippy::indexing_slicing, reason = "whoever asks counts the ratings; an owner has a bound")]
fn of_train(bounds: &[usize], [user, item]: [&[u32]; 2], value: &[f32], at: usize) -> (usize, [u32; 3]) {
    let owner = share::owner(bounds, user[at]);
    (owner, [user[at] - bounds[owner] as u32, item[at], value[at].to_bits()])
}

#[cfg(test)]
mod tests;
