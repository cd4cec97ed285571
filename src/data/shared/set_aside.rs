//! Hold-outs as one process alone draws them.

use bytemuck::cast_slice;

use super::super::sparse::count;
use super::super::split::{HoldoutBy, OfEach, check, hold_out_of, share};
use super::flow::{chain, each, sum, values};
use super::part::Part;
use crate::error::Result;
use crate::world::World;

/// Which ratings are set aside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Holdout {
    /// How many, of all.
    pub fraction: f64,
    /// Which.
    pub by: HoldoutBy,
    /// What decides among those that might be.
    pub seed: u64,
}

/// Which of this process's ratings are set aside, `[ratings]`. `users`: in all.
///
/// # Errors
/// As [`Ratings::split_by`](super::super::Ratings::split_by), on every process.
pub(super) fn set_aside(world: &dyn World, part: &Part, users: usize, holdout: Holdout) -> Result<Vec<bool>> {
    let Holdout { fraction, by, seed } = holdout;
    let triples = &part.triples;
    let counts = each(world, triples.user.len() as u64)?;
    let all = counts.iter().sum();
    let before: u64 = counts.iter().take(world.process()).sum();
    match by {
        HoldoutBy::Random => hold_out_of(all, before..before + triples.user.len() as u64, fraction, seed),
        HoldoutBy::User => {
            let counts = sum(world, count(users, &triples.user))?;
            let first = OfEach::new(all, &counts, fraction)?;
            let mut held = Vec::new();
            // What is left of each user for whoever comes next.
            chain(world, [cast_slice(&first.left), cast_slice(&first.wanted)].concat(), |state| {
                let mut left: Vec<u64> = values(&state).collect();
                let wanted = left.split_off(users);
                let mut state = OfEach { left, wanted };
                held = state.hold_out(&triples.user, before, seed);
                Ok([cast_slice(&state.left), cast_slice::<u64, u8>(&state.wanted)].concat())
            })?;
            Ok(held)
        }
        HoldoutBy::Time => {
            check(all, fraction)?;
            newest(world, triples.time.as_deref().unwrap_or_default(), share(all, fraction))
        }
    }
}

/// The `wanted` newest; of equally old ones, the later count as newer.
fn newest(world: &dyn World, time: &[i64], wanted: u64) -> Result<Vec<bool>> {
    let from = |from: i64| time.iter().filter(|&&time| time >= from).count() as u64;
    // The newest time from which on there are as many as wanted, by halves.
    let (mut low, mut high) = (i128::from(i64::MIN), i128::from(i64::MAX));
    while low < high {
        let middle = low + (high - low + 1) / 2;
        let there: u64 = each(world, from(middle as i64))?.iter().sum();
        if there >= wanted { low = middle } else { high = middle - 1 }
    }
    let oldest = low as i64;
    let newer = time.iter().filter(|&&time| time > oldest).count() as u64;
    let counts = each(world, [newer, from(oldest) - newer])?;
    // Of the oldest, those at the end of all are held.
    let held = wanted.saturating_sub(counts.iter().map(|[newer, _]| newer).sum());
    let behind: u64 = counts.iter().skip(world.process() + 1).map(|[_, oldest]| oldest).sum();
    let mine = counts.get(world.process()).map_or(0, |[_, oldest]| *oldest);
    let mut kept = mine - held.saturating_sub(behind).min(mine);
    let each = |&time: &i64| {
        let stays = time == oldest && kept > 0;
        kept -= u64::from(stays);
        time >= oldest && !stays
    };
    Ok(time.iter().map(each).collect())
}
