//! When a run is saved, when it is stopped, and what an error says of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::average::Part;
use super::checkpoint::{Document, Tensors};
use super::{Checkpoint, Checkpointing, Controls, Dataset, Every, sameness};
use crate::backend::Backend;
use crate::config::Checked;
use crate::data::Ratings;
use crate::error::{Error, Result};
use crate::event::{Checkpointed, Reached};
use crate::interrupt::{Interrupt, Signal};
use crate::model::Model;

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
    ) -> Result<(Self, Option<Checkpoint>)> {
        let Controls { interrupt, checkpoint, resume, initial } = controls;
        if initial.is_some() && config.config.average > 1 {
            return Err(Error::usage(
                "an average of models that all start from one would be that one's successor S times over",
                "leave --average out, or --init-model",
            ));
        }
        let settings = if checkpoint.is_some() || resume.is_some() {
            sameness::settings(config, data, initial)
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
        };
        Ok((saver, resume))
    }

    /// SHA-256 of the training ratings, which are hashed once.
    pub(super) fn ratings_hash(&self, ratings: &Ratings) -> String {
        self.settings.get(sameness::RATINGS).cloned().unwrap_or_else(|| ratings.hash())
    }

    /// The signal that asks for the end, if one does.
    pub(super) fn interrupted(&self) -> Option<Signal> {
        self.interrupt.as_ref().and_then(Interrupt::raised)
    }

    /// Whether checkpoints are saved at all.
    pub(super) fn saves(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// Counts an epoch and says whether a checkpoint is due.
    pub(super) fn due(&mut self) -> bool {
        self.epochs_since += 1;
        match self.checkpoint.as_ref().map(|checkpoint| checkpoint.every) {
            None => false,
            Some(Every::Epochs(epochs)) => self.epochs_since >= epochs,
            Some(Every::Time(time)) => self.at.elapsed() >= time,
        }
    }

    /// Writes a checkpoint and tells of it; `None` if a number is not finite.
    pub(super) fn save<'t>(
        &'t mut self,
        document: &Document,
        mut tensors: Tensors<'t>,
        backend: &mut dyn Backend,
    ) -> Result<Option<Checkpointed>> {
        let none = || Error::Internal("a checkpoint without a file".to_owned());
        let Checkpointing { file, .. } = self.checkpoint.as_mut().ok_or_else(none)?;
        for (number, member) in self.members.iter().enumerate() {
            member.tensors(number, &mut tensors);
        }
        let Some(bytes) = tensors.save(document, backend, file)? else { return Ok(None) };
        let path = file.path().to_owned();
        let reached = self.reached(document.epoch);
        self.saved = Some((path.clone(), reached));
        (self.at, self.epochs_since) = (Instant::now(), 0);
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
