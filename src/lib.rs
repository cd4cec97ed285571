//! deltav
pub mod backend;
pub mod config;
pub mod data;
pub mod error;
pub mod event;
pub mod kernel;
pub mod model;
pub mod optim;
pub mod output;
pub mod problem;
pub mod train;

pub use error::{Error, Result};
