//! A data set in memory, shared out as processes have it.

use deltav::data::{Held, Ids, Ratings};
use deltav::train::Dataset;
use deltav::world::{Share, blocks};

/// Users `from..to` of ids.
fn some(ids: &Ids, from: usize, to: usize) -> Ids {
    let all: Vec<&[u8]> = ids.iter().skip(from).take(to - from).collect();
    let mut offsets = vec![0];
    all.iter().for_each(|id| offsets.push(offsets[offsets.len() - 1] + id.len() as u64));
    Ids::from_parts(all.concat(), offsets).unwrap()
}

/// Each process's part; `None` where there are fewer user blocks than processes.
pub fn shares(data: &Dataset, processes: usize) -> Option<Vec<(Dataset, Share)>> {
    let train = &data.train;
    let (m, known) = (train.users.len(), train.known());
    let block = blocks(m, train.len() as u64);
    let count = m.div_ceil(block);
    if count < processes {
        return None;
    }
    let bounds: Vec<usize> = (0..=processes).map(|p| (count * p / processes * block).min(m)).collect();
    let len = |held: &Option<Held>| held.as_ref().map_or(0, |held| held.len() as u64);
    let hash = |held: &Option<Held>| held.as_ref().map_or("none".to_owned(), Held::hash);
    let share = |process| Share {
        users: m,
        bounds: bounds.clone(),
        process,
        block,
        item_counts: known.item_counts.clone(),
        rated_users: known.user_counts.iter().filter(|&&n| n > 0).count() as u64,
        longest_user: known.user_counts.iter().max().copied().unwrap_or(0),
        stats: train.stats(),
        held: [len(&data.valid), len(&data.test)],
        hashes: [train.hash(), hash(&data.valid), hash(&data.test)],
        ids: (process == 0).then(|| train.users.clone()),
    };
    let part = |process: usize| {
        let (from, to) = (bounds[process], bounds[process + 1]);
        let mut own = Ratings { items: train.items.clone(), ..Ratings::default() };
        own.users = some(&train.users, from, to);
        for (user, item, value) in train.iter() {
            if (from..to).contains(&(user as usize)) {
                own.user.push(user - from as u32);
                own.item.push(item);
                own.value.push(value);
            }
        }
        let held = |held: &Option<Held>| {
            let mut own = Held::default();
            for (user, item, value) in held.as_ref()?.iter() {
                let here = user.map_or(process + 1 == processes, |u| (from..to).contains(&(u as usize)));
                if here {
                    own.user.push(user.map(|user| user - from as u32));
                    own.item.push(item);
                    own.value.push(value);
                }
            }
            Some(own)
        };
        Dataset { train: own, valid: held(&data.valid), test: held(&data.test) }
    };
    Some((0..processes).map(|process| (part(process), share(process))).collect())
}
