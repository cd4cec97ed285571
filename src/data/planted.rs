//! Planted ratings: drawn from a known model, so that the best possible error is known.
//!
//! Their shape is that of real data: a few users and items have most of the
//! ratings. `r = μ + b_u + c_i + p_u·q_i + noise`, clipped to a scale:
//!
//! | part | distribution |
//! |---|---|
//! | activity of users | log-normal, sd 1 |
//! | popularity of items | ∝ (j + n/100)^−0.9 for the j-th of n |
//! | b_u, c_i | normal, sd 0.35 and 0.4 |
//! | p_u·q_i | factors normal, sd of the product 0.7 |
//! | noise | normal, sd 0.5 |

mod large;
mod shapes;
mod truth;

use std::cmp::Ordering;
use std::fmt::Display;

use hashbrown::HashSet;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Distribution, Exp1, LogNormal, StandardNormal};

use self::truth::Truth;
use super::held::Held;
use super::ids::IdMap;
use super::names;
use super::ratings::Ratings;
use super::split::hold_out;
use crate::error::{Error, Result};

pub use shapes::{SHAPES, Shape};

/// The ChaCha stream of planted ratings; see [`HOLDOUT_STREAM`](super::HOLDOUT_STREAM).
pub const PLANTED_STREAM: u64 = 0x0070_6c61_6e74; // "plant"

/// Ratings from which on they are drawn in parallel.
const LARGE: usize = 1 << 22;

/// A recipe for planted ratings.
///
/// ```
/// use deltav::data::planted::Planted;
///
/// let split = Planted::new(300, 200, 6_000).seed(7).generate()?.split(0.1, 7)?;
/// assert_eq!((split.train.len(), split.test.len()), (5_400, 600));
/// assert!(split.floor > 0.4 && split.floor < 0.6);
/// # Ok::<(), deltav::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Planted {
    users: usize,
    items: usize,
    ratings: usize,
    rank: usize,
    noise: f64,
    seed: u64,
    biases: bool,
    clip: Option<(f32, f32)>,
    named: bool,
}

/// Planted ratings and the truth behind them.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantedData {
    /// The ratings, in random order. Users and items that were never drawn have no id.
    pub ratings: Ratings,
    /// What each rating would be without noise, clipped as the ratings are, `[N]`.
    pub truth: Vec<f32>,
    /// RMSE of the truth over the ratings: what the best model can reach.
    pub floor: f64,
}

/// Planted ratings in two parts.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantedSplit {
    /// Ratings to train on, with the ids of both parts.
    pub train: Ratings,
    /// Ratings to test with.
    pub test: Held,
    /// RMSE of the truth over the test part.
    pub floor: f64,
}

impl Planted {
    /// `ratings` distinct pairs of `users` × `items`, with true rank 16, noise
    /// of sd 0.5, clipped to 0.5..=5, seed 0, ids `u1`… and `i1`….
    pub fn new(users: usize, items: usize, ratings: usize) -> Self {
        Self {
            users,
            items,
            ratings,
            rank: 16,
            noise: 0.5,
            seed: 0,
            biases: true,
            clip: Some((0.5, 5.0)),
            named: false,
        }
    }

    /// The true rank: length of p and q.
    pub fn rank(self, rank: usize) -> Self {
        Self { rank, ..self }
    }

    /// Standard deviation of the noise, in rating units; 0 for none.
    pub fn noise(self, noise: f64) -> Self {
        Self { noise, ..self }
    }

    /// The seed of everything that is drawn.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The scale that ratings are clipped to; `None` for no clipping.
    pub fn clip(self, clip: Option<(f32, f32)>) -> Self {
        Self { clip, ..self }
    }

    /// Exactly low rank: r = p·q, without mean, biases, noise and clipping.
    pub fn exact(self) -> Self {
        Self { biases: false, noise: 0.0, clip: None, ..self }
    }

