//! Planted ratings drawn in parallel, the same for any number of threads.
//!
//! The distribution is that of `race`: the clock of each cell rings at the rate w_u·p_i of its
//! user and item, and the first N cells to ring are taken. Up to a time T, a user's rings are a
//! Poisson number of items, each by its popularity (thinning; Kingman 1993, 5.1). So every user has
//! a stream of its own, T is chosen for a few more cells than N, and the last are dropped.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Distribution, Poisson};
use rayon::prelude::*;

use super::{PLANTED_STREAM, Planted, undrawn};
use crate::error::Result;

/// Pairs rated at a time, from one stream.
const CHUNK: usize = 1 << 16;

/// Where the streams of users begin, and those of chunks: beyond [`PLANTED_STREAM`]'s own bits.
const USERS: u64 = 1 << 40;
const CHUNKS: u64 = 1 << 63;

/// A class of weights has this part of those that are heavier still; see [`classes`].
const CLASSES: usize = 50;

/// A cell that has rung: its user and item, and when it first did, of 2³² equal parts of T.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ring {
    time: u32,
    user: u32,
    item: u32,
}

fn stream(recipe: &Planted, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
    rng.set_stream(PLANTED_STREAM + number);
    rng
}

/// Distinct pairs in random order.
pub(super) fn pairs(recipe: &Planted, users: &[f64], items: &[f64]) -> Result<Vec<(u32, u32)>> {
    let alias = WeightedAliasIndex::new(items.to_vec()).map_err(undrawn)?;
    let all: f64 = items.iter().sum();
    let count = recipe.ratings as f64;
    let mut wanted = count + 6.0 * count.sqrt();
    let mut rings = loop {
        // Times are in units of the items' sum: a user's rings are Poisson(T·w_u).
        let until = last_ring(wanted, users, items) * all;
        let rings = ring(recipe, until, users, &alias)?;
        if rings.len() >= recipe.ratings {
            break rings;
        }
        // What is expected from classes is less than exact: further the next time.
        wanted += 0.01 * count + 2.0 * (count - rings.len() as f64);
    };
    if rings.len() > recipe.ratings {
        drop_last(&mut rings, recipe.ratings);
    }
    // In random order: a number of its own for each pair, from the pair's user and time alone.
    rings.par_iter_mut().for_each(|ring| ring.time = mix(recipe.seed, *ring));
    rings.par_sort_unstable();
    Ok(rings.into_par_iter().map(|ring| (ring.user, ring.item)).collect())
}

/// Cells that ring until a time, by user.
fn ring(recipe: &Planted, until: f64, users: &[f64], items: &WeightedAliasIndex<f64>) -> Result<Vec<Ring>> {
    let row = |(user, weight): (u32, &f64)| -> Result<Vec<Ring>> {
        let mut rng = stream(recipe, USERS * (u64::from(user) + 1));
        let number: f64 = Poisson::new(until * weight).map_err(undrawn)?.sample(&mut rng);
        let mut rings: Vec<(u32, u32)> =
            (0..number as u64).map(|_| (items.sample(&mut rng) as u32, rng.random())).collect();
        // Only the first ring of a cell counts.
        rings.sort_unstable();
        rings.dedup_by_key(|(item, _)| *item);
        Ok(rings.into_iter().map(|(item, time)| Ring { time, user, item }).collect())
    };
    let number = users.len() as u32;
    let blocks: Vec<Result<Vec<Ring>>> = (0..number)
        .into_par_iter()
        .zip(users)
        .fold(
            || Ok(Vec::new()),
            |block: Result<Vec<Ring>>, user| {
                let mut block = block?;
                block.extend(row(user)?);
                Ok(block)
            },
        )
        .collect();
    let mut rings = Vec::with_capacity(recipe.ratings);
    for block in blocks {
        rings.append(&mut block?);
    }
    Ok(rings)
}

/// Drops the cells that rang last, so that `count` are left: there are more.
fn drop_last(rings: &mut Vec<Ring>, count: usize) {
    let mut excess = rings.len() - count;
    let mut counts = vec![0_usize; 1 << 16];
    for ring in rings.iter() {
        if let Some(count) = counts.get_mut((ring.time >> 16) as usize) {
            *count += 1;
        }
    }
    // The slice of time in which the last cell to keep has rung, or the first to drop.
    let mut slice = counts.len() as u32;
    for &count in counts.iter().rev() {
        slice -= 1;
        if count >= excess {
            break;
        }
        excess -= count;
    }
    let mut within: Vec<Ring> = rings.iter().copied().filter(|ring| ring.time >> 16 == slice).collect();
    within.sort_unstable();
    if let Some(&first) = within.get(within.len() - excess) {
        rings.retain(|ring| *ring < first);
    }
}

/// The time until which `wanted` cells are expected to ring: Σ 1 − exp(−T·w_u·p_i), by bisection.
fn last_ring(wanted: f64, users: &[f64], items: &[f64]) -> f64 {
    let (users, items) = (classes(users), classes(items));
    let expected = |until: f64| -> f64 {
        let of_user = |(count, weight): &(f64, f64)| -> f64 {
            let of_item = |(n, w): &(f64, f64)| n * -(-until * weight * w).exp_m1();
            count * items.iter().map(of_item).sum::<f64>()
        };
        users.iter().map(of_user).sum()
    };
    let mut most = 1e-9;
    while expected(most) < wanted && most < f64::MAX / 2.0 {
        most *= 2.0;
    }
    let mut least = most / 2.0;
    for _ in 0..40 {
        let middle = f64::midpoint(least, most);
        if expected(middle) < wanted {
            least = middle;
        } else {
            most = middle;
        }
    }
    most
}

