//! A wgpu device whose every failure is a typed error: no wgpu call can panic
//! for a user's reason.

use std::sync::{Arc, Mutex};

use super::pipeline::MAX_PARAMS;
use crate::backend::MAX_BUFFER_BYTES;
use crate::error::{Error, Result};

/// Limits below the adapter's own, to try how large data behave on small devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GpuOptions {
    /// Largest buffer in bytes; `None`: what the adapter can bind.
    pub max_buffer_bytes: Option<u64>,
    /// Workgroups a dimension; `None`: what the adapter takes.
    pub max_workgroups: Option<u32>,
    /// Bytes that reads and writes move at a time, a multiple of 4; `None`: 64 MiB.
    pub staging_bytes: Option<u64>,
}

/// The platform's GPU interfaces. Costs a driver search: make one and keep it.
fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    // The validation layers of debug builds are for wgpu's own developers.
    descriptor.flags = wgpu::InstanceFlags::empty();
    wgpu::Instance::new(descriptor)
}

/// Every adapter of this machine that computes, in the order of `deltav devices`.
pub fn enumerate() -> Vec<wgpu::Adapter> {
    let mut found = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::PRIMARY));
    let computes = wgpu::DownlevelFlags::COMPUTE_SHADERS;
    found.retain(|adapter| adapter.get_downlevel_capabilities().flags.contains(computes));
    found
}

/// Bytes that reads and writes move at a time.
const STAGING_BYTES: u64 = 64 << 20;

/// Mesa's llvmpipe ends every loop after 65,535 iterations, nested ones counted
/// together, and says nothing.
const SOFTWARE_LOOP: u64 = 60_000;

/// An open device and what its adapter allows.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) description: String,
    pub(super) max_buffer_bytes: u64,
    pub(super) max_workgroups: u32,
    pub(super) max_loop: u64,
    pub(super) staging_bytes: u64,
    /// Distance between two steps' parameters in the uniform buffer.
    pub(super) uniform_stride: usize,
    /// What went wrong outside any call: a lost device, an error nobody waited for.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Device {
    pub(super) fn open(adapter: &wgpu::Adapter, options: &GpuOptions) -> Result<Self> {
        let info = adapter.get_info();
        let mut limits = adapter.limits();
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
        let uniform_stride = (limits.min_uniform_buffer_offset_alignment as usize).max(MAX_PARAMS);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("deltav"),
            required_limits: limits,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(|e| {
            Error::device(format!("{}: {e}", info.name), "update its driver, or pass --device cpu")
        })?;
        let trouble = Arc::new(Mutex::new(None));
        let report = |trouble: &Arc<Mutex<Option<String>>>| {
            let trouble = Arc::clone(trouble);
            move |message: String| {
                if let Ok(mut first) = trouble.lock() {
                    first.get_or_insert(message);
                }
            }
        };
        let lost = report(&trouble);
        device.set_device_lost_callback(move |reason, message| {
            // Dropping the device at the end of a run is no loss.
            if reason != wgpu::DeviceLostReason::Destroyed {
                lost(format!("the device was lost: {message}"));
            }
        });
        let uncaptured = report(&trouble);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| uncaptured(error.to_string())));
        let description = format!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info);
        Ok(Self {
            device,
            queue,
            description: description.trim_end().to_owned(),
            max_buffer_bytes,
            max_workgroups,
            max_loop: if info.device_type == wgpu::DeviceType::Cpu { SOFTWARE_LOOP } else { u64::MAX },
            staging_bytes: options.staging_bytes.unwrap_or(STAGING_BYTES),
            uniform_stride,
            trouble,
        })
    }

    /// Runs `f` inside error scopes and turns what they catch into an error.
    pub(super) fn checked<T>(&self, doing: &str, f: impl FnOnce(&Self) -> T) -> Result<T> {
        self.scoped(doing, None, f)
    }

    fn scoped<T>(&self, doing: &str, bytes: Option<u64>, f: impl FnOnce(&Self) -> T) -> Result<T> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let value = f(self);
        let validation = pollster::block_on(validation.pop());
        let internal = pollster::block_on(internal.pop());
        let memory = pollster::block_on(memory.pop());
        if memory.is_some() {
            return Err(Error::OutOfMemory {
                what: format!("{}: no memory for {doing}", self.description),
                needed: bytes.unwrap_or(0),
                available: "more than the device has free".to_owned(),
                remedy: "pass a smaller --rank, or --device cpu".to_owned(),
            });
        }
        // A lost device makes every later call invalid: the loss is what to report.
        self.healthy()?;
        match validation.or(internal) {
            Some(error) => Err(Error::Internal(format!("{}: {doing}: {error}", self.description))),
            None => Ok(value),
        }
    }

    /// A zeroed buffer.
    pub(super) fn buffer(
        &self,
        purpose: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        self.scoped(purpose, Some(bytes), |d| {
            d.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(purpose),
                size: bytes,
                usage,
                mapped_at_creation: false,
            })
        })
    }

    /// Waits for a submission, or for all.
    pub(super) fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index, timeout: None };
        self.device.poll(wait).map_err(|e| self.lost(&e.to_string()))?;
        self.healthy()
    }

    /// The error of a device that can't go on.
    pub(super) fn lost(&self, why: &str) -> Error {
        Error::device(format!("{}: {why}", self.description), "run again, or pass --device cpu")
    }

    fn healthy(&self) -> Result<()> {
        let trouble = self.trouble.lock().ok().and_then(|trouble| trouble.clone());
        trouble.map_or(Ok(()), |why| Err(self.lost(&why)))
    }
}