    /// People's names and titles as ids, such as `Ada Okafor` and `The Silent Harbour`.
    pub fn named(self) -> Self {
        Self { named: true, ..self }
    }

    /// Draws the ratings. The same recipe gives the same ratings.
    ///
    /// # Errors
    /// [`Error::Usage`] for a recipe that can't be met, such as more ratings than pairs.
    pub fn generate(&self) -> Result<PlantedData> {
        self.check()?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(PLANTED_STREAM);
        let pairs = self.pairs(&mut rng)?;

        let truth = Truth::draw(self, &mut rng);
        let clip = |value: f64| {
            let value = value as f32;
            self.clip.map_or(value, |(least, greatest)| value.clamp(least, greatest))
        };
        // Without noise the rating is the truth, bit for bit.
        let rate = |(u, i): (u32, u32), rng: &mut ChaCha8Rng| {
            let mean = truth.mean(u, i);
            (clip(mean), clip(mean + sample(rng) * self.noise))
        };
        let (truth, value) = if self.is_large() {
            large::rate(self, &pairs, rate)
        } else {
            pairs.iter().map(|&pair| rate(pair, &mut rng)).unzip()
        };
        let (mut users, mut items) = (Side::new(self.users), Side::new(self.items));
        let mut ratings = Ratings {
            user: Vec::with_capacity(pairs.len()),
            item: Vec::with_capacity(pairs.len()),
            value,
            ..Ratings::default()
        };
        for (u, i) in pairs {
            ratings.user.push(users.index(u, || self.id(u, 'u', names::person))?);
            ratings.item.push(items.index(i, || self.id(i, 'i', names::title))?);
        }
        ratings.users = users.ids.into_ids();
        ratings.items = items.ids.into_ids();
        let floor = rmse(truth.iter().zip(&ratings.value));
        Ok(PlantedData { ratings, truth, floor })
    }

    /// Whether ratings are drawn in parallel. Smaller recipes are drawn one rating after the
    /// other, as they always were: they keep their bits.
    fn is_large(&self) -> bool {
        self.ratings >= LARGE
    }

    fn check(&self) -> Result<()> {
        let cells = self.users as u128 * self.items as u128;
        let wrong = |what: String| Err(Error::usage(what, "change the recipe of the planted ratings"));
        if self.users.max(self.items) > super::ids::MAX_IDS as usize {
            return wrong(format!("{} × {} planted ratings are too many", self.users, self.items));
        }
        if self.ratings == 0 || self.ratings as u128 > cells {
            return wrong(format!(
                "{} distinct ratings can't be planted in {} × {}",
                self.ratings, self.users, self.items
            ));
        }
        if self.rank == 0 {
            return wrong("planted ratings of rank 0 have no factors".to_owned());
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return wrong(format!("planted noise {} is out of range", self.noise));
        }
        match self.clip {
            Some((least, greatest)) if least.partial_cmp(&greatest) != Some(Ordering::Less) => {
                wrong(format!("planted ratings can't be clipped to {least}..{greatest}"))
            }
            _ => Ok(()),
        }
    }

    /// Distinct pairs in random order, those of active users and popular items more often.
    fn pairs(&self, rng: &mut ChaCha8Rng) -> Result<Vec<(u32, u32)>> {
        let spread = LogNormal::new(0.0, 1.0).map_err(undrawn)?;
        let activity: Vec<f64> = spread.sample_iter(&mut *rng).take(self.users).collect();
        let shift = self.items as f64 * 0.01;
        let mut popularity: Vec<f64> = (1..=self.items).map(|j| (j as f64 + shift).powf(-0.9)).collect();
        popularity.shuffle(rng);

        let mut pairs = if self.users as u128 * self.items as u128 <= 8 * self.ratings as u128 {
            race(self.ratings, &activity, &popularity, rng)
        } else if self.is_large() {
            // In random order already.
            return large::pairs(self, &activity, &popularity);
        } else {
            reject(self.ratings, activity, popularity, rng)?
        };
        pairs.shuffle(rng);
        Ok(pairs)
    }

