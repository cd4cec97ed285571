//! When a run is saved, when it is stopped, and what an error says of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::average::Part;
use super::checkpoint::{Document, Tensors};
use super::{Checkpoint, Checkpointing, Controls, Dataset, Every, Team, sameness};
use crate::backend::Backend;
use crate::config::Checked;
use crate::error::{Error, Result};
use crate::event::{Checkpointed, Observer, Reached};
use crate::interrupt::{Interrupt, Signal};
use crate::model::Model;
use crate::world::together::of_first;
use crate::world::{Alone, Share, World};

/// What steers a run, over all members of an average.
#[derive(Debug)]
pub(super) struct Saver<'a> {
    interrupt: Option<Interrupt>,
    checkpoint: Option<Checkpointing>,
    /// The model to start from.
    pub(super) initial: Option<&'a Model>,
    /// What must be the same to go on; empty where nothing is saved.
    pub(super) settings: BTreeMap<String, String>,
    /// The members of an average that are done.
    pub(super) members: Vec<Part>,
    /// When the last checkpoint was saved, or the run began.
    at: Instant,
    epochs_since: u32,
    /// The file and the epoch of the last checkpoint.
    saved: Option<(PathBuf, Reached)>,
    /// Whether an average is trained.
    average: bool,
    /// The processes that train together, where they are several.
    pub(super) team: Option<Team<'a>>,
    /// Whether checkpoints are saved: by the first process, of all.
    saves: bool,
    /// Whether somebody wants to know of each epoch.
    pub(super) listened: bool,
}

impl<'a> Saver<'a> {
    /// Checks that what there is to go on from is of this run.
    ///
    /// # Errors
    /// As [`sameness::check`].
    pub(super) fn new(
        controls: Controls<'a>,
        config: &Checked,
        data: &Dataset,
        observer: &dyn Observer,
    ) -> Result<(Self, Option<Checkpoint>)> {
        let Controls { interrupt, checkpoint, resume, initial, team } = controls;
        let world = team.as_ref().map_or(&Alone as &dyn World, |team| team.world);
        let saves = of_first(world, u8::from(checkpoint.is_some()))? != 0;
        let listened = of_first(world, u8::from(observer.wants_epochs()))? != 0;
        let resume = match &team {
            Some(team) => Checkpoint::heard(resume, team)?,
            None => resume,
        };
        if team.is_some() && config.config.average > 1 {
            return Err(Error::usage("an average is trained in one process", "leave --average out"));
        }
        if initial.is_some() && config.config.average > 1 {
            return Err(Error::usage(
                "an average of models that all start from one would be that one's successor S times over",
                "leave --average out, or --init-model",
            ));
        }
        let settings = if saves || resume.is_some() {
            sameness::settings(config, data, initial, team.map(|team| team.share))
        } else {
            BTreeMap::new()
        };
        if let Some(from) = &resume {
            sameness::check(from, &settings, config.epochs)?;
        }
        let saved = resume.as_ref().map(|from| (from.path().to_owned(), from.reached()));
        let saver = Self {
            interrupt,
            checkpoint,
            initial,
            settings,
            members: Vec::new(),
            at: Instant::now(),
            epochs_since: 0,
            saved,
            average: config.config.average > 1,
            team,
            saves,
            listened,
        };
        Ok((saver, resume))
    }

    /// What this process has of the data, where there are several.
    pub(super) fn share(&self) -> Option<&'a Share> {
        self.team.map(|team| team.share)
    }

    /// SHA-256 of the training ratings, where they were hashed already.
    pub(super) fn ratings_hash(&self) -> Option<String> {
        let known = self.share().map(|share| &share.hashes[0]);
        known.or_else(|| self.settings.get(sameness::RATINGS)).cloned()
    }

    /// The signal that asks for the end, if one does.
    pub(super) fn interrupted(&self) -> Option<Signal> {
        self.interrupt.as_ref().and_then(Interrupt::raised)
    }

    /// Whether checkpoints are saved at all.
    pub(super) fn saves(&self) -> bool {
        self.saves
    }

    /// Counts an epoch and says whether a checkpoint is due, by the first process's clock.
    pub(super) fn due(&mut self, world: &dyn World) -> Result<bool> {
        self.epochs_since += 1;
        if !self.saves {
            return Ok(false);
        }
        let due = match self.checkpoint.as_ref().map(|checkpoint| checkpoint.every) {
            None => false,
            Some(Every::Epochs(epochs)) => self.epochs_since >= epochs,
            Some(Every::Time(time)) => self.at.elapsed() >= time,
        };
        Ok(of_first(world, u8::from(due))? != 0)
    }

    /// Writes a checkpoint and tells of it; `None` if a number is not finite.
    pub(super) fn save<'t>(
        &'t mut self,
        document: &Document,
        mut tensors: Tensors<'t>,
        backend: &mut dyn Backend,
    ) -> Result<Option<Checkpointed>> {
        let reached = self.reached(document.epoch);
        (self.at, self.epochs_since) = (Instant::now(), 0);
        let none = || Error::Internal("a checkpoint without a file".to_owned());
        let Checkpointing { file, .. } = self.checkpoint.as_mut().ok_or_else(none)?;
        for (number, member) in self.members.iter().enumerate() {
            member.tensors(number, &mut tensors);
        }
        let Some(bytes) = tensors.save(document, backend, file)? else { return Ok(None) };
        let path = file.path().to_owned();
        self.saved = Some((path.clone(), reached));
        Ok(Some(Checkpointed { path, reached, bytes }))
    }

    /// Sees that there is room for a checkpoint of about so many bytes.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<()> {
        self.checkpoint.as_mut().map_or(Ok(()), |checkpoint| checkpoint.file.reserve(bytes))
    }

    fn reached(&self, epoch: u32) -> Reached {
        Reached { member: self.average.then_some(self.members.len() as u32 + 1), epoch }
    }

    /// The end that a signal asked for.
    pub(super) fn stopped_by(&self, signal: Signal, epoch: u32) -> Error {
        let reached = self.reached(epoch);
        let checkpoint = self.saved.as_ref().filter(|(_, saved)| *saved == reached && self.saves());
        Error::Interrupted {
            signal,
            reached: Some(reached),
            checkpoint: checkpoint.map(|(path, _)| path.clone()),
        }
    }

    /// An error with the checkpoint to go on from, where going on may end otherwise.
    pub(super) fn resumable(self, error: Error) -> Error {
        let transient = matches!(
            error,
            Error::Device { .. } | Error::OutOfMemory { .. } | Error::Io { .. } | Error::Internal(_)
        );
        if transient { error.resumable(self.saved) } else { error }
    }
}
