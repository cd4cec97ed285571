//! Training with others: which processes they are, what this one has, and how what each has
//! becomes one.

use bytemuck::Pod;

use super::Dataset;
use crate::backend::Backend;
use crate::config::Checked;
use crate::data::{Compressed, Held, Ids, Ratings, Side, offsets};
use crate::error::Result;
use crate::model::{BaselineBiases, Model, Posterior};
use crate::optim::State;
use crate::problem::read_shards;
use crate::world::together::{any, of_first};
use crate::world::{Share, World};

/// The processes that train one model together, and this one's part of the data.
#[derive(Debug, Clone, Copy)]
pub struct Team<'a> {
    /// The processes.
    pub world: &'a dyn World,
    /// What this one has.
    pub share: &'a Share,
}

impl<'a> Team<'a> {
    /// Whether this process speaks, writes and has the model in the end.
    pub fn leads(&self) -> bool {
        self.world.process() == 0
    }

    /// As [`Model::estimate_bytes`], on the first process.
    pub fn estimate_bytes(&self, config: &Checked, data: &Dataset, item_names: Option<&Ids>) -> u64 {
        let users = self.share.ids.clone().unwrap_or_default();
        let ids = Ratings { users, items: data.train.items.clone(), ..Ratings::default() };
        Model::estimate_bytes(config, &ids, item_names) + 4 * self.share.stats.count
    }

    /// What the processes have, one's behind the other's: `None` on all but the first.
    ///
    /// # Errors
    /// As [`World::send`].
    pub(super) fn joined<T: Pod>(&self, mine: &[T]) -> Result<Option<Vec<T>>> {
        let world = self.world;
        if !self.leads() {
            world.send(0, &(mine.len() as u64).to_le_bytes())?;
            world.send(0, bytemuck::cast_slice(mine))?;
            return Ok(None);
        }
        let mut all = mine.to_vec();
        for process in 1..world.processes() {
            let mut len = [0; 8];
            world.receive(process, &mut len)?;
            let first = all.len();
            let len = usize::try_from(u64::from_le_bytes(len)).unwrap_or(usize::MAX);
            // No more than it takes: it may be most of what there is.
            all.reserve_exact(len);
            all.resize(first.saturating_add(len), T::zeroed());
            world.receive(process, bytemuck::cast_slice_mut(&mut all[first..]))?;
        }
        Ok(Some(all))
    }

    /// Replaces what this process has by what all have, on the first.
    fn join<T: Pod>(&self, mine: &mut Vec<T>) -> Result<()> {
        if let Some(all) = self.joined(mine)? {
            *mine = all;
        }
        Ok(())
    }

    /// The ratings to validate with of all processes, on the first; on the others, their own.
    pub(super) fn valid(&self, data: &Dataset) -> Result<Option<Held>> {
        self.held(&data.valid, self.share.held[0])
    }

    /// Held ratings of all users, `all` of them, by the users' numbers among all; on the other processes
    /// than the first, of their own.
    fn held(&self, own: &Option<Held>, all: u64) -> Result<Option<Held>> {
        if all == 0 {
            return Ok(own.clone());
        }
        let none = Held::default();
        let held = own.as_ref().unwrap_or(&none);
        const UNKNOWN: u32 = u32::MAX;
        let first = self.share.own().start as u32;
        let number = |index: &Option<u32>, first: u32| index.map_or(UNKNOWN, |index| index + first);
        let mut user: Vec<u32> = held.user.iter().map(|user| number(user, first)).collect();
        let mut item: Vec<u32> = held.item.iter().map(|item| number(item, 0)).collect();
        let mut value = held.value.clone();
        self.join(&mut user)?;
        self.join(&mut item)?;
        self.join(&mut value)?;
        let known =
            |all: Vec<u32>| all.into_iter().map(|index| (index != UNKNOWN).then_some(index)).collect();
        Ok(Some(Held { user: known(user), item: known(item), value }))
    }

