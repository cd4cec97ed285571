//! Which device trains: what there is, what was asked for, and why one is picked.

use std::fmt;
use std::str::FromStr;

use super::Backend;
use super::cpu::CpuBackend;
use crate::error::{Error, Result};

/// What to say where no GPU was found.
const INSTALL: &str = "install the GPU's Vulkan driver (Debian and Ubuntu: apt-get install mesa-vulkan-drivers \
                       libvulkan1 for AMD and Intel, the vendor's driver for NVIDIA; `deltav doctor` says what is missing), \
                       or pass --device cpu";

/// What was asked for with `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A hardware GPU, else the CPU with a notice.
    #[default]
    Auto,
    /// The best hardware GPU, or the one with this number in `deltav devices`.
    Gpu(Option<usize>),
    /// One of the best hardware GPUs: another one for each process of a computer, see
    /// [`OpenOptions::place`].
    GpuEach,
    /// The CPU backend.
    Cpu,
    /// A software adapter such as Mesa's lavapipe: the GPU kernels, run by the CPU.
    Software,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu(None)),
            "gpu:auto" => Ok(Self::GpuEach),
            "cpu" => Ok(Self::Cpu),
            "software" => Ok(Self::Software),
            _ => match s.strip_prefix("gpu:").map(str::parse) {
                Some(Ok(number)) => Ok(Self::Gpu(Some(number))),
                _ => Err(format!(
                    "`{s}` is no device; pass auto, gpu, gpu:N (see `deltav devices`), gpu:auto, cpu or software"
                )),
            },
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Gpu(None) => f.write_str("gpu"),
            Self::GpuEach => f.write_str("gpu:auto"),
            Self::Gpu(Some(number)) => write!(f, "gpu:{number}"),
            Self::Cpu => f.write_str("cpu"),
            Self::Software => f.write_str("software"),
        }
    }
}

/// What an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU passed into a virtual machine.
    Virtual,
    /// A GPU that does not say.
    Other,
    /// No GPU: the CPU runs the shaders.
    Software,
}

impl AdapterKind {
    /// The kind in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Other => "other",
            Self::Software => "software",
        }
    }
}

/// An adapter as `deltav devices` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// Its maker, by PCI vendor number.
    pub vendor: String,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// The driver with its version.
    pub driver: String,
    /// Hardware or software.
    pub kind: AdapterKind,
    /// The largest buffer in bytes.
    pub max_buffer_bytes: u64,
    /// The largest piece of a buffer that a kernel can bind, in bytes; data above it are sharded.
    pub max_binding_bytes: u64,
}

/// How to open a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    /// Threads of the CPU backend; `None`: one a core.
    pub threads: Option<usize>,
    /// Shard the data into buffers of at most this many bytes; `None`: as large as the device takes.
    pub max_buffer_bytes: Option<u64>,
    /// Take at most this many bytes of a GPU's memory; `None`: as many as it gives.
    pub max_memory_bytes: Option<u64>,
    /// The number of this process among those that train on this computer: `auto` and `gpu:auto`
    /// give each another GPU, as long as there are any.
    pub place: usize,
}

/// An open device.
pub struct Opened {
    /// The device.
    pub backend: Box<dyn Backend>,
    /// One line for the user where the pick may surprise.
    pub notice: Option<String>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("backend", &self.backend.describe())
            .field("notice", &self.notice)
            .finish()
    }
}

