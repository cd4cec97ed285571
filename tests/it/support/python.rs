//! Scripts under Python.

use std::process::Command;

/// Runs a script under `$DELTAV_PYTHON`, by default `python3`, and returns what it prints.
/// `with` adds arguments or a folder.
pub fn run_python(script: &str, with: impl FnOnce(&mut Command) -> &mut Command) -> String {
    let python = std::env::var_os("DELTAV_PYTHON").unwrap_or_else(|| "python3".into());
    let run = with(Command::new(&python).arg("-c").arg(script)).output();
    let run = run.unwrap_or_else(|e| panic!("{python:?}: {e}; set DELTAV_PYTHON to a Python with NumPy"));
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{script}\n{errors}");
    String::from_utf8(run.stdout).unwrap()
}
