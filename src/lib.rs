//! deltav
pub mod config;
pub mod data;
pub mod error;
pub mod event;
pub mod model;
pub mod optim;
