//! A wgpu device whose every failure is a typed error: no wgpu call can panic
//! for a user's reason, and none waits forever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::limits::{self, missing};
use super::pipeline::MAX_PARAMS;
use crate::backend::{DeviceMemory, MAX_BUFFER_BYTES, Residence};
use crate::data::text::one_line;
use crate::error::{Error, Result};
use crate::kernel::template::{GROUP, Mapping};
use crate::panics::caught;

/// Limits other than the adapter's own, to try how large data behave on small devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GpuOptions {
    /// Largest buffer in bytes; `None`: what the adapter can bind.
    pub max_buffer_bytes: Option<u64>,
    /// Bytes of all buffers together; `None`: what the driver gives.
    pub max_memory_bytes: Option<u64>,
    /// Workgroups a dimension; `None`: what the adapter takes.
    pub max_workgroups: Option<u32>,
    /// Bytes that reads and writes move at a time, a multiple of 4; `None`: 64 MiB.
    pub staging_bytes: Option<u64>,
    /// Work of a submission, see [`Backend::max_work`](crate::backend::Backend::max_work);
    /// `None`: a fraction of a second on a slow device of the adapter's kind.
    pub max_work: Option<u64>,
    /// How long a submission may take before the device counts as hung; `None`: five minutes.
    pub timeout: Option<Duration>,
}

/// Bytes that reads and writes move at a time.
const STAGING_BYTES: u64 = 64 << 20;

/// How long a submission may take. Those of any device that is worth using take less than a
/// second: this is for a driver that has stopped.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Percent of the memory that the driver says is free for this process that buffers may take.
/// Beyond it some drivers page, and others end the process or the desktop.
const MEMORY_PERCENT: u8 = 95;

/// The platform's GPU interfaces. Costs a driver search: make one and keep it.
fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    // The validation layers of debug builds are for wgpu's own developers.
    descriptor.flags = wgpu::InstanceFlags::empty();
    descriptor.memory_budget_thresholds.for_resource_creation = Some(MEMORY_PERCENT);
    wgpu::Instance::new(descriptor)
}

/// Every adapter of this machine that computes, in the order of `deltav devices`;
/// none where the drivers can't even be asked.
pub fn enumerate() -> Vec<wgpu::Adapter> {
    let found = caught(|| pollster::block_on(instance().enumerate_adapters(wgpu::Backends::PRIMARY)));
    let mut found = found.unwrap_or_default();
    let computes = wgpu::DownlevelFlags::COMPUTE_SHADERS;
    found.retain(|adapter| adapter.get_downlevel_capabilities().flags.contains(computes));
    found
}

/// Why a device can't go on, once it can't: the first reason counts.
#[derive(Debug, Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn report(&self, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    fn reported(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An open device and what its adapter allows.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) description: String,
    pub(super) max_buffer_bytes: u64,
    pub(super) max_memory_bytes: Option<u64>,
    pub(super) max_workgroups: u32,
    pub(super) max_loop: u64,
    pub(super) max_work: u64,
    /// Invocations of a workgroup.
    pub(super) max_invocations: u32,
    /// Whether shuffles among [`GROUP`] lanes work.
    pub(super) subgroups: bool,
    /// Whether shaders unpack f16.
    pub(super) halves: bool,
    /// What suits it.
    pub(super) mapping: Mapping,
    pub(super) staging_bytes: u64,
    /// Distance between two steps' parameters in the uniform buffer.
    pub(super) uniform_stride: usize,
    residence: Residence,
    timeout: Duration,
    /// Bytes of the buffers that live.
    held: AtomicU64,
    /// What went wrong outside any call: a lost device, an error nobody waited for.
    trouble: Trouble,
}

