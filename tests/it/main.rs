//! The integration tests, in four rings: shaders without a GPU, twins against
//! an independent f64 reference, GPU against twins, and the program end to end.

#![allow(unreachable_pub, missing_docs, reason = "nothing here is published")]

mod support;

mod average;
mod cli;
mod endings;
mod epochs;
mod kernels;
mod kernels_mask;
mod kernels_search;
mod limits;
mod line_search;
mod shaders;
