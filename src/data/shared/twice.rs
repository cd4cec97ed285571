//! Pairs that occur more than once, wherever they were read.
//!
//! For this, every user has a process that sees all pairs of the user, in the order of the files, and
//! tells who read them what becomes of them.

use super::super::duplicates::{counting, rated_twice};
use super::super::ids::Ids;
use super::super::read::Duplicates;
use super::super::sparse::Compressed;
use super::flow::{Arrived, each, lost, route};
use super::part::Part;
use crate::error::{Error, Place, Result, Unit};
use crate::world::World;
use crate::world::together::gather;

/// A rating of a pair that occurs again: by its place among those that its reader sent to who asks.
#[derive(Debug, Clone, Copy)]
struct Sent {
    reader: usize,
    index: usize,
}

/// Makes every pair occur once, as `rule` says, with numbers of `part` that are those of all.
///
/// # Errors
/// [`Error::Data`], as [`read_ratings`](super::super::read_ratings) alone, on every process.
pub(super) fn distinct(
    world: &dyn World,
    part: &mut Part,
    [users, items]: [&Ids; 2],
    rule: Duplicates,
) -> Result<()> {
    let processes = world.processes();
    let owner = |user: u32| user as usize % processes;
    let arrived = route(world, part.triples.user.len(), |at| {
        let rating @ [user, ..] = part.rating(at);
        (owner(user), rating)
    })?;
    let repeats = repeats(&arrived, [users.len(), items.len()], processes);
    if each(world, u64::from(!repeats.is_empty()))?.iter().all(|found| *found == 0) {
        return Ok(());
    }
    if rule == Duplicates::Error {
        return Err(first_repeat(world, part, [users, items], &arrived, &repeats)?);
    }
    // To whom, and: which of those that it sent, whether it stays, with which rating.
    let mut fates: Vec<(usize, [u32; 4])> = Vec::new();
    for positions in &repeats {
        let ratings: Vec<f32> = positions
            .iter()
            .map(|&at| arrived.records.get(at).map_or(0.0, |record| f32::from_bits(record[2])))
            .collect();
        let Some((kept, rating)) = counting(ratings.into_iter(), rule) else { continue };
        for (which, &at) in positions.iter().enumerate() {
            let Sent { reader, index } = sent(&arrived, at);
            let [low, high] = [index as u32, (index as u64 >> 32) as u32];
            fates.push((reader, [low, high, u32::from(which == kept), rating.to_bits()]));
        }
    }
    drop(arrived);
    fates.sort_unstable_by_key(|&(reader, [low, high, ..])| (reader, high, low));
    let fates = route(world, fates.len(), |at| fates.get(at).copied().unwrap_or((0, [0; 4])))?;
    meet(part, &fates, owner)
}

/// Runs of one pair among what has arrived, each in the order of the files.
#[expect(clippy::indexing_slicing, reason = "`order` holds the positions of the records")]
fn repeats(arrived: &Arrived<[u32; 3]>, [users, items]: [usize; 2], processes: usize) -> Vec<Vec<usize>> {
    let rows = users.div_ceil(processes);
    let row: Vec<u32> = arrived.records.iter().map(|record| record[0] / processes as u32).collect();
    let item: Vec<u32> = arrived.records.iter().map(|record| record[1]).collect();
    if !Compressed::repeats(rows, items, &row, &item) {
        return Vec::new();
    }
    let (by_user, order) = Compressed::build(rows, &row, &item);
    let mut all = Vec::new();
    for row in 0..rows {
        let mut rest = &order[by_user.range(row)];
        for run in by_user.row(row).chunk_by(|a, b| a == b) {
            let (positions, after) = rest.split_at(run.len());
            rest = after;
            if run.len() > 1 {
                all.push(positions.iter().map(|&position| position as usize).collect());
            }
        }
    }
    all
}

fn sent(arrived: &Arrived<[u32; 3]>, at: usize) -> Sent {
    let reader = arrived.offsets.partition_point(|&offset| offset <= at) - 1;
    Sent { reader, index: at - arrived.offsets.get(reader).copied().unwrap_or(0) }
}

