//! Which users a process has, and what it must know of all.

use std::ops::Range;

use crate::data::{Ids, Stats};

/// Users whose sums are one partial sum: user blocks are whole groups of so many rows.
pub const BLOCK_ROWS: usize = 64;

/// The fewest user blocks, where there are users enough, and the most.
const BLOCKS: Range<u64> = 8..65;

/// Ratings that are worth a user block of their own.
const BLOCK_RATINGS: u64 = 1 << 18;

/// Users of a user block: the same for all blocks but the last, a multiple of [`BLOCK_ROWS`].
///
/// It depends on the data alone, not on who trains on them: sums over users are made block by
/// block, and added up in the order of the blocks.
pub fn blocks(users: usize, ratings: u64) -> usize {
    let wanted = (ratings / BLOCK_RATINGS).next_power_of_two().clamp(BLOCKS.start, BLOCKS.end - 1);
    users.div_ceil(wanted as usize).next_multiple_of(BLOCK_ROWS).max(BLOCK_ROWS)
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
    fn blocks_are_whole_groups_and_follow_the_data() {
        for (users, ratings, block) in [
            (0, 0, 64),
            (1, 1, 64),
            (610, 100_836, 128),
            (943, 100_000, 128),
            (6_040, 1_000_000, 768),
            (70_000, 10_000_000, 1_152),
            (480_189, 99_000_000, 7_552),
        ] {
            assert_eq!(blocks(users, ratings), block, "{users} users");
            assert!(users.div_ceil(block) < 65);
        }
    }
}
