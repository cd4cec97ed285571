//! Optimisers: how an epoch changes the factors. Each is one file, with its
//! formula, its table of hyperparameters, what it records and its tests, and
//! one line in [`OPTIMIZERS`]. None of them knows a backend: they record
//! kernels on the buffers of a [`Problem`].

mod adam;
mod als;
mod batch;
mod gd;
mod line_search;
mod momentum;
mod sgd;

use std::fmt;

use crate::backend::{Backend, Buffer};
use crate::config::{Loss, Reg};
use crate::data::{Ratings, Side};
use crate::error::{Error, Result};
use crate::kernel::Dispatch;
use crate::model::Posterior;
use crate::problem::Problem;

/// Every optimiser, in the order of the help text.
pub const OPTIMIZERS: &[&OptimizerSpec] =
    &[&line_search::SPEC, &als::SPEC, &sgd::SPEC, &adam::SPEC, &momentum::SPEC, &gd::SPEC];

/// A hyperparameter, for help, docs and checks.
#[derive(Debug, Clone, Copy)]
pub struct Hyperparameter {
    /// Its key in `--opt key=value`.
    pub key: &'static str,
    /// What it is, with its unit.
    pub doc: &'static str,
    /// Its default, as one would write it.
    pub default: &'static str,
    /// The values that are accepted, in words.
    pub range: &'static str,
}

/// An optimiser as a value: the registry's entry.
#[derive(Debug)]
pub struct OptimizerSpec {
    /// Its name in `--optimizer NAME`.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// Its update.
    pub formula: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Epochs that it runs by default.
    pub epochs: u32,
    /// Whether it can learn its regularization, and prior means, from the data.
    pub learns: bool,
    /// Whether it has fused kernels: it records no more of Δ than [`Problem::record_gradient`], or
    /// walks [`Problem::chunks`] itself.
    pub fuses: bool,
    /// The largest rank that it takes.
    pub max_rank: usize,
    /// Elements of the widest row that it keeps for a row of factors of this
    /// width: shards are cut so that they fit a buffer.
    pub row_elements: fn(usize) -> usize,
    /// Loop iterations that one invocation of its kernels runs for a cell of
    /// its row, for factors of this width: shards are cut so that a device that
    /// bounds its loops can run them.
    pub cell_loops: fn(usize) -> u64,
    /// [Work](Dispatch::work) of its kernels for a cell, for factors of this width: shards are cut
    /// so that no dispatch keeps a device busy for long.
    pub cell_work: fn(usize) -> u64,
    /// Its hyperparameters.
    pub hyperparameters: &'static [Hyperparameter],
    build: fn(&Options<'_>) -> Result<Box<dyn Optimizer>>,
}

impl OptimizerSpec {
    /// Every hyperparameter with its text, as it is set or by default. Numbers are
    /// written in one way, so that equal settings have equal texts.
    pub(crate) fn texts(&'static self, settings: &[(String, String)]) -> Vec<(&'static str, String)> {
        let options = Options { spec: self, settings };
        let text = |key| {
            let text = options.text(key);
            text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string())
        };
        self.hyperparameters.iter().map(|h| (h.key, text(h.key))).collect()
    }

    /// The optimiser with these settings; what is not set has its default.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown key, a key given twice or a value out of range.
    pub fn build(&'static self, settings: &[(String, String)]) -> Result<Box<dyn Optimizer>> {
        for (i, (key, _)) in settings.iter().enumerate() {
            if !self.hyperparameters.iter().any(|h| h.key == key) {
                let known: Vec<&str> = self.hyperparameters.iter().map(|h| h.key).collect();
                let what = format!("optimizer {} has no option `{key}`", self.name);
                let remedy = match &known[..] {
                    [] => "it has none".to_owned(),
                    _ => format!("it has: {}", known.join(", ")),
                };
                return Err(Error::usage(what, remedy));
            }
            if settings[..i].iter().any(|(earlier, _)| earlier == key) {
                return Err(Error::usage(format!("option `{key}` is given twice"), "pass it once"));
            }
        }
        (self.build)(&Options { spec: self, settings })
    }
}

/// Settings on their way into an optimiser.
#[derive(Debug)]
struct Options<'a> {
    spec: &'static OptimizerSpec,
    settings: &'a [(String, String)],
}

