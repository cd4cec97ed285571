//! The doctor: kernels that are tried, situations that are told apart.

mod kernels;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod situations;
