//! The integration tests, in four rings: shaders without a GPU, twins against
//! an independent f64 reference, GPU against twins, and the program end to end.

#![allow(unreachable_pub, missing_docs, reason = "nothing here is published")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::needless_range_loop,
    clippy::manual_memcpy,
    reason = "references are written as formulas are, by index"
)]

mod support;

mod als;
mod cli;
mod epochs;
mod kernels;
mod kernels_mask;
mod kernels_search;
mod kernels_steps;
mod limits;
mod line_search;
mod manifest;
mod readme;
mod shaders;
mod steps;
