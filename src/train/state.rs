//! What a run saves after an epoch, and how it goes on from that.

use super::Checkpoint;
use super::checkpoint::{Document, FORMAT, Tensors};
use super::keep::factors;
use super::run::Run;
use crate::data::Side;
use crate::error::Result;
use crate::event::{Epoch, Event};
use crate::kernel::Dispatch;
use crate::optim::State;
use crate::problem::Shard;
use crate::world::together::of_first;

const WRONG_NUMBERS: &str = "has too few or too many of the optimiser's numbers, or wrong ones";

impl Run<'_, '_> {
    /// What the device has of the state: the factors, and what the optimiser keeps.
    fn live(&self) -> Vec<State> {
        factors(&self.problem).chain(self.config.optimizer.state()).collect()
    }

    /// Sees before the first epoch that there is room for what will be saved after it.
    pub(super) fn reserve(&mut self) -> Result<()> {
        let kept = self.snapshot.as_ref().map_or(&[][..], |snapshot| snapshot.kept().0);
        let rows = self.problem.side(Side::Users).shards.iter().map(Shard::rows).sum::<usize>() as u64;
        // The others' rows are saved, too.
        let all = self.saver.share().map_or(rows, |share| share.users as u64 + 1);
        let bytes = |state: &State| {
            let own = state.buffers.iter().map(|buffer| 4 * buffer.len() as u64).sum::<u64>();
            if state.side == Some(Side::Users) { own / rows * all } else { own }
        };
        let bytes = self.live().iter().chain(kept).map(bytes).sum();
        self.saver.reserve(bytes)
    }

    /// Saves the state after an epoch. What is recorded is played first.
    pub(super) fn save(&mut self, recording: &mut Vec<Dispatch>) -> Result<()> {
        if !self.saver.saves() {
            return Ok(());
        }
        self.backend.dispatch(recording)?;
        recording.clear();
        let kept = self.snapshot.as_ref().filter(|snapshot| snapshot.filled);
        let (live, numbers) = (self.live(), self.config.optimizer.numbers());
        let kept_states = kept.map_or(&[][..], |snapshot| snapshot.kept().0);
        let mut whole = Vec::new();
        if let Some(team) = &self.saver.team {
            for (prefix, states) in [("", &live[..]), ("kept_", kept_states)] {
                whole.push((prefix, team.states(states, self.backend)?));
            }
            if !team.leads() {
                let sound = of_first(self.backend.world(), 0u8)? != 0;
                return if sound { Ok(()) } else { Err(self.diverged(self.done)) };
            }
        }
        let mut tensors = Tensors::default();
        if whole.is_empty() {
            tensors.device("", &live);
            tensors.device("kept_", kept_states);
        }
        for (prefix, states) in &whole {
            states.iter().for_each(|(name, values)| tensors.host(format!("{prefix}{name}"), values));
        }
        tensors.numbers("numbers", &numbers);
        if let Some(snapshot) = kept {
            tensors.numbers("kept_numbers", snapshot.kept().1);
        }
        let document = Document {
            checkpoint: FORMAT,
            settings: self.saver.settings.clone(),
            device: self.backend.describe().to_owned(),
            buffer_bytes: Some(self.backend.max_buffer_bytes()),
            epoch: self.done,
            seconds: self.seconds(),
            last: self.last,
            best: self.best,
            kept: kept.is_some(),
            curve: self.curve.clone(),
            ends: self.saver.members.iter().map(|member| member.end.clone()).collect(),
        };
        let saved = self.saver.save(&document, tensors, self.backend)?;
        of_first(self.backend.world(), u8::from(saved.is_some()))?;
        match saved {
            Some(saved) => self.observer.event(&Event::Checkpointed(saved)),
            None => return Err(self.diverged(self.done)),
        }
        Ok(())
    }

    /// Takes the state of a checkpoint over.
    pub(super) fn resume(&mut self, mut from: Checkpoint) -> Result<()> {
        let Document { epoch, seconds, last, best, kept, curve, .. } = from.document().clone();
        for named in self.live() {
            from.fill("", &named, self.saver.team.as_ref(), self.backend)?;
        }
        if let Some(snapshot) = self.snapshot.as_mut().filter(|_| kept) {
            for named in snapshot.kept().0 {
                from.fill("kept_", named, self.saver.team.as_ref(), self.backend)?;
            }
            let numbers = from.read_numbers("kept_numbers", self.backend.world())?;
            // Those that could not be brought back at the end are refused now.
            if numbers.len() != snapshot.kept().1.len() || !self.config.optimizer.set_numbers(&numbers) {
                return Err(from.bad(WRONG_NUMBERS));
            }
            snapshot.loaded(numbers);
        }
        let numbers = from.read_numbers("numbers", self.backend.world())?;
        if !self.config.optimizer.set_numbers(&numbers) {
            return Err(from.bad(WRONG_NUMBERS));
        }
        let lost = best.is_some() && !kept && self.keeps_best();
        if last.epoch > epoch || best.is_some_and(|best| best.epoch > epoch) || lost || seconds < 0.0 {
            return Err(from.bad("contradicts itself"));
        }
        (self.done, self.earlier, self.curve) = (epoch, seconds, curve);
        self.last = Epoch { epochs: self.config.epochs, member: None, ..last };
        // Patience counts from it, even where nobody kept its factors.
        self.best = best.map(|best| Epoch { epochs: self.config.epochs, ..best });
        Ok(())
    }
}
