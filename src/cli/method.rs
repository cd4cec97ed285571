//! What is trained, and where: the flags that `train`, `cv` and others share.

use clap::Args;

use super::args::{key_value, one_of, threads};
use super::help;
use super::render::Renderer;
use super::streams::Streams;
use crate::backend::{Backend, DeviceChoice, OpenOptions, open};
use crate::config::{Kernels, Loss, ModelKind, Precision, Reg, RegScaling, TrainConfig};
use crate::error::Result;
use crate::event::{Event, Observer};
use crate::world::Local;

const LOSSES: &[Loss] = &[Loss::Mean, Loss::Sum];
const SCALINGS: &[RegScaling] = &[RegScaling::Sqrt, RegScaling::None, RegScaling::Count];

/// What is trained.
#[derive(Debug, Args)]
pub(super) struct Method {
    /// The form of a prediction [default: svdpp; biased with a fixed --reg or an optimizer that can't learn]
    #[arg(long, value_name = "MODEL", value_parser = one_of(&ModelKind::ALL, ModelKind::name), long_help = help::models())]
    model: Option<ModelKind>,

    #[arg(long, value_name = "K", allow_negative_numbers = true, default_value_t = TrainConfig::default().rank, help = help::rank())]
    rank: usize,

    #[arg(long, value_name = "N", allow_negative_numbers = true, help = help::epochs())]
    epochs: Option<u32>,

    /// Seed of the initial factors and of the hold-out
    #[arg(long, value_name = "SEED", allow_negative_numbers = true, default_value_t = 0)]
    pub(super) seed: u64,

    /// How the factors are found
    #[arg(long, value_name = "NAME", default_value_t = TrainConfig::default().optimizer, long_help = help::optimizers())]
    optimizer: String,

    /// A hyperparameter of the optimizer; see --help
    #[arg(long = "opt", value_name = "KEY=VALUE", value_parser = key_value)]
    options: Vec<(String, String)>,

    /// Average the predictions of S models, from this seed and the next ones: one model of S times the rank
    #[arg(
        long,
        value_name = "S",
        default_value_t = 1,
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    average: u32,

    /// What is minimised: (1/N)·Σe² or ½·Σe²
    #[arg(long, value_name = "LOSS", default_value = "mean", value_parser = one_of(LOSSES, Loss::name))]
    loss: Loss,

    /// auto: learned from the data; or an L2 penalty λ [default: auto; 1.2 for optimizers that can't learn it, 0 for plain]
    #[arg(long, value_name = "auto|LAMBDA", allow_negative_numbers = true)]
    reg: Option<Reg>,

    /// How a fixed λ grows with a row's number n of ratings: λ·√n, λ or λ·n [default: sqrt]
    #[arg(long, value_name = "SCALING", value_parser = one_of(SCALINGS, RegScaling::name))]
    reg_scaling: Option<RegScaling>,

    /// Another λ for the biases, with a fixed --reg [default: the same]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    reg_bias: Option<f64>,

    /// Which kernels train: fused where they can, or those that are written to be read; a GPU may give a row to an invocation or to a group of lanes [default: auto]
    #[arg(long, value_name = "KERNELS", hide_short_help = true, default_value = "auto", hide_default_value = true, value_parser = one_of(&Kernels::ALL, Kernels::name))]
    kernels: Kernels,

    /// In which precision the fused kernels gather the other side's factors: f16 is for GPUs [default: f32]
    #[arg(long, value_name = "PRECISION", hide_short_help = true, default_value = "f32", hide_default_value = true, value_parser = one_of(&Precision::ALL, Precision::name))]
    precision: Precision,

    /// Don't clip predictions to the range of the ratings
    #[arg(long)]
    no_clip: bool,
}

/// Where it is trained.
#[derive(Debug, Args)]
pub(super) struct Device {
    /// auto, gpu, gpu:N (see `deltav devices`), gpu:auto (another one for each process of a computer), cpu, or software (the GPU's kernels on the CPU)
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,

    /// Threads of the CPU [default: one a core]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = threads)]
    threads: Option<usize>,

    /// Cut the data into buffers of at most this many bytes, as on a small GPU
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    max_buffer_bytes: Option<u64>,

    /// Take at most this many bytes of a GPU's memory: what does not fit is streamed
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    max_memory_bytes: Option<u64>,

    /// Who else trains on this computer.
    #[arg(skip)]
    pub(super) local: Local,
}

impl Method {
    pub(super) fn config(&self) -> TrainConfig {
        TrainConfig {
            model: self.model,
            rank: self.rank,
            epochs: self.epochs,
            seed: self.seed,
            optimizer: self.optimizer.clone(),
            options: self.options.clone(),
            loss: self.loss,
            reg: self.reg,
            reg_scaling: self.reg_scaling,
            reg_bias: self.reg_bias,
            clip: !self.no_clip,
            average: self.average,
            kernels: self.kernels,
            precision: self.precision,
            ..TrainConfig::default()
        }
    }
}

impl Device {
    /// Opens the device and says where the pick may surprise.
    pub(super) fn open(&self, renderer: &mut Renderer<'_>) -> Result<Box<dyn Backend>> {
        let opened = open(self.device, &self.options())?;
        if let Some(notice) = opened.notice {
            renderer.event(&Event::Notice(notice));
        }
        Ok(opened.backend)
    }

    /// Opens the device for a command that renders nothing else of it.
    pub(super) fn open_alone(&self, streams: &mut Streams, json: bool) -> Result<Box<dyn Backend>> {
        let mut renderer = Renderer::new(streams, json);
        let backend = self.open(&mut renderer)?;
        renderer.finish()?;
        Ok(backend)
    }

    /// Opens the device for so many products, about. A GPU is not worth its start for a few, so
    /// `auto` takes the CPU for them.
    pub(super) fn open_for(&self, products: u64) -> Result<Box<dyn Backend>> {
        const FEW: u64 = 1 << 34;
        let few = self.device == DeviceChoice::Auto && products < FEW;
        let choice = if few { DeviceChoice::Cpu } else { self.device };
        Ok(open(choice, &self.options())?.backend)
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            threads: self.threads(),
            max_buffer_bytes: self.max_buffer_bytes,
            max_memory_bytes: self.max_memory_bytes,
            place: self.local.process,
        }
    }

    /// As many as asked for, or this process's share where it is one of several.
    fn threads(&self) -> Option<usize> {
        self.threads.or(self.local.threads)
    }

    /// Reading and preparing take no more threads than training.
    pub(super) fn limit_threads(&self) {
        if let Some(threads) = self.threads() {
            // Refused only where a pool exists already, or by a system that will refuse the backend's as well.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        }
    }
}
