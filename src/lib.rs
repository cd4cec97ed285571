#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod aligned;
pub mod backend;
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod data;
pub mod doctor;
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
#[cfg(feature = "report")]
pub mod report;
pub mod train;
mod trainer;
pub mod tune;
pub mod world;

pub use data::Ratings;
pub use error::{Error, Result};
pub use event::Event;
pub use model::Model;
pub use trainer::Trainer;
