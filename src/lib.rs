#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod backend;
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
pub mod event;
pub mod interrupt;
pub mod kernel;
mod memory;
pub mod model;
pub mod optim;
pub mod output;
#[cfg(any(feature = "gpu", feature = "parquet"))]
pub(crate) mod panics;
pub mod problem;
pub mod train;
pub mod tune;

pub use error::{Error, Result};