/// Weights in order, cut into classes: how many, and their mean.
fn classes(weights: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted = weights.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    // Classes of few at the heavy end, where cells ring more than once.
    let mut classes = Vec::new();
    let mut rest = sorted.as_slice();
    while !rest.is_empty() {
        let (class, behind) = rest.split_at((rest.len() / CLASSES).max(1));
        let count = class.len() as f64;
        classes.push((count, class.iter().sum::<f64>() / count));
        rest = behind;
    }
    classes
}

/// Well-mixed bits of a ring (the finaliser of SplitMix64; Steele, Lea & Flood 2014).
fn mix(seed: u64, ring: Ring) -> u32 {
    let mut bits = (u64::from(ring.user) << 32 | u64::from(ring.item)) ^ seed.rotate_left(17);
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits >> 32) as u32
}

/// What `rate` says of each pair, a stream of its own for each chunk: the truth, and the ratings.
pub(super) fn rate(
    recipe: &Planted,
    pairs: &[(u32, u32)],
    rate: impl Fn((u32, u32), &mut ChaCha8Rng) -> (f32, f32) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let (mut truth, mut value) = (vec![0.0; pairs.len()], vec![0.0; pairs.len()]);
    let outputs = truth.par_chunks_mut(CHUNK).zip(value.par_chunks_mut(CHUNK));
    outputs.zip(pairs.par_chunks(CHUNK)).enumerate().for_each(|(chunk, ((truth, value), pairs))| {
        let mut rng = stream(recipe, CHUNKS + chunk as u64);
        for ((truth, value), &pair) in truth.iter_mut().zip(value).zip(pairs) {
            (*truth, *value) = rate(pair, &mut rng);
        }
    });
    (truth, value)
}

#[cfg(test)]
mod tests {
    use super::super::race;
    use super::*;

    fn recipe() -> Planted {
        Planted::new(3_000, 500, 40_000).seed(3)
    }

    fn weights(recipe: &Planted) -> (Vec<f64>, Vec<f64>) {
        let part = |n: usize| (1..=n).map(|j| (j as f64).powf(-0.9)).collect();
        (part(recipe.users), part(recipe.items))
    }

    #[test]
    fn the_threads_change_nothing() {
        let recipe = recipe();
        let (users, items) = weights(&recipe);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let pairs = pairs(&recipe, &users, &items).unwrap();
                let rated = rate(&recipe, &pairs, |_, rng| (0.0, super::super::sample(rng) as f32));
                (pairs, rated)
            })
        };
        assert_eq!(with(1), with(3));
        let (first, _) = with(1);
        assert_ne!(first, pairs(&recipe.clone().seed(4), &users, &items).unwrap());
    }

    #[test]
    fn just_as_many_distinct_pairs_as_asked_for_in_random_order() {
        for count in [1, 1_000, 40_000, 300_000] {
            let recipe = Planted::new(3_000, 500, count);
            let (users, items) = weights(&recipe);
            let pairs = pairs(&recipe, &users, &items).unwrap();
            assert_eq!(pairs.len(), count);
            let mut sorted = pairs.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), count);
            if count > 1_000 {
                // The heaviest user's pairs are everywhere, not at the beginning.
                let half = pairs.iter().take(count / 2).filter(|(u, _)| *u == 0).count() as f64;
                let all = pairs.iter().filter(|(u, _)| *u == 0).count() as f64;
                assert!((half / all - 0.5).abs() < 0.15, "{half} of {all}");
            }
        }
    }

    #[test]
    fn the_distribution_is_that_of_the_race() {
        // 6 × 5 cells, 10 taken: how often each is, of 20,000 draws.
        let users = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let items = [1.0, 2.0, 4.0, 8.0, 16.0];
        let mut times = [[0_i32; 30]; 2];
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for seed in 0..20_000 {
            for (u, i) in race(10, &users, &items, &mut rng) {
                times[0][(u * 5 + i) as usize] += 1;
            }
            for (u, i) in pairs(&Planted::new(6, 5, 10).seed(seed), &users, &items).unwrap() {
                times[1][(u * 5 + i) as usize] += 1;
            }
        }
        for cell in 0..30 {
            // Standard deviation at most √(20000/2) = 100.
            assert!((times[0][cell] - times[1][cell]).abs() < 500, "cell {cell}: {times:?}");
        }
        assert!(times[0][29] > 4 * times[0][0], "{times:?}");
    }

    #[test]
    fn the_first_guess_of_the_time_nearly_always_does() {
        let recipe = recipe();
        let (users, items) = weights(&recipe);
        let exact = |until: f64| -> f64 {
            let cells = users.iter().flat_map(|u| items.iter().map(move |i| u * i));
            cells.map(|weight| -(-until * weight).exp_m1()).sum()
        };
        let until = last_ring(40_000.0, &users, &items);
        assert!((exact(until) - 40_000.0).abs() < 200.0, "{}", exact(until));
    }
}