    /// What a model has of users, of all of them, on the first process.
    pub(super) fn whole(&self, users: &mut Users<'_>) -> Result<()> {
        let Users { ids, factors, bias, seen, posterior, baseline } = users;
        self.join(factors)?;
        self.join(bias)?;
        **seen = self.seen(std::mem::take(seen))?;
        if let Some(posterior) = posterior {
            self.join(&mut posterior.user_noise)?;
            self.join(&mut posterior.user_variances)?;
            self.join(&mut posterior.user_bias_variances)?;
            if let Some(mask) = &mut posterior.mask {
                self.join(&mut mask.item_mask_factors)?;
            }
        }
        // Whether there is one depends on every process's biases.
        if any(self.world, baseline.is_none())? {
            **baseline = None;
        } else if let Some(baseline) = baseline {
            self.join(&mut baseline.user_bias)?;
        }
        if let Some(all) = self.share.ids.as_ref().filter(|_| self.leads()) {
            **ids = all.clone();
        }
        Ok(())
    }

    fn seen(&self, own: Compressed) -> Result<Compressed> {
        let Compressed { offsets: at, mut columns } = own;
        let mut counts: Vec<u64> = at.iter().zip(at.iter().skip(1)).map(|(start, end)| end - start).collect();
        self.join(&mut counts)?;
        self.join(&mut columns)?;
        Ok(Compressed { offsets: offsets(&counts), columns })
    }

    /// What buffers hold, by name: of users, of all processes'. On the others than the first, nothing.
    pub(super) fn states(
        &self,
        states: &[State],
        backend: &mut dyn Backend,
    ) -> Result<Vec<(&'static str, Vec<f32>)>> {
        let mut all = Vec::new();
        for state in states {
            let values = read_shards(state.buffers.iter().copied(), backend)?;
            let values = match state.side {
                Some(Side::Users) => self.rows(&values)?,
                _ => Some(values).filter(|_| self.leads()),
            };
            all.extend(values.map(|values| (state.name, values)));
        }
        Ok(all)
    }

    /// The elements of buffers whose rows are users', of all processes: on the first.
    ///
    /// `values`: this process's rows and the one of anyone unknown, which is the same everywhere.
    pub(super) fn rows(&self, values: &[f32]) -> Result<Option<Vec<f32>>> {
        let last = self.world.process() + 1 == self.world.processes();
        let own = self.share.own().len();
        let width = values.len() / (own + 1);
        self.joined(&values[..if last { values.len() } else { own * width }])
    }

    /// The way back: this process's part of what the first has of all.
    ///
    /// `len`: elements of the part.
    pub(super) fn part(&self, all: Option<&[f32]>, len: usize) -> Result<Vec<f32>> {
        let Share { users, ref bounds, .. } = *self.share;
        let width = len / (self.share.own().len() + 1);
        let mut part = vec![0.0f32; len];
        match all {
            Some(all) => {
                let unknown = &all[users * width..];
                for (process, bounds) in bounds.windows(2).enumerate().rev() {
                    let rows = [&all[bounds[0] * width..bounds[1] * width], unknown].concat();
                    match process {
                        0 => part = rows,
                        other => self.world.send(other, bytemuck::cast_slice(&rows))?,
                    }
                }
            }
            None => self.world.receive(0, bytemuck::cast_slice_mut(&mut part))?,
        }
        Ok(part)
    }
}

/// What a model has of users.
#[derive(Debug)]
pub(super) struct Users<'a> {
    pub(super) ids: &'a mut Ids,
    pub(super) factors: &'a mut Vec<f32>,
    pub(super) bias: &'a mut Vec<f32>,
    pub(super) seen: &'a mut Compressed,
    pub(super) posterior: Option<&'a mut Posterior>,
    pub(super) baseline: &'a mut Option<BaselineBiases>,
}

/// One of a few choices, or none, as the first process makes it: clocks differ.
pub(super) fn agreed<T: Copy + PartialEq>(
    world: &dyn World,
    choices: &[T],
    mine: Option<T>,
) -> Result<Option<T>> {
    let number = mine.and_then(|mine| choices.iter().position(|choice| *choice == mine));
    let number = of_first(world, number.map_or(0, |number| number as u64 + 1))? as usize;
    Ok(choices.get(number.wrapping_sub(1)).copied())
}

impl Dataset {
    /// The ratings to validate and to test with of all processes, on the first; of the training ratings,
    /// only the ids.
    ///
    /// # Errors
    /// As [`World::send`].
    pub fn measured(&self, team: &Team<'_>) -> Result<Dataset> {
        let users = team.share.ids.clone().unwrap_or_else(|| self.train.users.clone());
        Ok(Dataset {
            train: Ratings { users, items: self.train.items.clone(), ..Default::default() },
            valid: team.valid(self)?,
            test: team.held(&self.test, team.share.held[1])?,
        })
    }
}
