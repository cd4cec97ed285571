//! The fuzz targets' functions, run within a limit for what they hold in memory.

mod memory;

#[path = "../../tests/it/support/fuzz.rs"]
mod targets;

pub use targets::*;

/// Runs a target on `bytes`. Aborts with a message where it panics, or holds more memory than
/// [`memory::limit`] of their number.
pub fn bounded(target: Target, bytes: &[u8]) {
    memory::within(bytes.len(), || target(bytes));
}

/// Keeps caught panics from ending the fuzzer: those that are not caught still do, with their message.
pub fn quiet() {
    std::panic::set_hook(Box::new(|info| {
        let decoder = info.location().is_some_and(|at| at.file().contains("/parquet-"));
        if !decoder {
            eprintln!("{info}");
        }
    }));
}
