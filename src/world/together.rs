//! What processes find out together: sums, and values that all of them have.
//!
//! Every process calls the same function with values of the same shape.

use std::ops::AddAssign;

use bytemuck::Pod;

use super::World;
use crate::error::{Error, Result};
use crate::interrupt::Signal;

/// Bytes of a sum that go from process to process at a time, at most: while one adds its blocks to a
/// piece, the next one has the piece before. With smaller pieces of a long sum processes wait for each
/// other more often than they gain.
pub const CHAIN_BYTES: usize = 1 << 20;

/// And at least: below, a message's latency counts more than its length.
const SHORTEST_BYTES: usize = 16 << 10;

/// Pieces of a sum for each link of the chain: the last link has nothing to do until the first has sent
/// as many pieces as there are links before it, so about an eighth of the time.
const PIECES_EACH: usize = 8;

/// Bytes of a piece of a sum of so many bytes, along so many links.
fn piece_bytes(sum: usize, links: usize) -> usize {
    (sum / (PIECES_EACH * links).max(1)).clamp(SHORTEST_BYTES, CHAIN_BYTES)
}

/// The sum of every process's blocks, one after the other in the order of the processes and of their
/// blocks, from 0: the same bits on all, and the same whoever has which blocks.
///
/// `parts` are this process's blocks, `[blocks, sum.len()]`, and `sum` becomes the sum. It is made
/// along a chain, from the first process to the last, in pieces of [`CHAIN_BYTES`] at most, and goes back
/// the same way: a process sends twice its length at most, whatever their number. (MPI's own broadcasts
/// cut a sum into pieces only where it is long.)
///
/// # Errors
/// [`Error::Internal`] if `parts` are not whole blocks; as [`World::send`].
pub fn running_sum_into<T: Pod + AddAssign>(world: &dyn World, parts: &[T], sum: &mut [T]) -> Result<()> {
    add_along(world, parts, sum)?;
    hand_back(world, sum)
}

/// The way there of [`running_sum_into`]: on the last process, `sum` is the sum.
pub(super) fn add_along<T: Pod + AddAssign>(world: &dyn World, parts: &[T], sum: &mut [T]) -> Result<()> {
    let n = sum.len();
    if parts.len() != parts.len().checked_div(n).unwrap_or(0) * n {
        return Err(Error::Internal(format!("{} numbers of blocks of {n}", parts.len())));
    }
    let (before, after) = neighbours(world);
    let mut from = 0;
    flow(world, before, after, pieces(world, sum), |piece: &mut [T]| {
        if before.is_none() {
            piece.fill(T::zeroed());
        }
        for block in parts.chunks_exact(n) {
            let block = &block[from..from + piece.len()];
            piece.iter_mut().zip(block).for_each(|(sum, part)| *sum += *part);
        }
        from += piece.len();
    })
}

/// The way back of [`running_sum_into`]: what the last process has is what all have.
pub(super) fn hand_back<T: Pod>(world: &dyn World, sum: &mut [T]) -> Result<()> {
    let (before, after) = neighbours(world);
    flow(world, after, before, pieces(world, sum), |_| {})
}

/// The processes before and after this one in the chain.
fn neighbours(world: &dyn World) -> (Option<usize>, Option<usize>) {
    let process = world.process();
    (process.checked_sub(1), Some(process + 1).filter(|&after| after < world.processes()))
}

/// A sum in the pieces that it flows in.
fn pieces<'a, T: Pod>(world: &dyn World, sum: &'a mut [T]) -> impl Iterator<Item = &'a mut [T]> {
    let bytes = piece_bytes(size_of_val(sum), world.processes() - 1);
    sum.chunks_mut((bytes / size_of::<T>()).max(1))
}

/// Receives pieces from one process, if there is one, and sends each on to another once it is done; the
/// next piece arrives meanwhile.
fn flow<'a, T: Pod>(
    world: &dyn World,
    from: Option<usize>,
    to: Option<usize>,
    mut pieces: impl Iterator<Item = &'a mut [T]>,
    mut done: impl FnMut(&mut [T]),
) -> Result<()> {
    let mut next = pieces.next();
    if let (Some(from), Some(first)) = (from, next.as_deref_mut()) {
        world.receive(from, bytemuck::cast_slice_mut(first))?;
    }
    while let Some(piece) = next {
        done(piece);
        next = pieces.next();
        let piece = bytemuck::cast_slice(piece);
        let coming = from.zip(next.as_deref_mut().map(bytemuck::cast_slice_mut));
        match (to, coming) {
            (Some(to), Some((from, next))) => world.relay(to, piece, from, next)?,
            (Some(to), None) => world.send(to, piece)?,
            (None, Some((from, next))) => world.receive(from, next)?,
            (None, None) => {}
        }
    }
    Ok(())
}

/// As [`running_sum_into`], `[n]`.
///
/// # Errors
/// As [`running_sum_into`].
pub fn running_sum<T: Pod + AddAssign>(world: &dyn World, parts: &[T], n: usize) -> Result<Vec<T>> {
    let mut sum = vec![T::zeroed(); n];
    running_sum_into(world, parts, &mut sum)?;
    Ok(sum)
}

/// What each process passes, in the order of the processes; lengths may differ.
///
/// # Errors
/// As [`World::all_gather`].
pub fn gather<T: Pod>(world: &dyn World, mine: &[T]) -> Result<Vec<Vec<T>>> {
    let all = world.all_gather(bytemuck::cast_slice(mine))?;
    let whole = |bytes: Vec<u8>| match bytes.len() % size_of::<T>().max(1) {
        0 => Ok(bytemuck::pod_collect_to_vec(&bytes)),
        _ => Err(Error::Internal(format!("{} bytes of {} each", bytes.len(), size_of::<T>()))),
    };
    all.into_iter().map(whole).collect()
}

/// The value that process 0 has.
///
/// # Errors
/// As [`World::broadcast`].
pub fn of_first<T: Pod>(world: &dyn World, mut value: T) -> Result<T> {
    world.broadcast(0, bytemuck::bytes_of_mut(&mut value))?;
    Ok(value)
}

/// Whether it is so on any process.
///
/// # Errors
/// As [`World::all_gather`].
pub fn any(world: &dyn World, so: bool) -> Result<bool> {
    Ok(gather(world, &[u8::from(so)])?.concat().contains(&1))
}

/// The largest of the processes' numbers; NaN if one is.
///
/// # Errors
/// As [`World::all_gather`].
pub fn max(world: &dyn World, number: f64) -> Result<f64> {
    let larger = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
    Ok(gather(world, &[number])?.concat().into_iter().fold(f64::NEG_INFINITY, larger))
}

/// The signal that asks for the end, if one was raised on any process: the same on all.
///
/// A launcher sends signals to the processes one after the other, so that some may have heard of one
/// before an epoch's end and others not.
///
/// # Errors
/// As [`World::all_gather`].
pub fn agreed_signal(world: &dyn World, raised: Option<Signal>) -> Result<Option<Signal>> {
    let mine = raised.map_or(0, Signal::number);
    let most = gather(world, &[mine])?.concat().into_iter().max();
    Ok(Signal::ALL.into_iter().find(|signal| Some(signal.number()) == most))
}

#[cfg(test)]
mod tests;
