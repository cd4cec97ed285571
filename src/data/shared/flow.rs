//! Long arrays from process to process, in pieces.

use bytemuck::{AnyBitPattern, Pod, bytes_of, cast_slice, pod_read_unaligned};

use crate::error::{Error, Result};
use crate::world::together::gather;
use crate::world::{PIECE, World};

/// The bytes of process `from`, of whatever length, on every process.
///
/// # Errors
/// As [`World::broadcast`].
pub(super) fn broadcast(world: &dyn World, from: usize, mine: Vec<u8>) -> Result<Vec<u8>> {
    let mut length = (mine.len() as u64).to_le_bytes();
    world.broadcast(from, &mut length)?;
    let mut bytes = mine;
    if world.process() != from {
        bytes = vec![0; u64::from_le_bytes(length) as usize];
    }
    bytes.chunks_mut(PIECE).try_for_each(|piece| world.broadcast(from, piece))?;
    Ok(bytes)
}

/// One value of each process.
///
/// # Errors
/// As [`World::all_gather`].
pub(super) fn each<T: Pod>(world: &dyn World, mine: T) -> Result<Vec<T>> {
    let all = gather(world, &[mine])?;
    let one = |values: Vec<T>| values.first().copied().ok_or_else(|| lost("a value"));
    all.into_iter().map(one).collect()
}

/// What stands in the bytes of a message.
pub(super) fn values<T: AnyBitPattern>(bytes: &[u8]) -> impl ExactSizeIterator<Item = T> {
    bytes.chunks_exact(size_of::<T>()).map(pod_read_unaligned)
}

/// Sums of counts over all processes, element by element.
///
/// # Errors
/// As [`World::exchange`].
pub(super) fn sum(world: &dyn World, mut counts: Vec<u64>) -> Result<Vec<u64>> {
    let processes = world.processes();
    if processes == 1 {
        return Ok(counts);
    }
    for piece in counts.chunks_mut(PIECE / size_of::<u64>()) {
        // Each adds up a part of it, and tells all.
        let length = piece.len().div_ceil(processes).max(1);
        let mut parts: Vec<Vec<u8>> = piece.chunks(length).map(|part| cast_slice(part).to_vec()).collect();
        parts.resize_with(processes, Vec::new);
        let mut mine: Vec<u64> = Vec::new();
        for part in world.exchange(parts)? {
            mine.resize(part.len() / size_of::<u64>(), 0);
            mine.iter_mut().zip(values::<u64>(&part)).for_each(|(sum, count)| *sum += count);
        }
        let all = gather(world, &mine)?;
        piece.iter_mut().zip(all.into_iter().flatten()).for_each(|(to, sum)| *to = sum);
    }
    Ok(counts)
}

/// Hands a state on from process to process: each gets that of the one before it, the first
/// `first`, and makes the next of it, which is as long. Returns its own.
///
/// # Errors
/// As [`World::send`], and as `each`.
pub(super) fn chain(
    world: &dyn World,
    first: Vec<u8>,
    each: impl FnOnce(Vec<u8>) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let (process, processes) = (world.process(), world.processes());
    let mut state = first;
    if process > 0 {
        state.chunks_mut(PIECE).try_for_each(|piece| world.receive(process - 1, piece))?;
    }
    let state = each(state)?;
    if process + 1 < processes {
        state.chunks(PIECE).try_for_each(|piece| world.send(process + 1, piece))?;
    }
    Ok(state)
}

/// Records that were sent to this process: those of one process behind those of the one before it,
/// each in the order in which they were there.
#[derive(Debug)]
pub(super) struct Arrived<T> {
    pub(super) records: Vec<T>,
    /// Where those of each process begin, and last their number, `[processes + 1]`.
    pub(super) offsets: Vec<usize>,
}

