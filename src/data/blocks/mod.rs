//! Delimited text on all threads: blocks of whole lines, parsed apart and joined in the file's order.
//!
//! ```text
//! source ─► block 0 ─► slot 0: text → ids by numbers of its own ─┐
//!       └─► block 1 ─► slot 1: …                                 ├─► joined in order: numbers of all
//!       └─► block 2 ─► slot 0 again, with the ids it knows ──────┘
//! ```
//!
//! A slot numbers the ids that it meets, and keeps its numbers from block to block. When a block is
//! joined, the ids that were new to its slot are looked up among those of all, in the order in which
//! they came. So each id is looked up there once for each slot rather than once for each rating, and
//! has the number that reading line by line gives it.
//!
//! Whatever is not a good line in itself, such as a wrong one or one that a quoted cell leads beyond,
//! ends the blocks: what stands before it is joined, and from it on the file is read line by line,
//! which knows what to say. So both ways give the same ratings, and the same errors at the same lines.

mod fields;
mod input;
mod join;
mod parse;
mod slot;

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use rayon::Yield;

use self::input::Blocks;
use self::join::Joiner;
use self::parse::{Parsed, parse};
use self::slot::Slots;
use super::collect::Gather;
use super::source::Source;
use crate::error::{Error, Result};

pub(super) use self::parse::Plan;

/// Bytes of a block: tens of thousands of lines that fit into a core's cache.
pub(super) const BLOCK: usize = 1 << 19;

/// Blocks under way for each thread, so that none waits for the slowest.
const AHEAD: usize = 2;

/// What has to be read line by line.
pub(super) struct Left<'a> {
    pub(super) source: Source<'a>,
    /// Lines before it.
    pub(super) lines: u64,
}

/// Reads what is left of a text behind so many `lines`, as far as it is good; `Some` with the rest.
///
/// # Errors
/// As reading fails, and as [`Gather::push`] where there are too many ids.
pub(super) fn read<'a>(
    source: Source<'a>,
    lines: u64,
    plan: &Plan<'_>,
    gather: &mut Gather<'_>,
) -> Result<Option<Left<'a>>> {
    let mut blocks = Blocks::new(source, plan.rules.line_end, gather.block);
    let mut joiner = Joiner::new(gather, lines);
    let slots = Slots::default();
    let first = blocks.advance();
    if blocks.is_at_end() {
        // Not worth to wake the threads up.
        let parsed = first.map(|block| parse(plan, &slots, 0, block, joiner.columns()));
        let left = parsed.map_or(Ok(None), |parsed| joiner.join(parsed, &mut blocks))?;
        return blocks.finish(left, joiner.lines());
    }
    rayon::scope_fifo(|scope| {
        let most = AHEAD * rayon::current_num_threads() + 1;
        let mut under_way: VecDeque<Receiver<Parsed>> = VecDeque::new();
        let (mut next, mut count) = (first, 0);
        loop {
            while under_way.len() < most {
                let Some(block) = next.take().or_else(|| blocks.advance()) else { break };
                let (done, parsed) = sync_channel(1);
                let (slots, columns, number) = (&slots, joiner.columns(), count);
                scope.spawn_fifo(move |_| {
                    // Nobody waits for it only where reading has ended with an error.
                    let _ = done.send(parse(plan, slots, number, block, columns));
                });
                under_way.push_back(parsed);
                count += 1;
            }
            let Some(oldest) = under_way.pop_front() else { break };
            if let Some(mut left) = joiner.join(wait(&oldest)?, &mut blocks)? {
                for later in under_way {
                    left.extend_from_slice(wait(&later)?.block.text());
                }
                return blocks.finish(Some(left), joiner.lines());
            }
        }
        blocks.finish(None, joiner.lines())
    })
}

/// Waits for a block, and parses others meanwhile where there is no other thread for it.
fn wait(parsed: &Receiver<Parsed>) -> Result<Parsed> {
    let lost = || Error::Internal("a block of text was lost".to_owned());
    loop {
        match parsed.try_recv() {
            Ok(parsed) => return Ok(parsed),
            Err(TryRecvError::Disconnected) => return Err(lost()),
            // Not waiting to be parsed, so another thread is at it.
            Err(TryRecvError::Empty) if rayon::yield_now() != Some(Yield::Executed) => {
                return parsed.recv().map_err(|_| lost());
            }
            Err(TryRecvError::Empty) => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