impl Device {
    pub(super) fn open(adapter: &wgpu::Adapter, options: &GpuOptions) -> Result<Self> {
        let info = adapter.get_info();
        let mut limits = adapter.limits();
        if let Some(missing) = missing(&limits) {
            return Err(Error::device(format!("{}: {missing}", info.name), "pass --device cpu"));
        }
        let adapter_max = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let max_buffer_bytes =
            options.max_buffer_bytes.unwrap_or(u64::MAX).min(adapter_max).min(MAX_BUFFER_BYTES) & !3;
        // Asking for no more than we use makes the driver's layer check what we promise.
        limits.max_storage_buffer_binding_size = max_buffer_bytes;
        if let Some(max) = options.max_workgroups {
            limits.max_compute_workgroups_per_dimension =
                max.min(limits.max_compute_workgroups_per_dimension);
        }
        let max_workgroups = limits.max_compute_workgroups_per_dimension;
        let max_invocations =
            limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let subgroups = adapter.features().contains(wgpu::Features::SUBGROUP);
        let uniform_stride = (limits.min_uniform_buffer_offset_alignment as usize).max(MAX_PARAMS);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("deltav"),
            required_features: adapter.features() & wgpu::Features::SUBGROUP,
            required_limits: limits,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let refused = |why: &str| {
            Error::device(
                format!("{}: {}", info.name, one_line(&why)),
                "update its driver, or pass --device cpu",
            )
        };
        let opened = caught(|| pollster::block_on(adapter.request_device(&descriptor)));
        let (device, queue) =
            opened.map_err(|why| refused(&why))?.map_err(|why| refused(&why.to_string()))?;
        let trouble = Trouble::default();
        let lost = trouble.clone();
        device.set_device_lost_callback(move |_, message| {
            let message = one_line(&message);
            let colon = if message.is_empty() { "" } else { ": " };
            lost.report(format!("the device was lost{colon}{message}"));
        });
        let uncaptured = trouble.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            uncaptured.report(one_line(&error));
        }));
        let description = format!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info);
        Ok(Self {
            device,
            queue,
            description: description.trim_end().to_owned(),
            max_buffer_bytes,
            max_memory_bytes: options.max_memory_bytes,
            max_workgroups,
            max_loop: limits::max_loop(info.device_type),
            max_invocations,
            mapping: limits::mapping(info.device_type, subgroups && info.subgroup_min_size >= GROUP),
            halves: adapter
                .get_downlevel_capabilities()
                .flags
                .contains(wgpu::DownlevelFlags::SHADER_F16_IN_F32),
            subgroups: subgroups && info.subgroup_min_size >= GROUP,
            max_work: options.max_work.unwrap_or(limits::max_work(info.device_type)),
            staging_bytes: options.staging_bytes.unwrap_or(STAGING_BYTES),
            uniform_stride,
            residence: limits::residence(info.device_type),
            timeout: options.timeout.unwrap_or(TIMEOUT),
            held: AtomicU64::new(0),
            trouble,
        })
    }

    /// Runs `f` inside error scopes and turns what they catch into an error.
    ///
    /// # Errors
    /// [`Error::Device`] if the device is lost, before or by the call, or if wgpu
    /// panics; [`Error::OutOfMemory`]; [`Error::Internal`] for a call that is not valid.
    pub(super) fn checked<T>(&self, doing: &str, f: impl FnOnce(&Self) -> T) -> Result<T> {
        self.scoped(doing, 0, f)
    }

    fn scoped<T>(&self, doing: &str, bytes: u64, f: impl FnOnce(&Self) -> T) -> Result<T> {
        self.healthy()?;
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let done = caught(|| f(self));
        let validation = pollster::block_on(validation.pop());
        let internal = pollster::block_on(internal.pop());
        let memory = pollster::block_on(memory.pop());
        if memory.is_some() {
            return Err(self.out_of_memory(doing, bytes, ""));
        }
        let value = done.map_err(|why| self.broken(doing, &why))?;
        // A lost device makes every later call invalid: the loss is what to report.
        self.healthy()?;
        match validation.or(internal) {
            Some(error) => {
                let error = one_line(&error);
                Err(Error::Internal(format!("{}: {doing}: {error}", self.description)))
            }
            None => Ok(value),
        }
    }

    /// `limit`: what it is that they exceed, where that is known.
    fn out_of_memory(&self, doing: &str, bytes: u64, limit: &str) -> Error {
        let held = self.held.load(Ordering::Relaxed);
        Error::OutOfMemory {
            what: format!("{}: no memory for {doing}", self.description),
            needed: held.saturating_add(bytes),
            available: format!("{held} of them are held already{limit}"),
            remedy: "pass a smaller --rank, or --device cpu".to_owned(),
        }
    }

    /// A zeroed buffer. Whoever drops it says so with [`Device::let_go`].
    pub(super) fn buffer(
        &self,
        purpose: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        let total = self.held.load(Ordering::Relaxed).saturating_add(bytes);
        if let Some(most) = self.max_memory_bytes.filter(|&most| total > most) {
            return Err(self.out_of_memory(purpose, bytes, &format!(", at most {most} allowed")));
        }
        let buffer = self.scoped(purpose, bytes, |d| {
            d.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(purpose),
                size: bytes,
                usage,
                mapped_at_creation: false,
            })
        })?;
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(buffer)
    }

    /// Its memory; what is free of it only where an option says how much it is.
    pub(super) fn memory(&self) -> DeviceMemory {
        let held = self.held.load(Ordering::Relaxed);
        let available = self.max_memory_bytes.map(|most| most.saturating_sub(held));
        DeviceMemory { residence: self.residence, available }
    }

    /// Counts a buffer that is dropped.
    pub(super) fn let_go(&self, buffer: &wgpu::Buffer) {
        self.held.fetch_sub(buffer.size(), Ordering::Relaxed);
    }

    /// Waits for a submission, or for all, as long as one may take.
    ///
    /// # Errors
    /// [`Error::Device`] if they don't finish, or if the device is lost meanwhile.
    pub(super) fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.healthy()?;
        let wait = wgpu::PollType::Wait { submission_index, timeout: Some(self.timeout) };
        // wgpu panics where a device is lost while it is waited for.
        let waited = caught(|| self.device.poll(wait)).map_err(|why| self.broken("wait", &why))?;
        self.healthy()?;
        match waited {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => {
                let why = format!("a submission did not finish in {:?}", self.timeout);
                Err(self.abandon(why))
            }
            Err(why) => Err(Error::Internal(format!("{}: wait: {why}", self.description))),
        }
    }

    /// A panic of wgpu, most often over a device that was lost: whatever it left behind is not used again.
    fn broken(&self, doing: &str, why: &str) -> Error {
        self.abandon(format!("{doing} failed: {why}"))
    }

    /// Notes that the device can't go on; what is wrong, which is an earlier trouble if there was one.
    fn abandon(&self, why: String) -> Error {
        self.trouble.report(why);
        // The last handle to a queue waits until it is idle when it is dropped, which here may be
        // never: so one stays. The system takes everything back when the process ends.
        std::mem::forget((self.device.clone(), self.queue.clone()));
        let why = self.trouble.reported().unwrap_or_default();
        self.failed(&why)
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("epoch") })
    }

    /// The error of a device that can't go on.
    pub(super) fn failed(&self, why: &str) -> Error {
        Error::device(format!("{}: {why}", self.description), "run again, or pass --device cpu")
    }

    fn healthy(&self) -> Result<()> {
        self.trouble.reported().map_or(Ok(()), |why| Err(self.failed(&why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices() -> Vec<Device> {
        let adapters = enumerate();
        assert!(!adapters.is_empty(), "no adapter: run scripts/test");
        adapters.iter().map(|adapter| Device::open(adapter, &GpuOptions::default()).unwrap()).collect()
    }

    /// What can be read and stored at once is not a valid buffer.
    fn invalid(device: &Device) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
        let descriptor = wgpu::BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false };
        device.device.create_buffer(&descriptor)
    }

    #[test]
    fn a_call_that_is_not_valid_is_a_bug_and_harms_no_other() {
        for device in devices() {
            let error = device.checked("try", invalid).unwrap_err();
            assert_eq!(error.exit_code(), 1, "{error}");
            assert!(error.to_string().contains(": try: ") && !error.to_string().contains('\n'), "{error}");
            assert_eq!(device.checked("try again", |_| 3).unwrap(), 3);
        }
    }

    #[test]
    fn an_error_that_nobody_waits_for_does_not_panic_and_is_told_by_the_next_call() {
        for device in devices() {
            let _ = invalid(&device);
            let error = device.checked("go on", |_| ()).unwrap_err();
            assert_eq!(error.exit_code(), 69, "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_panic_of_the_driver_s_layer_is_the_device_s_error_from_then_on() {
        for device in devices() {
            let error = device.checked("submit", |_| panic!("Error in Device::poll:\n lost")).unwrap_err();
            for error in [error, device.checked("read", |_| ()).unwrap_err(), device.wait(None).unwrap_err()]
            {
                assert_eq!(error.exit_code(), 69, "{error}");
                let text = error.to_string();
                assert!(
                    text.contains("submit failed: Error in Device::poll") && !text.contains('\n'),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn the_first_trouble_counts_even_if_a_thread_panicked_over_it() {
        let trouble = Trouble::default();
        let held = trouble.clone();
        let _ = std::thread::spawn(move || {
            let _lock = held.0.lock();
            panic!("with the lock held");
        })
        .join();
        trouble.report("first".to_owned());
        trouble.report("second".to_owned());
        assert_eq!(trouble.reported().as_deref(), Some("first"));
    }
}
