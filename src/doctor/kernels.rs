//! Every kernel on a small problem, on a device and on the CPU.

use super::pair::{KernelCheck, Pair};
use super::parts::parts;
use crate::backend::cpu::CpuBackend;
use crate::backend::{Backend, alloc_f32, alloc_u32};
use crate::config::{Kernels, ModelKind, Precision, Reg, TrainConfig};
use crate::data::Ratings;
use crate::data::planted::Planted;
use crate::error::Result;
use crate::event::{Event, Silent};
use crate::kernel::gather_rows::{AT_ONCE, GatherRows};
use crate::kernel::{Element, KERNELS};
use crate::model::{Model, TopN};
use crate::train::{Dataset, train};

/// The largest [difference](KernelCheck::difference) that rounding explains: sums of some hundred
/// f32 terms in another order, and quotients of such sums. Measured: below 1e-6.
pub const TOLERANCE: f64 = 1e-4;

/// What a device computes, kernel by kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceCheck {
    /// The device in words.
    pub device: String,
    /// The kernels that ran, in the order of [`KERNELS`].
    pub kernels: Vec<KernelCheck>,
    /// The kernels that this device has no use for: those of f16 where it has none.
    pub unused: Vec<&'static str>,
}

impl KernelCheck {
    /// Whether rounding explains the difference.
    pub fn agrees(&self) -> bool {
        self.difference <= TOLERANCE
    }
}

impl DeviceCheck {
    /// The kernel that is farthest from its twin.
    pub fn worst(&self) -> Option<&KernelCheck> {
        self.kernels.iter().max_by(|a, b| a.difference.total_cmp(&b.difference))
    }

    /// Whether every kernel agrees with its twin.
    pub fn agrees(&self) -> bool {
        self.kernels.iter().all(KernelCheck::agrees)
    }
}

/// Runs every kernel on a small planted problem: each optimiser trains for some epochs, with the
/// fused and with the textbook kernels, and recommends. Each call is played on the CPU; the first
/// ones of every kernel on `device` as well, from the same numbers. `device` must hold no buffers.
///
/// `threads`: of the CPU; `None` takes one a core.
///
/// # Errors
/// Those of the device.
pub fn check_kernels(device: &mut dyn Backend, threads: Option<usize>) -> Result<DeviceCheck> {
    let split = Planted::new(200, 150, 5_000).rank(4).seed(7).generate()?.split(0.1, 7)?;
    let data = Dataset { train: split.train, valid: Some(split.test), test: None };
    let name = device.describe().to_owned();
    let halves = device.halves();
    let mut pair = Pair::new(CpuBackend::new(threads)?, device);
    let mut last = None;
    for config in runs(halves) {
        last = Some(train(config.check()?, &data, &mut pair, &mut Silent)?);
        pair.next_run();
    }
    if let Some(model) = last {
        recommend(&model, &mut pair)?;
        pair.next_run();
    }
    gather(&data.train, &mut pair)?;
    pair.next_run();
    parts(&data.train, &mut pair)?;
    pair.next_run();
    let mut checks = pair.into_checks();
    let kernels: Vec<KernelCheck> = KERNELS.iter().filter_map(|kernel| checks.remove(kernel.name)).collect();
    let ran = |name: &str| kernels.iter().any(|check| check.kernel == name);
    let unused = KERNELS.iter().map(|kernel| kernel.name).filter(|name| !ran(name)).collect();
    Ok(DeviceCheck { device: name, kernels, unused })
}

/// Short runs that call every kernel there is.
fn runs(halves: bool) -> Vec<TrainConfig> {
    let learned = TrainConfig {
        rank: 16,
        epochs: Some(4),
        reg: Some(Reg::Auto),
        options: [("warm-up", "1"), ("settle", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        ..TrainConfig::default()
    };
    let fixed = |optimizer: &str, kernels| TrainConfig {
        rank: 16,
        optimizer: optimizer.to_owned(),
        model: Some(ModelKind::Biased),
        epochs: Some(3),
        reg: Some(Reg::Fixed(0.5)),
        kernels,
        ..TrainConfig::default()
    };
    let mut runs = Vec::new();
    for kernels in [Kernels::Fused, Kernels::Textbook] {
        runs.push(TrainConfig { kernels, ..learned.clone() });
        runs.extend(["line-search", "gd", "momentum", "adam"].map(|name| fixed(name, kernels)));
    }
    runs.extend(["als", "sgd"].map(|name| fixed(name, Kernels::Textbook)));
    if halves {
        runs.push(TrainConfig { kernels: Kernels::Fused, precision: Precision::F16, ..learned });
    }
    runs
}

fn recommend(model: &Model, pair: &mut Pair<'_>) -> Result<()> {
    let users: Vec<u32> = (0..model.users.len() as u32).collect();
    model.predictor().top_n(&users, &TopN::default(), pair, |_| Ok(()))?;
    Ok(())
}

/// The kernel that measures memory, which no training needs.
fn gather(ratings: &Ratings, pair: &mut Pair<'_>) -> Result<()> {
    let (width, each) = (16, AT_ONCE);
    let columns = ratings.by_user().0.columns;
    let indices = &columns[..columns.len() / each * each];
    let factors: Vec<f32> = (0..ratings.items.len() * width).map(|e| (e as f32).sin()).collect();
    let call = GatherRows {
        indices: alloc_u32(pair, "indices", indices)?,
        factors: alloc_f32(pair, "factors", &factors)?,
        sums: pair.alloc("sums", Element::F32, indices.len() / each * width)?,
        each,
        width,
    };
    pair.dispatch(&[call.dispatch()?])
}

/// Ratings that a second of training handles: the default method at rank 32 on 100,000 planted ones.
///
/// # Errors
/// Those of the device.
pub fn training_speed(device: &mut dyn Backend) -> Result<f64> {
    let ratings = Planted::new(2_000, 1_000, 100_000).generate()?.ratings;
    let data = Dataset { train: ratings, valid: None, test: None };
    let config = TrainConfig { epochs: Some(8), ..TrainConfig::default() };
    let mut speeds = Vec::new();
    train(config.check()?, &data, device, &mut |event: &Event| {
        if let Event::Epoch(epoch) = event {
            speeds.push(epoch.ratings_per_second);
        }
    })?;
    speeds.sort_by(f64::total_cmp);
    Ok(speeds.get(speeds.len() / 2).copied().unwrap_or(0.0))
}
