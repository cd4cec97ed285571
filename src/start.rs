//! What comes before anything else, for every program of this crate.

use std::alloc::System;

use crate::allocator::{self, Reporting};

#[global_allocator]
static ALLOCATOR: Reporting<System> = Reporting::new();

/// The first statement of a program.
pub(crate) fn start() {
    quieten_mesa();
    allocator::mind_aborts();
}

/// Keeps Mesa's device chooser from complaining on stderr where there is no
/// desktop whose settings it could ask for.
fn quieten_mesa() {
    let unset = |name| std::env::var_os(name).is_none();
    if cfg!(target_os = "linux") && unset("XDG_RUNTIME_DIR") && unset("NODEVICE_SELECT") {
        #[expect(unsafe_code, reason = "only a process's own environment reaches the Vulkan layer")]
        // SAFETY: the first statement of main: no other thread runs that could read the environment.
        unsafe {
            std::env::set_var("NODEVICE_SELECT", "1");
        }
    }
}
