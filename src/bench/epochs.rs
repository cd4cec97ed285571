//! Epochs of an optimiser, one by one, with a clock beside them.

use std::time::Instant;

use super::limits::wait;
use super::{Gather, Measurement, Plan, since};
use crate::backend::{Backend, Buffer};
use crate::config::{Checked, ModelKind, Reg, TrainConfig};
use crate::error::Result;
use crate::kernel::Element;
use crate::optim::Objective;
use crate::problem::Problem;
use crate::train::{Dataset, setup};

/// A problem on a device with an optimiser at work on it. Nothing is measured but the epochs: no loss is read.
#[derive(Debug)]
pub struct EpochRun {
    config: Checked,
    problem: Problem,
    clock: Buffer,
    epoch: u32,
}

impl EpochRun {
    /// Puts the problem on the device, as training does.
    ///
    /// # Errors
    /// As [`train`](crate::train::train).
    pub fn new(config: TrainConfig, data: &Dataset, backend: &mut dyn Backend) -> Result<Self> {
        let mut config = config.check()?;
        let problem = Problem::new(&setup(&config, data), backend)?;
        let objective = Objective {
            train: &data.train,
            loss: config.config.loss,
            reg: config.reg,
            mask: config.model == ModelKind::Svdpp,
            epochs: u32::MAX,
        };
        config.optimizer.prepare(&problem, &objective, backend)?;
        let clock = backend.alloc("clock", Element::F32, 1)?;
        let mut run = Self { config, problem, clock, epoch: 0 };
        if run.config.optimizer.uses_residuals() {
            let mut recording = Vec::new();
            run.problem.record_residuals(&mut recording)?;
            backend.dispatch(&recording)?;
        }
        run.wait(backend)?;
        Ok(run)
    }

    /// Runs an epoch, and waits for it.
    ///
    /// # Errors
    /// Those of the device.
    pub fn epoch(&mut self, backend: &mut dyn Backend) -> Result<()> {
        self.epoch += 1;
        let mut recording = Vec::new();
        self.config.optimizer.begin(self.epoch, &self.problem, &mut recording, backend)?;
        self.config.optimizer.record(self.epoch, &self.problem, &mut recording)?;
        if self.config.optimizer.uses_residuals() {
            self.problem.record_residuals(&mut recording)?;
        }
        backend.dispatch(&recording)?;
        self.config.optimizer.observe(self.epoch, &self.problem, backend)?;
        self.wait(backend)
    }

    fn wait(&mut self, backend: &mut dyn Backend) -> Result<()> {
        wait(self.clock, backend)
    }
}

/// A kind of epoch.
struct Kind {
    work: &'static str,
    optimizer: &'static str,
    model: Option<ModelKind>,
    reg: Option<Reg>,
    /// Epochs before the clock starts: line-search has all factors then, and learns.
    before: u32,
    /// Rows that each rating needs of the other side: factors; then variances, and two of the
    /// sums over who rated what.
    rows: f64,
}

const KINDS: [Kind; 3] = [
    Kind {
        work: "epoch, gradient",
        optimizer: "gd",
        model: Some(ModelKind::Biased),
        reg: None,
        before: 1,
        rows: 1.0,
    },
    Kind {
        work: "epoch, fixed λ",
        optimizer: "line-search",
        model: Some(ModelKind::Biased),
        reg: Some(Reg::Fixed(1.2)),
        before: 1,
        rows: 1.0,
    },
    Kind { work: "epoch, default", optimizer: "line-search", model: None, reg: None, before: 6, rows: 4.0 },
];

/// Each kind of epoch at a rank, beside what the gather alone takes.
pub(super) fn measure(
    plan: &Plan,
    data: &Dataset,
    rank: usize,
    gather: &Gather,
    backend: &mut dyn Backend,
    each: &mut dyn FnMut(&Measurement) -> Result<()>,
) -> Result<()> {
    for kind in KINDS {
        let config = TrainConfig {
            rank,
            seed: plan.seed,
            optimizer: kind.optimizer.to_owned(),
            model: kind.model,
            reg: kind.reg,
            precision: plan.precision,
            ..TrainConfig::default()
        };
        let first = backend.allocated();
        let mut run = EpochRun::new(config, data, backend)?;
        for _ in 0..kind.before {
            run.epoch(backend)?;
        }
        let seconds = median_epoch(&mut run, plan.quick, backend)?;
        backend.release(first);
        each(&Measurement {
            work: kind.work,
            rank: Some(rank),
            seconds,
            per_second: Some(data.train.len() as f64 / seconds),
            unit: Some("ratings"),
            bytes_per_second: Some(kind.rows * gather.bytes / seconds),
            of_limit: Some(kind.rows * gather.seconds / seconds),
            ..Measurement::default()
        })?;
    }
    Ok(())
}

/// Seconds of the middle one of some epochs: at least three, and for as long as it takes to trust them.
fn median_epoch(run: &mut EpochRun, quick: bool, backend: &mut dyn Backend) -> Result<f64> {
    let (most, enough) = if quick { (3, 0.0) } else { (15, 1.0) };
    let mut times = Vec::new();
    let began = Instant::now();
    while times.len() < 3 || (times.len() < most && since(began) < enough) {
        let start = Instant::now();
        run.epoch(backend)?;
        times.push(since(start));
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