impl Options<'_> {
    /// A hyperparameter's text, or its default.
    fn text(&self, key: &str) -> &str {
        let given = self.settings.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        given.unwrap_or_else(|| self.default(key))
    }

    fn default(&self, key: &str) -> &'static str {
        self.spec.hyperparameters.iter().find(|h| h.key == key).map_or("", |h| h.default)
    }

    /// The place of the text in `names`, or an error that names the range.
    fn choice(&self, key: &str, names: &[&str]) -> Result<usize> {
        let text = self.text(key);
        names.iter().position(|name| *name == text).ok_or_else(|| self.out_of_range(key))
    }

    /// A number that satisfies `accept` and that f32 holds, or an error that names the range.
    fn number(&self, key: &str, accept: impl Fn(f64) -> bool) -> Result<f64> {
        match self.text(key).parse::<f64>() {
            Ok(value) if accept(value) && (value as f32).is_finite() => Ok(value),
            _ => Err(self.out_of_range(key)),
        }
    }

    fn out_of_range(&self, key: &str) -> Error {
        let range = self.spec.hyperparameters.iter().find(|h| h.key == key).map_or("", |h| h.range);
        Error::usage(
            format!("{key}={} is no value for optimizer {}", self.text(key), self.spec.name),
            format!("pass {range}"),
        )
    }
}

/// What is descended, beyond what the problem's buffers hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective<'a> {
    /// The ratings, in the order of their file.
    pub train: &'a Ratings,
    /// The convention of the loss.
    pub loss: Loss,
    /// Fixed penalties, or learned from the data.
    pub reg: Reg,
    /// Prior means from who rated what.
    pub mask: bool,
    /// Epochs that will run.
    pub epochs: u32,
}

/// Buffers of f32 that an optimiser keeps from epoch to epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What they hold: a name of its own in the optimiser.
    pub name: &'static str,
    /// A buffer a shard, or one.
    pub buffers: Vec<Buffer>,
    /// Whether they belong to the result of an epoch as the factors do, such as
    /// variances: whoever keeps an epoch's factors keeps a copy of these with them.
    pub result: bool,
    /// The side whose rows they have, if they have a row each.
    pub side: Option<Side>,
}

impl State {
    /// What only the next epoch needs.
    fn carried(name: &'static str, side: impl Into<Option<Side>>, buffers: impl Into<Vec<Buffer>>) -> Self {
        Self { name, buffers: buffers.into(), result: false, side: side.into() }
    }

    /// What belongs to the result, too.
    fn result(name: &'static str, side: impl Into<Option<Side>>, buffers: impl Into<Vec<Buffer>>) -> Self {
        Self { name, buffers: buffers.into(), result: true, side: side.into() }
    }
}

