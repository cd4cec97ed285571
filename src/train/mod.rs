//! The host loop: epochs, losses, events, checkpoints, the best epoch, and the model at the end.

mod average;
mod checkpoint;
mod controls;
mod curve;
mod finish;
mod keep;
mod metadata;
mod notices;
mod place;
mod plan;
mod run;
mod sameness;
mod saver;
mod setup;
mod state;
mod team;
mod traffic;
mod warm;

use crate::backend::{Backend, Together};
use crate::config::Checked;
use crate::data::{Held, Ratings};
use crate::error::Result;
use crate::event::Observer;
use crate::model::Model;

pub(crate) use setup::setup;

pub use checkpoint::Checkpoint;
pub use controls::{Checkpointing, Controls, Every};
pub use plan::{Item, Place, Plan, Shape, When};
pub use team::Team;
pub use traffic::Traffic;

use self::run::Run;
use self::saver::Saver;

/// What to train on.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// The training ratings.
    pub train: Ratings,
    /// Ratings held out of them.
    pub valid: Option<Held>,
    /// Ratings from a test file: measured, never trained on.
    pub test: Option<Held>,
}

impl Dataset {
    /// Whether there is anything to validate with.
    pub fn validates(&self) -> bool {
        self.valid.as_ref().is_some_and(|valid| !valid.is_empty())
    }
}

/// Trains a model.
///
/// The factors start from the seed, so that every backend starts equal. With a
/// validation part the factors of its best epoch are kept on the device, and
/// the model has them, unless the configuration says otherwise.
///
/// An average trains its members one after the other, each with its own best
/// epoch, and tells of one end; a time limit is for all of them together.
///
/// The device's memory is given back. A loss is read back only if the observer wants epochs, once at the end, and
/// wherever the end depends on it.
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) if the configuration needs a validation part and there is
/// none. [`Error::Diverged`](crate::Error::Diverged) as soon as a loss that is read is not finite or
/// has exploded, or if the final factors are not finite: with the model of the
/// best epoch before, by validation RMSE or else by training RMSE, if one was
/// better than the mean for all. [`Error::OutOfMemory`](crate::Error::OutOfMemory) and
/// [`Error::Device`](crate::Error::Device) from the device.
pub fn train(
    config: Checked,
    data: &Dataset,
    backend: &mut dyn Backend,
    observer: &mut dyn Observer,
) -> Result<Model> {
    train_with(config, data, backend, observer, Controls::default())
}

/// As [`train`], with checkpoints, from a checkpoint or a model, or with a flag that stops it.
///
/// Several processes, a [`Team`], train what one would: all call this with the same configuration, each
/// with its own users' data. The first has the model in the end, the others one of their users; the
/// first alone needs a checkpoint's file and the checkpoint to go on from.
///
/// A run that goes on from a [`Checkpoint`] ends with the same bits as one that
/// was never interrupted, on the same device.
///
/// # Errors
/// As [`train`]. [`Error::Usage`](crate::Error::Usage) if the checkpoint is of
/// other data or settings, or does not fit the initial model's.
/// [`Error::Interrupted`](crate::Error::Interrupted) where the flag is raised
/// before the last epoch. An error after a checkpoint was saved is an
/// [`Error::Resumable`](crate::Error::Resumable) that names it, unless going on would only repeat it.
pub fn train_with(
    config: Checked,
    data: &Dataset,
    backend: &mut dyn Backend,
    observer: &mut dyn Observer,
    controls: Controls<'_>,
) -> Result<Model> {
    let first = backend.allocated();
    let mut together;
    let backend: &mut dyn Backend = match controls.team {
        Some(team) => {
            together = Together::new(backend, team.world);
            &mut together
        }
        None => backend,
    };
    let (mut saver, resumed) = Saver::new(controls, &config, data, observer)?;
    let model = if config.config.average > 1 {
        average::train(config, data, backend, observer, &mut saver, resumed)
    } else {
        Run::start(config, data, backend, observer, &mut saver, resumed).and_then(Run::finish)
    };
    backend.release(first);
    model.map_err(|error| saver.resumable(error))
}