/// Which of the adapters a choice means; `None` is the CPU backend.
///
/// Hardware goes before software, discrete before integrated; a software
/// adapter is never taken for a GPU. Where each process gets another one, they share those that are
/// as good as the best, in turn by their `place`.
///
/// # Errors
/// [`Error::Device`] that says what is there and what to install.
pub fn pick(choice: DeviceChoice, adapters: &[Adapter], place: usize) -> Result<Option<usize>> {
    let rank = |kind: AdapterKind| match kind {
        AdapterKind::Discrete => Some(0),
        AdapterKind::Integrated => Some(1),
        AdapterKind::Virtual => Some(2),
        AdapterKind::Other => Some(3),
        AdapterKind::Software => None,
    };
    let best = (0..adapters.len())
        .filter_map(|i| rank(adapters[i].kind).map(|rank| (rank, i)))
        .min()
        .map(|(_, i)| i);
    // The same GPU may be listed again for another interface.
    let alike = |a: &Adapter, b: &Adapter| (a.kind, &a.backend) == (b.kind, &b.backend);
    let each = best.and_then(|best| {
        let all: Vec<usize> = (0..adapters.len()).filter(|&i| alike(&adapters[i], &adapters[best])).collect();
        all.get(place % all.len().max(1)).copied()
    });
    let software = adapters.iter().position(|a| a.kind == AdapterKind::Software);
    match choice {
        DeviceChoice::Cpu => Ok(None),
        DeviceChoice::Auto => Ok(each),
        DeviceChoice::Gpu(None) | DeviceChoice::GpuEach => {
            let gpu = if choice == DeviceChoice::GpuEach { each } else { best };
            gpu.map(Some).ok_or_else(|| match software {
            Some(i) => Error::device(
                format!("no hardware GPU found, only the software adapter {}", adapters[i].name),
                format!("{INSTALL} or --device software"),
            ),
            None => Error::device("no GPU found", INSTALL),
        })
        }
        DeviceChoice::Gpu(Some(number)) if number < adapters.len() => Ok(Some(number)),
        DeviceChoice::Gpu(Some(number)) => Err(Error::device(
            format!("there is no adapter {number}, {} found", adapters.len()),
            "see `deltav devices` for the numbers",
        )),
        DeviceChoice::Software => software.map(Some).ok_or_else(|| {
            Error::device(
                "no software adapter found",
                "install one (Debian and Ubuntu: apt-get install mesa-vulkan-drivers libvulkan1), or pass --device cpu",
            )
        }),
    }
}

/// Every adapter of this machine; empty where there is none or the crate has no `gpu` feature.
pub fn adapters() -> Vec<Adapter> {
    gpu::list().into_iter().map(|(_, adapter)| adapter).collect()
}

/// Opens the device that a choice means.
///
/// # Errors
/// As [`pick`], or [`Error::Device`] if the device can't be opened.
pub fn open(choice: DeviceChoice, options: &OpenOptions) -> Result<Opened> {
    let found = if choice == DeviceChoice::Cpu { Vec::new() } else { gpu::list() };
    let adapters: Vec<Adapter> = found.iter().map(|(_, adapter)| adapter.clone()).collect();
    if let Some(i) = pick(choice, &adapters, options.place)? {
        return Ok(Opened { backend: gpu::open(&found[i].0, options)?, notice: None });
    }
    let mut cpu = CpuBackend::new(options.threads)?;
    if let Some(bytes) = options.max_buffer_bytes {
        cpu = cpu.with_max_buffer_bytes(bytes);
    }
    let notice = (choice == DeviceChoice::Auto).then(|| {
        let why = if !cfg!(feature = "gpu") {
            "built without GPU support"
        } else if adapters.is_empty() {
            "no GPU found"
        } else {
            "no hardware GPU found"
        };
        format!("{why}: training on the CPU with {} threads (`deltav doctor` tells more)", cpu.threads())
    });
    Ok(Opened { backend: Box::new(cpu), notice })
}

#[cfg(feature = "gpu")]
mod gpu {
    use super::{Adapter, AdapterKind, Backend, OpenOptions, Result};
    use crate::backend::gpu::{GpuBackend, GpuOptions, enumerate};

    pub(super) fn list() -> Vec<(wgpu::Adapter, Adapter)> {
        enumerate()
            .into_iter()
            .map(|adapter| {
                let report = describe(&adapter);
                (adapter, report)
            })
            .collect()
    }

    pub(super) fn open(adapter: &wgpu::Adapter, options: &OpenOptions) -> Result<Box<dyn Backend>> {
        let options = GpuOptions {
            max_buffer_bytes: options.max_buffer_bytes,
            max_workgroups: None,
            max_memory_bytes: options.max_memory_bytes,
            ..GpuOptions::default()
        };
        Ok(Box::new(GpuBackend::new(adapter, &options)?))
    }

