//! What the table and its workers say to each other: a line of JSON each way.
//!
//! Each side of a comparison is a process of its own, so that neither warms the other's allocator
//! or keeps its threads, and each takes its turn when it is told to.

use serde::{Deserialize, Serialize};

/// Something to be done and timed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Job {
    /// What: `train`, `curve`, `load`, `recommend`.
    pub work: String,
    pub rank: usize,
    pub epochs: u32,
    pub threads: usize,
    pub seed: u64,
    /// The peer's penalty.
    pub lambda: f64,
    /// Deltav's settings, where they are not the defaults.
    pub optimizer: Option<String>,
    pub model: Option<String>,
    pub device: Option<String>,
    pub kernels: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Seconds on the clock, of the work alone.
    pub wall: f64,
    /// CPU seconds of all threads.
    pub cpu: f64,
    /// RMSE of the test part, by the trainer's own rule.
    pub rmse: f64,
    /// The same clipped to the range of the training ratings.
    pub clipped: f64,
    /// Test RMSE after each epoch.
    pub curve: Vec<f64>,
    /// The most memory that the process has held, in bytes.
    pub peak: u64,
    /// Why there is no result.
    pub error: Option<String>,
}
