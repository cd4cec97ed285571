//! Whether this machine trains, and what to do where its GPU does not: `deltav doctor`.
//!
//! [`Surroundings::facts`] looks at the system and asks no device; [`diagnose`] makes of the
//! [`Facts`] the one cause that there is no GPU, and what to type; [`check_kernels`] runs every
//! kernel on a device and on the CPU and tells how far they are apart.

mod diagnosis;
mod drivers;
mod facts;
mod kernels;
mod pair;
mod parts;
mod remedies;

pub use diagnosis::{Cause, Diagnosis, diagnose};
pub use drivers::{Driver, DriverFault, Maker};
pub use facts::{Access, Distribution, Facts, Loader, Node, Os, Override, Surroundings};
pub use kernels::{DeviceCheck, TOLERANCE, check_kernels, training_speed};
pub use pair::KernelCheck;
pub use remedies::Command;