    fn id(&self, index: u32, prefix: char, name: fn(u64) -> String) -> Vec<u8> {
        let text =
            if self.named { name(u64::from(index)) } else { format!("{prefix}{}", u64::from(index) + 1) };
        text.into_bytes()
    }
}

impl PlantedData {
    /// Sets a part aside, as [`Ratings::split`] does, with the floor of that part.
    ///
    /// # Errors
    /// As [`Ratings::split`].
    pub fn split(self, fraction: f64, seed: u64) -> Result<PlantedSplit> {
        let held = hold_out(self.ratings.len(), fraction, seed)?;
        let both = self.truth.iter().zip(&self.ratings.value);
        let floor = rmse(both.zip(held).filter_map(|(pair, held)| held.then_some(pair)));
        let (train, test) = self.ratings.split(fraction, seed)?;
        Ok(PlantedSplit { train, test, floor })
    }
}

/// Numbers one side's rows in the order of their first use, as reading a file does.
struct Side {
    ids: IdMap,
    index: Vec<Option<u32>>,
}

impl Side {
    fn new(rows: usize) -> Self {
        Self { ids: IdMap::new(), index: vec![None; rows] }
    }

    fn index(&mut self, row: u32, id: impl FnOnce() -> Vec<u8>) -> Result<u32> {
        let index = self.index.get_mut(row as usize).and_then(|index| {
            if index.is_none() {
                *index = self.ids.get_or_insert(&id());
            }
            *index
        });
        index.ok_or_else(|| Error::Internal("planted ids do not fit".to_owned()))
    }
}

fn sample(rng: &mut ChaCha8Rng) -> f64 {
    rng.sample(StandardNormal)
}

fn rmse<'a>(pairs: impl Iterator<Item = (&'a f32, &'a f32)>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_u64);
    for (a, b) in pairs {
        sum += (f64::from(*a) - f64::from(*b)).powi(2);
        count += 1;
    }
    (sum / count as f64).sqrt()
}

/// Draws pairs by their weights and drops those drawn before: fast while few cells are taken.
fn reject(count: usize, users: Vec<f64>, items: Vec<f64>, rng: &mut ChaCha8Rng) -> Result<Vec<(u32, u32)>> {
    let table = |weights| WeightedAliasIndex::new(weights).map_err(undrawn);
    let (users, items) = (table(users)?, table(items)?);
    let mut taken = HashSet::with_capacity(count);
    let mut pairs = Vec::with_capacity(count);
    while pairs.len() < count {
        let pair = (users.sample(rng) as u32, items.sample(rng) as u32);
        if taken.insert(pair) {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// A distribution that can't be: all have constant parameters, or positive and finite weights.
fn undrawn(error: impl Display) -> Error {
    Error::Internal(format!("planted ratings can't be drawn: {error}"))
}

/// The same distribution where cells are scarce: each cell's clock rings after
/// an exponential time of its weight's rate, the first `count` are taken
/// (Efraimidis & Spirakis 2006).
fn race(count: usize, users: &[f64], items: &[f64], rng: &mut ChaCha8Rng) -> Vec<(u32, u32)> {
    let mut times: Vec<(f64, u32, u32)> = Vec::with_capacity(users.len() * items.len());
    for (u, activity) in (0..).zip(users) {
        for (i, popularity) in (0..).zip(items) {
            let time: f64 = rng.sample(Exp1);
            times.push((time / (activity * popularity), u, i));
        }
    }
    if count < times.len() {
        times.select_nth_unstable_by(count, |a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        times.truncate(count);
    }
    times.sort_unstable_by_key(|&(_, u, i)| (u, i));
    times.into_iter().map(|(_, u, i)| (u, i)).collect()
}

#[cfg(test)]
mod tests;
