//! The integration tests, in four rings: shaders without a GPU, twins against
//! an independent f64 reference, GPU against twins, and the program end to end.

mod support;

mod cli;
mod epochs;
mod kernels;
mod limits;
mod shaders;
