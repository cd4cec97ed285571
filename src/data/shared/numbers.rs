//! Ids numbered as one process alone numbers them.

use super::super::ids::{IdMap, Ids};
use super::flow::{broadcast, lost, values};
use crate::error::Result;
use crate::world::World;

/// What the ids of a process are among those of all: `all` gets those that it lacks, process by
/// process, each in the order of its ids, so in the order of their first use. `None` if there are too
/// many, on every process.
///
/// # Errors
/// As [`World::broadcast`].
pub(super) fn number(world: &dyn World, mine: &Ids, all: &mut IdMap) -> Result<Option<Vec<u32>>> {
    for from in 0..world.processes() {
        let mut new = Ids::default();
        if from == world.process() {
            mine.iter().filter(|id| all.get(id).is_none()).for_each(|id| new.push(id));
        }
        for id in from_bytes(&broadcast(world, from, to_bytes(&new))?)?.iter() {
            if all.get_or_insert(id).is_none() {
                return Ok(None);
            }
        }
    }
    mine.iter().map(|id| all.get(id).ok_or_else(|| lost("an id"))).collect::<Result<_>>().map(Some)
}

/// Their number, their offsets and their bytes.
fn to_bytes(ids: &Ids) -> Vec<u8> {
    let (bytes, offsets) = ids.parts();
    [bytemuck::cast_slice(&[offsets.len() as u64]), bytemuck::cast_slice(offsets), bytes].concat()
}

fn from_bytes(bytes: &[u8]) -> Result<Ids> {
    let read = || {
        let (length, rest) = bytes.split_at_checked(size_of::<u64>())?;
        let length = values::<u64>(length).next()? as usize;
        let (offsets, bytes) = rest.split_at_checked(length.checked_mul(size_of::<u64>())?)?;
        Ids::from_parts(bytes.to_vec(), values(offsets).collect())
    };
    read().ok_or_else(|| lost("an id"))
}
