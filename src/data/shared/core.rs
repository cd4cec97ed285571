//! The users and items with enough ratings, among all that were read.

use super::super::ids::{IdMap, Ids};
use super::super::k_core::renumbered;
use super::super::read::Triples;
use super::super::sparse::count;
use super::flow::{each, sum};
use super::part::Part;
use super::renumber;
use crate::error::Result;
use crate::world::World;

/// Leaves out who has too few ratings, as [`Ratings::k_core`](super::super::Ratings::k_core) of all. `part`
/// has the numbers of `all`, users and items, which are numbered anew. Returns how many users, items and
/// ratings are left out.
///
/// # Errors
/// As [`World::exchange`].
pub(super) fn k_core(
    world: &dyn World,
    part: &mut Part,
    all: [&mut IdMap; 2],
    [user, item]: [u64; 2],
) -> Result<[u64; 3]> {
    let before = [all[0].len(), all[1].len()];
    let ratings = total(world, part)?;
    loop {
        let Triples { user: users, item: items, .. } = &part.triples;
        let user_counts = sum(world, count(before[0], users))?;
        let item_counts = sum(world, count(before[1], items))?;
        let few =
            |counts: &[u64], least: u64, of: u32| counts.get(of as usize).is_none_or(|&count| count < least);
        let keep: Vec<bool> = users
            .iter()
            .zip(items)
            .map(|(&u, &i)| !few(&user_counts, user, u) && !few(&item_counts, item, i))
            .collect();
        part.retain(&keep);
        let lost = keep.iter().filter(|kept| !**kept).count() as u64;
        if each(world, lost)?.iter().all(|lost| *lost == 0) {
            break;
        }
    }
    // As if the others had never been read.
    let Triples { users, items, user, item, .. } = &mut part.triples;
    let sides = [(&*all[0], users, user), (&*all[1], items, item)];
    for (all, ids, indices) in sides {
        let (used, mine): (Ids, Vec<u32>) = renumbered(all.ids(), std::mem::take(indices).into_iter());
        (*ids, *indices) = (used, mine);
    }
    let [users, items] = all;
    (*users, *items) = (IdMap::new(), IdMap::new());
    renumber(world, part, [&mut *users, &mut *items])?;
    let gone = |before: usize, all: &IdMap| (before - all.len()) as u64;
    Ok([gone(before[0], users), gone(before[1], items), ratings - total(world, part)?])
}

fn total(world: &dyn World, part: &Part) -> Result<u64> {
    Ok(each(world, part.triples.value.len() as u64)?.iter().sum())
}
