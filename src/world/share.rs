//! Which users a process has, and what it must know of all.

use std::ops::Range;

use crate::data::{Ids, Stats};
use crate::error::{Error, Result};

/// Users whose sums are one partial sum: user blocks are whole groups of so many rows.
pub const BLOCK_ROWS: usize = 64;

/// The fewest user blocks, where there are users enough, and the most.
const BLOCKS: Range<u64> = 8..65;

/// Ratings that are worth a user block of their own.
const BLOCK_RATINGS: u64 = 1 << 20;

/// Users of a user block: the same for all blocks but the last, a multiple of [`BLOCK_ROWS`].
///
/// It depends on the data alone, not on who trains on them: sums over users are made block by
/// block, and added up in the order of the blocks.
pub fn blocks(users: usize, ratings: u64) -> usize {
    let wanted = (ratings / BLOCK_RATINGS).next_power_of_two().clamp(BLOCKS.start, BLOCKS.end - 1);
    users.div_ceil(wanted as usize).next_multiple_of(BLOCK_ROWS).max(BLOCK_ROWS)
}

/// Refuses more processes than user blocks.
///
/// # Errors
/// [`Error::Usage`] that says how many there can be.
pub(crate) fn check(users: usize, block: usize, processes: usize) -> Result<()> {
    let most = users.div_ceil(block);
    if processes <= most {
        return Ok(());
    }
    let s = if users == 1 { "" } else { "s" };
    Err(Error::usage(
        format!("{processes} processes are too many for the ratings of {users} user{s}"),
        format!("start {most} at most"),
    ))
}

/// Bounds of the users of each process, `[processes + 1]`: whole blocks of `block` users, at least one
/// each, with about as many of the ratings, `counts` by user.
pub(crate) fn bounds(counts: &[u64], block: usize, processes: usize) -> Vec<usize> {
    let blocks = counts.len().div_ceil(block.max(1));
    // Ratings before each block, and last all.
    let mut before = vec![0_u64];
    for users in counts.chunks(block.max(1)) {
        before.push(before.last().copied().unwrap_or(0) + users.iter().sum::<u64>());
    }
    let total = u128::from(before.last().copied().unwrap_or(0));
    let mut bounds = vec![0];
    for process in 1..processes {
        let wanted = (total * process as u128 / processes as u128) as u64;
        let behind = before.partition_point(|&before| before < wanted);
        // The nearer of the two block ends around it; the earlier of two that are as near.
        let far = |block: usize| before.get(block).map_or(u64::MAX, |before| before.abs_diff(wanted));
        let nearest = if behind > 0 && far(behind - 1) <= far(behind) { behind - 1 } else { behind };
        let last = bounds.last().copied().unwrap_or(0);
        bounds.push(nearest.clamp(last + 1, (blocks + process).saturating_sub(processes).max(last + 1)));
    }
    bounds.push(blocks);
    bounds.into_iter().map(|bound| (bound * block).min(counts.len())).collect()
}

/// The process whose users these are, by [`bounds`].
pub(crate) fn owner(bounds: &[usize], user: u32) -> usize {
    bounds
        .partition_point(|&bound| bound <= user as usize)
        .saturating_sub(1)
        .min(bounds.len().saturating_sub(2))
}

/// The part of a data set that a process has: the ratings of consecutive users.
///
/// Its [`Dataset`](crate::train::Dataset) numbers these users from 0, and items as all processes do.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Users of the whole data set.
    pub users: usize,
    /// The first user of each process, and last `users`, `[processes + 1]`: whole user blocks.
    pub bounds: Vec<usize>,
    /// This process.
    pub process: usize,
    /// Users of a user block, see [`blocks`].
    pub block: usize,
    /// Training ratings of each item, `[items]`, of all processes.
    pub item_counts: Vec<u64>,
    /// Users that have a training rating.
    pub rated_users: u64,
    /// Training ratings of the user who has most.
    pub longest_user: u64,
    /// The training ratings in numbers: of all, in the order of their files.
    pub stats: Stats,
    /// Ratings to validate and to test with.
    pub held: [u64; 2],
    /// Hashes of the ratings to train, to validate and to test with, as a process alone has them.
    pub hashes: [String; 3],
    /// Every user's id, where this process keeps them: the first does.
    pub ids: Option<Ids>,
}

impl Share {
    /// The share of a process among so many, as far as counts tell: for a plan.
    ///
    /// `user_counts`, `item_counts`: training ratings of all; `held`: as of [`Share`].
    ///
    /// # Errors
    /// [`Error::Usage`] if there are more processes than user blocks.
    pub fn planned(
        user_counts: &[u64],
        item_counts: &[u64],
        held: [u64; 2],
        [process, processes]: [usize; 2],
    ) -> Result<Self> {
        let count = user_counts.iter().sum();
        let block = blocks(user_counts.len(), count);
        check(user_counts.len(), block, processes)?;
        Ok(Self {
            users: user_counts.len(),
            bounds: bounds(user_counts, block, processes),
            process,
            block,
            item_counts: item_counts.to_vec(),
            rated_users: user_counts.iter().filter(|&&count| count > 0).count() as u64,
            longest_user: user_counts.iter().max().copied().unwrap_or(0),
            stats: Stats { count, ..Stats::default() },
            held,
            hashes: Default::default(),
            ids: None,
        })
    }

    /// The users that this process has.
    pub fn own(&self) -> Range<usize> {
        self.bounds.get(self.process).copied().unwrap_or(0)
            ..self.bounds.get(self.process + 1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_are_shared_out_by_their_ratings() {
        // Blocks of 64 users with 64, 0, 640, 64 and 10 ratings.
        let counts: Vec<u64> = [(1, 64), (0, 64), (10, 64), (1, 64), (1, 10)]
            .into_iter()
            .flat_map(|(count, users)| std::iter::repeat_n(count, users))
            .collect();
        for (processes, expected) in [
            (1, vec![0, 266]),
            (2, vec![0, 192, 266]),
            (3, vec![0, 128, 192, 266]),
            (4, vec![0, 128, 192, 256, 266]),
            (5, vec![0, 64, 128, 192, 256, 266]),
        ] {
            let bounds = bounds(&counts, 64, processes);
            assert_eq!(bounds, expected, "{processes}");
            for user in 0..266 {
                let owner = owner(&bounds, user);
                assert!((bounds[owner]..bounds[owner + 1]).contains(&(user as usize)));
            }
        }
        // Nobody is left without a block, wherever the ratings are.
        for at in 0..5 {
            let mut counts = vec![0; 5 * 64];
            counts[64 * at] = 1_000;
            for processes in 1..6 {
                let bounds = bounds(&counts, 64, processes);
                assert!(bounds.len() == processes + 1 && bounds.windows(2).all(|ends| ends[0] < ends[1]));
                assert_eq!((bounds[0], bounds[processes]), (0, 320));
            }
        }
    }

    #[test]
    fn blocks_are_whole_groups_and_follow_the_data() {
        for (users, ratings, block) in [
            (0, 0, 64),
            (1, 1, 64),
            (610, 100_836, 128),
            (943, 100_000, 128),
            (6_040, 1_000_000, 768),
            (70_000, 10_000_000, 4_416),
            (480_189, 99_000_000, 7_552),
        ] {
            assert_eq!(blocks(users, ratings), block, "{users} users");
            assert!(users.div_ceil(block) < 65);
        }
    }
}
