//! What the fuzzer kept, through the functions that it calls: see fuzz/run.

use std::path::Path;

use crate::support::fuzz::TARGETS;

#[test]
fn what_fuzzing_kept_breaks_no_promise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (target, run) in TARGETS {
        let mut seen = 0;
        for entry in std::fs::read_dir(root.join("corpus").join(target)).unwrap() {
            run(&std::fs::read(entry.unwrap().path()).unwrap());
            seen += 1;
        }
        assert!(seen >= 5, "{target}: {seen} files");
        let source = std::fs::read_to_string(root.join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(source.contains(&format!("deltav_fuzz::{target}(data)")), "{target}");
    }
    let targets = std::fs::read_dir(root.join("fuzz_targets")).unwrap().count();
    assert_eq!(targets, TARGETS.len(), "each target is replayed");
}

/// Every test file cut short, and with bytes changed, is read or refused: never a panic.
#[test]
fn damaged_files_break_no_promise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/inputs");
    let mut damaged = 0;
    for (target, run) in TARGETS {
        let Ok(folder) = std::fs::read_dir(root.join(target)) else { continue };
        let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == *target)) {
            let mut bytes = vec![0];
            bytes.extend(std::fs::read(path).unwrap());
            for at in (1..bytes.len()).step_by(1 + bytes.len() / 40) {
                run(&bytes[..at]);
                for change in [0x01, 0x80, 0xff] {
                    bytes[at] ^= change;
                    run(&bytes);
                    bytes[at] ^= change;
                }
                damaged += 4;
            }
        }
    }
    assert!(damaged > 5_000, "{damaged}");
}
