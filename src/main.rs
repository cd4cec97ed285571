//! The `deltav` program: parse, run, exit code.

mod allocator;

use std::alloc::System;
use std::process::ExitCode;

use deltav::cli;

use allocator::Reporting;

#[global_allocator]
static ALLOCATOR: Reporting<System> = Reporting::new();

fn main() -> ExitCode {
    quieten_mesa();
    allocator::mind_aborts();
    ExitCode::from(cli::guard(|| match cli::parse() {
        Ok(call) => cli::run(call),
        Err(code) => code,
    }))
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
