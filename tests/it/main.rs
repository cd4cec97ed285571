//! The integration tests, in four rings: shaders without a GPU, twins against
//! an independent f64 reference, GPU against twins, and the program end to end.

#![allow(unreachable_pub, missing_docs, reason = "nothing here is published")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

mod als;
mod cli;
mod epochs;
mod golden;
mod kernels;
mod kernels_mask;
mod kernels_search;
mod kernels_steps;
mod limits;
mod line_search;
mod shaders;
mod steps;
mod uncertainty;
