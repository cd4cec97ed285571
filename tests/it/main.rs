//! The integration tests, in four rings: shaders without a GPU, twins against
//! an independent f64 reference, GPU against twins, and the program end to end.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::needless_range_loop,
    clippy::manual_memcpy,
    reason = "nothing here is published; a test may panic, and formulas read as formulas"
)]

mod support;

mod als;
mod average;
mod bad_days;
mod binary;
mod broken;
mod cli;
mod corpus;
#[cfg(target_os = "linux")]
mod disk_faults;
mod docs;
mod doctor;
mod endings;
mod epochs;
mod examples;
mod export;
mod faults;
mod fold_in;
mod formats;
mod fused;
mod golden;
mod kernels;
mod kernels_best;
mod kernels_blocks;
mod kernels_gather;
mod kernels_mask;
mod kernels_parts;
mod kernels_rows;
mod kernels_search;
mod kernels_sgd;
mod kernels_steps;
mod limits;
mod line_search;
mod lost;
mod magnitudes;
mod manifest;
mod metrics;
mod model_size;
mod plan;
mod properties;
mod python;
mod readme;
mod release;
mod resume;
mod sgd;
mod shaders;
mod steps;
mod together;
mod top_n;
mod torture;
mod trainer;
mod uncertainty;
mod warm;
mod watchdog;
