//! The devices under test: the CPU backend and every adapter of the machine.
//! A machine without an adapter fails; nothing is skipped.

use deltav::backend::Backend;
use deltav::backend::cpu::CpuBackend;
use deltav::backend::gpu::{GpuBackend, GpuOptions};

/// Every adapter that computes, hardware or software.
pub fn adapters() -> Vec<wgpu::Adapter> {
    let found = deltav::backend::gpu::enumerate();
    assert!(
        !found.is_empty(),
        "no GPU adapter found, not even a software one: run scripts/test, which installs Mesa's, \
         or apt-get install mesa-vulkan-drivers libvulkan1"
    );
    found
}

/// Opens an adapter with limits.
pub fn gpu(adapter: &wgpu::Adapter, options: &GpuOptions) -> GpuBackend {
    GpuBackend::new(adapter, options).expect("an adapter that was listed opens")
}

/// Every adapter, open, with its name.
pub fn gpus() -> Vec<(String, Box<dyn Backend>)> {
    adapters()
        .iter()
        .map(|adapter| {
            let backend: Box<dyn Backend> = Box::new(gpu(adapter, &GpuOptions::default()));
            (backend.describe().to_owned(), backend)
        })
        .collect()
}

/// The CPU backend with this many threads.
pub fn cpu(threads: usize) -> CpuBackend {
    CpuBackend::new(Some(threads)).expect("threads start")
}

/// The CPU backend and every adapter.
pub fn all() -> Vec<(String, Box<dyn Backend>)> {
    let mut devices: Vec<(String, Box<dyn Backend>)> = vec![("CPU".to_owned(), Box::new(cpu(2)))];
    devices.extend(gpus());
    devices
}
