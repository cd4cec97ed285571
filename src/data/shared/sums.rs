//! What all ratings are in numbers, of which no process has all.

use rayon::prelude::*;
use sha2::Sha256;
use sha2::digest::common::hazmat::SerializableState;

use super::super::held::{Held, hash_known, hash_of_held};
use super::super::ids::Ids;
use super::super::ratings::{CHUNK, NOTHING, Stats, add, hash_indices, hash_of_ids, hash_values, sums};
use super::super::text::hex;
use super::flow::{broadcast, chain, each, lost, values};
use crate::error::Result;
use crate::world::World;
use crate::world::together::gather;

/// As [`Stats::of`] all values, those of one process behind those of the one before it, to the bit.
///
/// # Errors
/// As [`World::send`].
pub(super) fn stats(world: &dyn World, mine: &[f32]) -> Result<Stats> {
    let counts = each(world, mine.len() as u64)?;
    let count: u64 = counts.iter().sum();
    let before: u64 = counts.iter().take(world.process()).sum();
    let first = gather(world, mine.get(..1).unwrap_or_default())?.into_iter().flatten().next();
    let Some(first) = first else { return Ok(Stats::default()) };
    let ends = mine
        .par_iter()
        .fold(|| (first, first), |(min, max), &value| (min.min(value), max.max(value)))
        .reduce(|| (first, first), |a, b| (a.0.min(b.0), a.1.max(b.1)));
    let ends = each(world, [ends.0, ends.1])?;
    let (min, max) = ends.iter().fold((first, first), |all, [min, max]| (all.0.min(*min), all.1.max(*max)));
    if min == max {
        return Ok(Stats { count, min, max, mean: f64::from(min), std: 0.0 });
    }
    let mean = sum(world, mine, before, f64::from)? / count as f64;
    let variance = sum(world, mine, before, |value| (f64::from(value) - mean).powi(2))? / count as f64;
    Ok(Stats { count, min, max, mean, std: variance.sqrt() })
}

/// The sum of all terms, in the chunks of a process that has all: one that a process begins, the next
/// ones go on with.
fn sum(world: &dyn World, mine: &[f32], before: u64, term: impl Fn(f32) -> f64 + Sync) -> Result<f64> {
    let begun = (before % CHUNK as u64) as usize;
    let room = if begun > 0 { CHUNK - begun } else { 0 };
    let (head, rest) = mine.split_at(room.min(mine.len()));
    let (whole, tail) = rest.split_at(rest.len() - rest.len() % CHUNK);
    let middle = sums(whole, &term);
    let mut parts = Vec::new();
    let mut open = NOTHING;
    chain(world, NOTHING.to_le_bytes().to_vec(), |state| {
        open = add(values(&state).next().unwrap_or(NOTHING), head, &term);
        if head.len() == room {
            if room > 0 {
                parts.push(open);
            }
            parts.extend(middle);
            open = add(NOTHING, tail, &term);
        }
        Ok(open.to_le_bytes().to_vec())
    })?;
    if world.process() + 1 == world.processes() && !(begun + mine.len()).is_multiple_of(CHUNK) {
        parts.push(open);
    }
    Ok(gather(world, &parts)?.into_iter().flatten().sum())
}

/// As [`Ratings::hash`](super::super::Ratings::hash) of all ratings.
///
/// # Errors
/// As [`World::send`].
pub(super) fn hash(
    world: &dyn World,
    ids: [&Ids; 2],
    [user, item]: [&[u32]; 2],
    value: &[f32],
) -> Result<String> {
    let count = each(world, value.len() as u64)?.iter().sum();
    let hash = pass(world, &hash_of_ids(ids, count), |hash| hash_indices(hash, user))?;
    let hash = pass(world, &hash, |hash| hash_indices(hash, item))?;
    end(pass(world, &hash, |hash| hash_values(hash, value))?)
}

/// As [`Held::hash`] of all held ratings, by the indices among all users.
///
/// # Errors
/// As [`World::send`].
pub(super) fn hash_held(world: &dyn World, held: &Held) -> Result<String> {
    let hash = pass(world, &hash_of_held(), |hash| hash_known(hash, &held.user))?;
    let hash = pass(world, &hash, |hash| hash_known(hash, &held.item))?;
    end(pass(world, &hash, |hash| hash_values(hash, &held.value))?)
}

/// Has each process go on with a hash where the one before it ended, and tells all.
fn pass(world: &dyn World, hash: &Sha256, each: impl FnOnce(&mut Sha256)) -> Result<Sha256> {
    let state = chain(world, hash.serialize().to_vec(), |state| {
        let mut hash = from_state(&state)?;
        each(&mut hash);
        Ok(hash.serialize().to_vec())
    })?;
    from_state(&broadcast(world, world.processes() - 1, state)?)
}

fn from_state(state: &[u8]) -> Result<Sha256> {
    let state = state.try_into().map_err(|_| lost("a hash"))?;
    Sha256::deserialize(&state).map_err(|_| lost("a hash"))
}

fn end(hash: Sha256) -> Result<String> {
    use sha2::Digest;
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::world::threads;

    /// Values as processes have them: cut anywhere, and the first has none of them if it comes so.
    fn cut<'a>(rng: &mut ChaCha8Rng, values: &'a [f32], processes: usize) -> Vec<&'a [f32]> {
        let mut ends: Vec<usize> = (1..processes).map(|_| rng.random_range(0..=values.len())).collect();
        // Some where a chunk ends.
        ends.iter_mut().for_each(|end| *end -= if rng.random() { *end % CHUNK } else { 0 });
        ends.extend([0, values.len()]);
        ends.sort_unstable();
        ends.windows(2).map(|ends| &values[ends[0]..ends[1]]).collect()
    }

    #[test]
    fn stats_have_the_bits_of_one_process_wherever_the_values_are_cut() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let bits = |stats: Stats| (stats, stats.mean.to_bits(), stats.std.to_bits());
        for count in [0, 1, 2, 1_000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 200_003] {
            for processes in 1..6 {
                let step = if rng.random_range(0..4) == 0 { 0.0 } else { 0.1 };
                let values: Vec<f32> = (0..count).map(|_| 0.7 + step * rng.random::<f32>()).collect();
                let parts = cut(&mut rng, &values, processes);
                let each = threads::run(processes, |world| stats(world, parts[world.process()]).unwrap());
                for found in each {
                    assert_eq!(
                        bits(found),
                        bits(Stats::of(&values)),
                        "{count} values, {processes} processes"
                    );
                }
            }
        }
    }
}
