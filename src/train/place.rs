//! A run's buffers on their device: all of them, or with the ratings streamed.

use super::Dataset;
use super::keep::Snapshot;
use super::plan::{PAGE_BYTES, Plan, Shape};
use super::saver::Saver;
use super::setup::setup;
use crate::backend::{Backend, Residence};
use crate::config::{Checked, Keep, ModelKind};
use crate::data::Layout;
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::model::BaselineBiases;
use crate::optim::Objective;
use crate::problem::{Problem, Setup};
use crate::world::Share;

/// Whether the model will have the factors of the best epoch.
pub(super) fn keeps_best(config: &Checked, validates: bool) -> bool {
    validates && config.config.keep != Some(Keep::Last)
}

/// Whether a copy of the best epoch's result is kept, for the model or to be rescued.
///
/// `listened`: whether somebody wants to know of each epoch.
pub(super) fn keeps_copy(config: &Checked, validates: bool, listened: bool) -> bool {
    let rescued = config.optimizer.can_diverge() && listened;
    (keeps_best(config, validates) || rescued) && config.epochs > 0
}

/// Whether there is anything to validate with, on any process.
pub(super) fn validates(data: &Dataset, share: Option<&Share>) -> bool {
    share.map_or_else(|| data.validates(), |share| share.held[0] > 0)
}

/// What is descended, on these ratings.
pub(super) fn objective<'a>(config: &Checked, data: &'a Dataset) -> Objective<'a> {
    Objective {
        train: &data.train,
        loss: config.config.loss,
        reg: config.reg,
        mask: config.model == ModelKind::Svdpp,
        epochs: config.epochs,
    }
}

/// What a problem is laid out from, beside the configuration.
pub(super) struct Start<'a> {
    /// Of the training ratings here.
    pub(super) layout: Layout,
    /// Their baseline.
    pub(super) baseline: Option<&'a BaselineBiases>,
    /// Whether a model's factors take the place of those drawn.
    pub(super) filled: bool,
}

/// Allocates what a run needs, if its plan says that there is room.
///
/// # Errors
/// As [`Plan::check`], [`Problem::new`] and [`crate::optim::Optimizer::prepare`].
pub(super) fn place(
    config: &mut Checked,
    data: &Dataset,
    start: Start<'_>,
    saver: &Saver<'_>,
    backend: &mut dyn Backend,
    observer: &mut dyn Observer,
) -> Result<(Problem, Option<Snapshot>)> {
    let (listened, share) = (saver.listened, saver.share());
    // What rows a device can take depends on it.
    backend.set_mapping(config.config.kernels.mapping());
    let plan =
        Plan::new(config, &Shape::with(data, start.layout.known(), config.model, share), listened, backend)?;
    plan.check(false)?;
    let first = backend.allocated();
    if let Some(bytes) = plan.page_bytes {
        observer.event(&Event::Notice(streamed(bytes)));
        return with_pages(config, data, start, plan.page_bytes, saver, backend);
    }
    let untold = plan.fused && plan.memory.available.is_none() && plan.memory.residence == Residence::Device;
    let Start { baseline, filled, .. } = start;
    match with_pages(config, data, start, None, saver, backend) {
        // The others are beyond where this process would begin anew.
        Err(Error::OutOfMemory { what, needed, available, .. }) if untold && share.is_some() => {
            let remedy = "start more processes, or pass --max-memory-bytes: what does not fit is streamed";
            Err(Error::OutOfMemory { what, needed, available, remedy: remedy.to_owned() })
        }
        // A device that tells nothing of its memory may hold all but the ratings.
        Err(Error::OutOfMemory { .. }) if untold => {
            backend.release(first);
            let bytes = PAGE_BYTES.min(backend.max_buffer_bytes());
            observer.event(&Event::Notice(streamed(bytes)));
            let start = Start { layout: Layout::with(&data.train, share), baseline, filled };
            with_pages(config, data, start, Some(bytes), saver, backend)
        }
        placed => placed,
    }
}

fn with_pages(
    config: &mut Checked,
    data: &Dataset,
    start: Start<'_>,
    page_bytes: Option<u64>,
    saver: &Saver<'_>,
    backend: &mut dyn Backend,
) -> Result<(Problem, Option<Snapshot>)> {
    let Start { layout, baseline, filled } = start;
    let biases = baseline.filter(|_| config.optimizer.starts_biased(config.reg));
    let mut setup = Setup { biases, page_bytes, share: saver.share(), ..setup(config, data) };
    if filled {
        setup.start_rank = setup.rank;
    }
    let problem = Problem::laid_out(&setup, layout, backend)?;
    config.optimizer.prepare(&problem, &objective(config, data), backend)?;
    let keeps = keeps_copy(config, validates(data, saver.share()), saver.listened);
    let snapshot = keeps.then(|| Snapshot::new(&problem, &*config.optimizer, backend)).transpose()?;
    Ok((problem, snapshot))
}

fn streamed(page_bytes: u64) -> String {
    format!(
        "the device's memory can't hold the ratings beside the factors: they are streamed, {:.1} MiB at a time",
        page_bytes as f64 / f64::from(1 << 20)
    )
}