/// The error for the first pair that occurs again.
fn first_repeat(
    world: &dyn World,
    part: &Part,
    [users, items]: [&Ids; 2],
    arrived: &Arrived<[u32; 3]>,
    repeats: &[Vec<usize>],
) -> Result<Error> {
    let processes = world.processes();
    // The first of each process that was asked, and then, by those who have read it, where it stands.
    let mine = repeats.iter().min_by_key(|positions| positions.get(1)).and_then(|positions| {
        let (&[first, second], _) = positions.split_first_chunk()?;
        let [user, item, _] = *arrived.records.get(first)?;
        let (first, second) = (sent(arrived, first), sent(arrived, second));
        let [from, again] = [first, second].map(|Sent { reader, index }| [reader as u64, index as u64]);
        Some([[u64::from(user), u64::from(item)], from, again])
    });
    let asked = gather(world, mine.as_slice())?;
    let (mut answers, mut pairs) = (Vec::new(), Vec::new());
    for (owner, [pair, both @ ..]) in asked.iter().enumerate().filter_map(|(o, a)| Some((o, *a.first()?))) {
        for (which, [reader, index]) in both.into_iter().enumerate() {
            if reader != world.process() as u64 {
                continue;
            }
            let users = part.triples.user.iter().enumerate();
            let mut sent = users.filter(|(_, user)| **user as usize % processes == owner);
            let (rating, _) = sent.nth(index as usize).ok_or_else(|| lost("a rating"))?;
            let (file, Place { unit, number }) = part.place(rating as u64);
            answers.push([owner as u64, which as u64, rating as u64, file as u64, unit as u64, number]);
        }
        pairs.push((owner, pair));
    }
    let answers = gather(world, &answers)?;
    let place = |owner: usize, which: u64| {
        let mut all =
            (0..).zip(&answers).flat_map(|(reader, answers)| answers.iter().map(move |a| (reader, a)));
        let found = all.find(|(_, answer)| answer[0] == owner as u64 && answer[1] == which);
        found.map(|(reader, &[_, _, rating, file, unit, number])| {
            let unit = [Unit::Line, Unit::Row, Unit::Entry].into_iter().find(|u| *u as u64 == unit);
            let place = Place { unit: unit.unwrap_or(Unit::Line), number };
            ((reader, rating), (file as usize, part.location(file as usize, place)))
        })
    };
    let first = pairs.into_iter().filter_map(|(owner, pair)| {
        let ((_, from), (position, again)) = (place(owner, 0)?, place(owner, 1)?);
        Some((position, (pair, from, again)))
    });
    let (_, ([user, item], from, again)) =
        first.min_by_key(|(position, _)| *position).ok_or_else(|| lost("a pair"))?;
    Ok(rated_twice([users.get(user as u32), items.get(item as u32)], from, again))
}

/// Has what this process read stay or go. `fates`: of each process that was asked, in the order in
/// which its pairs were read.
fn meet(part: &mut Part, fates: &Arrived<[u32; 4]>, owner: impl Fn(u32) -> usize) -> Result<()> {
    let processes = fates.offsets.len() - 1;
    let mut next: Vec<&[[u32; 4]]> = fates
        .offsets
        .windows(2)
        .map(|ends| match ends {
            &[from, to] => fates.records.get(from..to).unwrap_or_default(),
            _ => &[],
        })
        .collect();
    let mut met = vec![0_u64; processes];
    let mut keep = vec![true; part.triples.user.len()];
    let ratings = part.triples.user.iter().zip(&mut part.triples.value).zip(&mut keep);
    for ((&user, value), keep) in ratings {
        let owner = owner(user);
        let (Some(next), Some(met)) = (next.get_mut(owner), met.get_mut(owner)) else { continue };
        if let Some((&[low, high, stays, rating], rest)) = next.split_first()
            && *met == u64::from(high) << 32 | u64::from(low)
        {
            (*keep, *value, *next) = (stays == 1, f32::from_bits(rating), rest);
        }
        *met += 1;
    }
    if next.iter().any(|rest| !rest.is_empty()) {
        return Err(lost("a rating"));
    }
    part.retain(&keep);
    Ok(())
}