/// Sends `count` records to whom `record` says.
///
/// # Errors
/// As [`World::exchange`].
#[expect(clippy::indexing_slicing, reason = "`record` names processes of the world")]
pub(super) fn route<T: Pod>(
    world: &dyn World,
    count: usize,
    record: impl Fn(usize) -> (usize, T),
) -> Result<Arrived<T>> {
    let processes = world.processes();
    let mut counts = vec![0_u64; processes];
    (0..count).for_each(|at| counts[record(at).0] += 1);
    // Counts of all: from whom, to whom.
    let counts = gather(world, &counts)?;
    let mut offsets = vec![0];
    for from in &counts {
        let arrive = from.get(world.process()).copied().unwrap_or(0) as usize;
        offsets.push(offsets.last().copied().unwrap_or(0) + arrive);
    }
    let most = (PIECE / size_of::<T>()).max(1);
    let rounds = counts.iter().map(|from| from.iter().sum::<u64>().div_ceil(most as u64)).max().unwrap_or(0);
    let mut next = offsets.clone();
    let mut records: Vec<T> = vec![T::zeroed(); offsets.last().copied().unwrap_or(0)];
    for round in 0..rounds as usize {
        let mut parts = vec![Vec::new(); processes];
        for at in (round * most).min(count)..((round + 1) * most).min(count) {
            let (to, record) = record(at);
            parts[to].extend_from_slice(bytes_of(&record));
        }
        for (next, part) in next.iter_mut().zip(world.exchange(parts)?) {
            let room = records.get_mut(*next..).ok_or_else(|| lost("a record"))?;
            let mut arrived = values(&part);
            *next += arrived.len();
            room.iter_mut().zip(&mut arrived).for_each(|(to, record)| *to = record);
        }
    }
    if next[..processes] != offsets[1..] {
        return Err(lost("a record"));
    }
    Ok(Arrived { records, offsets })
}

/// A bug: something did not come through.
pub(super) fn lost(what: &str) -> Error {
    Error::Internal(format!("{what} was lost between processes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::threads;

    #[test]
    fn records_arrive_in_their_order_and_in_pieces() {
        for (processes, count) in [(1, 5_usize), (2, 0), (3, 10), (4, 1_000), (2, PIECE / 12 * 2 + 7)] {
            // The last process sends nothing, and the first gets the most.
            let mine = |process: usize| if process + 1 == processes { 0 } else { count / (process + 1) };
            let to = |at: usize| (at % 7).min(processes - 1) * usize::from(!at.is_multiple_of(3));
            let arrived = threads::run(processes, |world| {
                let from = world.process() as u32;
                route(world, mine(world.process()), |at| (to(at), [from, at as u32, 9])).unwrap()
            });
            for (process, Arrived { records, offsets }) in arrived.into_iter().enumerate() {
                let expected = |from: usize| (0..mine(from)).filter(|&at| to(at) == process);
                let all =
                    (0..processes).flat_map(|from| expected(from).map(move |at| [from as u32, at as u32, 9]));
                assert!(records.iter().copied().eq(all), "{process} of {processes}");
                let lengths = offsets.windows(2).map(|ends| ends[1] - ends[0]);
                assert!(lengths.eq((0..processes).map(|from| expected(from).count())));
            }
        }
    }

    #[test]
    fn counts_are_summed_up_however_many_there_are() {
        for (processes, length) in [(1, 3_usize), (2, 0), (3, 2), (5, 1), (4, 1_001), (2, PIECE / 8 + 3)] {
            let count = |process: usize, at: usize| (at as u64 + 1) << (8 * process);
            let sums = threads::run(processes, |world| {
                sum(world, (0..length).map(|at| count(world.process(), at)).collect()).unwrap()
            });
            let expected: Vec<u64> =
                (0..length).map(|at| (0..processes).map(|process| count(process, at)).sum()).collect();
            assert!(sums.iter().all(|sum| *sum == expected), "{length} counts, {processes} processes");
        }
    }

    #[test]
    fn a_state_goes_from_process_to_process_and_bytes_to_all() {
        for processes in 1..5 {
            let each = threads::run(processes, |world| {
                let next = |state: Vec<u8>| Ok(state.into_iter().map(|byte| byte + 1).collect());
                let state = chain(world, vec![0; PIECE + 1], next).unwrap();
                let long = if world.process() == processes - 1 { vec![7; PIECE + 5] } else { vec![1; 2] };
                (state, broadcast(world, processes - 1, long).unwrap())
            });
            for (process, (state, long)) in each.into_iter().enumerate() {
                assert!(state.len() == PIECE + 1 && state.iter().all(|&byte| byte as usize == process + 1));
                assert!(long.len() == PIECE + 5 && long.iter().all(|&byte| byte == 7));
            }
        }
    }
}