    fn describe(adapter: &wgpu::Adapter) -> Adapter {
        let info = adapter.get_info();
        let limits = adapter.limits();
        Adapter {
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
                wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
                wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
                wgpu::DeviceType::Cpu => AdapterKind::Software,
                wgpu::DeviceType::Other => AdapterKind::Other,
            },
            vendor: vendor(info.vendor),
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            max_buffer_bytes: limits.max_buffer_size,
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            name: info.name,
        }
    }

    fn vendor(number: u32) -> String {
        match number {
            0x1002 => "AMD".to_owned(),
            0x106b => "Apple".to_owned(),
            0x10005 => "Mesa".to_owned(),
            0x10de => "NVIDIA".to_owned(),
            0x13b5 => "Arm".to_owned(),
            0x1414 => "Microsoft".to_owned(),
            0x5143 => "Qualcomm".to_owned(),
            0x8086 => "Intel".to_owned(),
            other => format!("{other:#06x}"),
        }
    }
}

#[cfg(not(feature = "gpu"))]
mod gpu {
    use super::{Adapter, Backend, OpenOptions, Result};

    /// No adapter can exist in a build without the GPU backend.
    pub(super) enum Never {}

    pub(super) fn list() -> Vec<(Never, Adapter)> {
        Vec::new()
    }

    pub(super) fn open(adapter: &Never, _: &OpenOptions) -> Result<Box<dyn Backend>> {
        match *adapter {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(kind: AdapterKind) -> Adapter {
        Adapter {
            name: kind.name().to_owned(),
            vendor: String::new(),
            backend: String::new(),
            driver: String::new(),
            kind,
            max_buffer_bytes: 0,
            max_binding_bytes: 0,
        }
    }

    #[test]
    fn auto_takes_hardware_and_never_software() {
        let software = adapter(AdapterKind::Software);
        let integrated = adapter(AdapterKind::Integrated);
        let discrete = adapter(AdapterKind::Discrete);
        let all = [software.clone(), integrated.clone(), discrete];
        assert_eq!(pick(DeviceChoice::Auto, &all, 0).unwrap(), Some(2));
        assert_eq!(pick(DeviceChoice::Auto, &[software.clone(), integrated], 0).unwrap(), Some(1));
        assert_eq!(pick(DeviceChoice::Auto, &[software], 0).unwrap(), None);
        assert_eq!(pick(DeviceChoice::Auto, &[], 0).unwrap(), None);
    }

    #[test]
    fn processes_of_a_computer_share_its_best_gpus() {
        let (software, integrated, discrete) = (
            adapter(AdapterKind::Software),
            adapter(AdapterKind::Integrated),
            adapter(AdapterKind::Discrete),
        );
        let other = Adapter { backend: "DX12".to_owned(), ..discrete.clone() };
        let all = [software.clone(), discrete.clone(), integrated, discrete.clone(), other];
        for choice in [DeviceChoice::Auto, DeviceChoice::GpuEach] {
            let picked = (0..5).map(|place| pick(choice, &all, place).unwrap().unwrap());
            assert_eq!(picked.collect::<Vec<_>>(), [1, 3, 1, 3, 1], "{choice}");
        }
        assert_eq!(pick(DeviceChoice::Gpu(None), &all, 1).unwrap(), Some(1));
        assert_eq!(pick(DeviceChoice::Auto, std::slice::from_ref(&software), 3).unwrap(), None);
        assert_eq!(pick(DeviceChoice::GpuEach, &[software], 3).unwrap_err().exit_code(), 69);
    }

    #[test]
    fn a_missing_gpu_says_what_is_there_and_what_to_install() {
        let none = pick(DeviceChoice::Gpu(None), &[], 0).unwrap_err();
        assert_eq!(none.exit_code(), 69);
        assert!(none.to_string().contains("mesa-vulkan-drivers"), "{none}");
        let software = pick(DeviceChoice::Gpu(None), &[adapter(AdapterKind::Software)], 0).unwrap_err();
        assert!(software.to_string().contains("only the software adapter"), "{software}");
        assert!(pick(DeviceChoice::Gpu(Some(1)), &[adapter(AdapterKind::Discrete)], 0).is_err());
        assert!(pick(DeviceChoice::Software, &[adapter(AdapterKind::Discrete)], 0).is_err());
    }

    #[test]
    fn choices_read_back_as_written() {
        for text in ["auto", "gpu", "gpu:3", "gpu:auto", "cpu", "software"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["", "GPU", "gpu:", "gpu:x", "gpu:-1", "cuda"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }
}
