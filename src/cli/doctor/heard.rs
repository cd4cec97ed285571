//! What Vulkan's start says of itself. wgpu leaves a backend out that does not start, and tells why
//! in its log alone; so the program listens to that while adapters are looked for.

use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

use crate::backend::Adapter;
use crate::doctor::Loader;

/// Keeps what is said of backends that failed.
struct Heard(Mutex<Vec<String>>);

static HEARD: Heard = Heard(Mutex::new(Vec::new()));

/// How the line begins that is waited for.
const FAILED: &str = "Instance::new: failed to create Vulkan backend:";

impl Log for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        if self.enabled(record.metadata()) && text.starts_with(FAILED) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }

    fn flush(&self) {}
}

/// The adapters, and how far Vulkan came on the way to them.
pub(super) fn asked(adapters: fn() -> Vec<Adapter>) -> (Vec<Adapter>, Loader) {
    let listens = log::set_logger(&HEARD).is_ok();
    log::set_max_level(LevelFilter::Debug);
    let found = adapters();
    log::set_max_level(LevelFilter::Off);
    let said = std::mem::take(&mut *HEARD.0.lock().unwrap_or_else(PoisonError::into_inner));
    let vulkan = cfg!(feature = "gpu") && cfg!(not(target_os = "macos"));
    let loader = match said.first() {
        Some(said) => Loader::failed(said.trim_start_matches(FAILED).trim()),
        None if listens && vulkan => Loader::Works,
        None => Loader::Unknown,
    };
    (found, loader)
}
