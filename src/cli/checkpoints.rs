//! Where a run begins, and where it is saved on the way.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::output::Claim;
use crate::train::{Checkpoint, Checkpointing, Every};

/// The flags about checkpoints, and the warm start, which is another thing.
#[derive(Debug, Args)]
pub(super) struct Checkpoints {
    /// Save the state of the training here as it goes, and at its end: --resume goes on from it with the same result
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// How often: after N epochs, or with the epoch that is running after N seconds [default: 60s]
    #[arg(long, value_name = "N|Ns", requires = "checkpoint", allow_negative_numbers = true)]
    checkpoint_every: Option<Every>,

    /// Go on from --checkpoint, if it is there: for the same ratings and flags, with the result of an unbroken run
    #[arg(long, requires = "checkpoint")]
    resume: bool,

    /// Start from the factors of this model instead of random ones: a new run, not the old one continued
    #[arg(long, value_name = "MODEL")]
    init_model: Option<PathBuf>,
}

impl Checkpoints {
    /// Refuses a checkpoint in the place of the model or of an input.
    pub(super) fn apart_from(&self, out: &Path, inputs: &[PathBuf]) -> Result<()> {
        let Some(path) = &self.checkpoint else { return Ok(()) };
        let place = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let resolved = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| place(path));
        let what = if resolved(path) == resolved(out) {
            "is --out and --checkpoint at once"
        } else if inputs.iter().chain(&self.init_model).any(|input| resolved(input) == resolved(path)) {
            "is an input of this very call"
        } else {
            return Ok(());
        };
        Err(Error::CantCreate {
            path: path.clone(),
            what: what.to_owned(),
            remedy: "pass another --checkpoint".to_owned(),
        })
    }

    /// Takes the file, and opens what is there to go on from.
    ///
    /// # Errors
    /// [`Error::CantCreate`] if there is one and nothing says what to do with it; as
    /// [`Claim::acquire`] and [`Checkpoint::load`].
    pub(super) fn open(&self, force: bool) -> Result<(Option<Checkpointing>, Option<Checkpoint>)> {
        let Some(path) = &self.checkpoint else { return Ok((None, None)) };
        // Once it is ours, nobody else puts one there.
        let file = Claim::acquire(path, true)?;
        let resume = goes_on(path, self.resume, force)?.then(|| Checkpoint::load(path)).transpose()?;
        let every = self.checkpoint_every.unwrap_or_default();
        Ok((Some(Checkpointing { file, every }), resume))
    }

    /// What to say of a --resume that finds nothing.
    pub(super) fn notice(&self, resumed: bool) -> Option<String> {
        let path = self.checkpoint.as_ref().filter(|_| self.resume && !resumed)?;
        Some(format!("there is no {} yet: starting with the first epoch", path.display()))
    }

    /// The model to start from.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub(super) fn initial(&self) -> Result<Option<Model>> {
        self.init_model.as_ref().map(Model::load).transpose()
    }
}

/// Whether there is something to go on from, in a file that is ours.
///
/// # Errors
/// [`Error::CantCreate`] if there is and nothing says what to do with it.
pub(super) fn goes_on(path: &Path, resume: bool, force: bool) -> Result<bool> {
    let there = std::fs::symlink_metadata(path).is_ok();
    if there && !resume && !force {
        return Err(Error::CantCreate {
            path: path.to_owned(),
            what: "exists".to_owned(),
            remedy: "pass --resume to go on from it, or --force to start anew".to_owned(),
        });
    }
    Ok(there && resume)
}