/// A method that changes the factors, epoch by epoch.
pub trait Optimizer: fmt::Debug + Send {
    /// Called once before the first epoch: allocates state, settles what depends on the data.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    fn prepare(
        &mut self,
        problem: &Problem,
        objective: &Objective<'_>,
        backend: &mut dyn Backend,
    ) -> Result<()>;

    /// Asks a ledger for what `prepare` would ask a device for, of a [sketch](Problem::sketch); what
    /// is asked of the ratings in `prepare` must not be asked here.
    ///
    /// # Errors
    /// As [`Optimizer::prepare`].
    fn sketch(
        &mut self,
        problem: &Problem,
        objective: &Objective<'_>,
        ledger: &mut dyn Backend,
    ) -> Result<()> {
        self.prepare(problem, objective, ledger)
    }

    /// Latent factors of a model of this rank that start from a draw: 1 to `rank`. The others are 0 on
    /// both sides, and stay so, until the optimiser fills them.
    ///
    /// `reg`: as of [`Objective`].
    fn start_rank(&self, rank: usize, reg: Reg) -> usize {
        let _ = reg;
        rank
    }

    /// Latent factors that an epoch, counted from 1, has; the others are still 0. Called after `prepare`.
    fn epoch_rank(&self, epoch: u32, problem: &Problem) -> usize {
        let _ = epoch;
        problem.rank
    }

    /// Whether biases start where the [baseline](crate::model::BiasBaseline) has them, rather than at 0.
    ///
    /// `reg`: as of [`Objective`].
    fn starts_biased(&self, reg: Reg) -> bool {
        let _ = reg;
        false
    }

    /// Whether an epoch starts from Δ. If so, the caller records Δ of the
    /// factors as they are behind each epoch.
    fn uses_residuals(&self) -> bool {
        true
    }

    /// Called before an epoch, counted from 1, is recorded: changes what the host has to change first. So
    /// an epoch that is the last leaves what it found.
    ///
    /// `recording`: what has yet to be played before anything is read or written; whoever plays it leaves it
    /// empty.
    ///
    /// # Errors
    /// As [`Backend::dispatch`], [`Backend::read`] and [`Backend::write`].
    fn begin(
        &mut self,
        epoch: u32,
        problem: &Problem,
        recording: &mut Vec<Dispatch>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let _ = (epoch, problem, recording, backend);
        Ok(())
    }

    /// Records one epoch, counted from 1.
    ///
    /// # Errors
    /// As the kernels' dispatches.
    fn record(&mut self, epoch: u32, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()>;

    /// Called when the epoch has been dispatched: reads what the next one depends on.
    ///
    /// # Errors
    /// As [`Backend::read`].
    fn observe(&mut self, epoch: u32, problem: &Problem, backend: &mut dyn Backend) -> Result<()> {
        let _ = (epoch, problem, backend);
        Ok(())
    }

    /// Whether an epoch can end worse than any bound, as one with a learning rate can.
    fn can_diverge(&self) -> bool {
        true
    }

    /// What an epoch leaves on the device for the next one, beside the factors. A run
    /// that finds the factors, these buffers and [`Optimizer::numbers`] as an
    /// epoch left them goes on with the same bits.
    fn state(&self) -> Vec<State> {
        Vec::new()
    }

    /// What an epoch leaves on the host: as many numbers after each epoch, none of them NaN.
    fn numbers(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Takes over what [`Optimizer::numbers`] told after some epoch. Called after
    /// `prepare`, when the buffers hold what belongs to it. Returns whether there
    /// are as many as there should be.
    fn set_numbers(&mut self, numbers: &[f64]) -> bool {
        numbers.is_empty()
    }

    /// Whether an epoch depends on how many there will be, as a falling rate makes it.
    fn has_horizon(&self) -> bool {
        false
    }

    /// How certain the factors are after the last epoch, if the method knows.
    ///
    /// # Errors
    /// As [`Backend::read`].
    fn posterior(&self, problem: &Problem, backend: &mut dyn Backend) -> Result<Option<Posterior>> {
        let _ = (problem, backend);
        Ok(None)
    }

    /// The settings that ran, with what `prepare` settled, by key.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// What to change if it diverges.
    fn remedy(&self) -> String;
}

/// The registry's entry with this name.
///
/// # Errors
/// [`Error::Usage`] that lists the names there are.
pub fn find(name: &str) -> Result<&'static OptimizerSpec> {
    OPTIMIZERS.iter().find(|spec| spec.name == name).copied().ok_or_else(|| {
        let names: Vec<&str> = OPTIMIZERS.iter().map(|spec| spec.name).collect();
        Error::usage(format!("there is no optimizer `{name}`"), format!("pass one of: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(name: &str, settings: &[(&str, &str)]) -> Result<Box<dyn Optimizer>> {
        let settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        find(name)?.build(&settings)
    }

    #[test]
    fn every_default_is_accepted() {
        for spec in OPTIMIZERS {
            let all: Vec<(&str, &str)> = spec.hyperparameters.iter().map(|h| (h.key, h.default)).collect();
            build(spec.name, &all).unwrap();
            build(spec.name, &[]).unwrap();
        }
    }

    #[test]
    fn what_does_not_exist_is_named_with_what_does() {
        let error = find("magic").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("gd"), "{error}");
        let error = build("gd", &[("rat", "1")]).unwrap_err().to_string();
        assert!(error.contains("rat") && error.contains("rate"), "{error}");
        assert!(build("gd", &[("rate", "1"), ("rate", "2")]).is_err());
        let error = build("als", &[("rate", "1")]).unwrap_err().to_string();
        assert!(error.contains("it has none"), "{error}");
    }

    #[test]
    fn optimizers_name_no_backend() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/optim"))];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        assert!(files.len() > OPTIMIZERS.len());
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            for backend in [concat!("wg", "pu"), concat!("ray", "on"), concat!("Cpu", "Backend")] {
                assert!(!text.contains(backend), "{} names {backend}", path.display());
            }
        }
    }
}
