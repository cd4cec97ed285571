//! The way from Python and back, as its example walks it.

use std::path::Path;
use std::process::Command;

#[test]
fn the_round_trip_from_a_data_frame_agrees() {
    let python = std::env::var_os("DELTAV_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python/roundtrip.py");
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(&python);
    command.arg(script).env("DELTAV", env!("CARGO_BIN_EXE_deltav")).env("TMPDIR", temporary.path());
    let done = command.output().unwrap_or_else(|e| {
        panic!("{python:?}: {e}; set DELTAV_PYTHON to a Python with NumPy, polars and safetensors")
    });
    let (told, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{errors}");
    assert!(told.starts_with("2400 predictions agree") && told.contains("90 lists of 10 agree"), "{told}");
}

/// The fenced blocks of a page with their languages, in order.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

#[test]
fn the_page_s_blocks_run_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_deltav")).parent().unwrap();
    let mut path = vec![program.to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(path).unwrap();
    let blocks = blocks(include_str!("../../docs/python.md"));
    assert_eq!(blocks.iter().filter(|(language, _)| *language == "python").count(), 4);
    for (language, text) in blocks {
        let shell = language == "sh";
        let python = std::env::var_os("DELTAV_PYTHON").unwrap_or_else(|| "python3".into());
        let mut command = Command::new(if shell { "sh".into() } else { python });
        let done = command.args([if shell { "-ec" } else { "-c" }, text]).current_dir(folder.path());
        let done = done.env("PATH", &path).output().unwrap();
        assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stderr));
        let told = String::from_utf8_lossy(&done.stdout);
        assert_eq!(text.contains("print("), !told.is_empty(), "{text}\n{told}");
        if text.contains("missing.csv") {
            assert!(told.starts_with("66 error: missing.csv: "), "{told}");
        }
    }
}
