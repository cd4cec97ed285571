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
        assert!(source.contains(&format!("deltav_fuzz::bounded(deltav_fuzz::{target}, data)")), "{target}");
    }
    let targets = std::fs::read_dir(root.join("fuzz_targets")).unwrap().count();
    assert_eq!(targets, TARGETS.len(), "each target is replayed");
}

/// The files that a target's bytes are made of: folders with the end of their names, and the bytes
/// by which the target chooses options, which stand before.
fn seeds(target: &str) -> (&'static [(&'static str, &'static str)], &'static [u8]) {
    match target {
        "cache" => (&[("inputs/cache", ".sizes")], &[0]),
        "checkpoint" => (&[("golden", ".ckpt")], &[]),
        "delimited" => (&[("broken/delimited", ".csv"), ("inputs/npz", ".csv")], &[0, 0]),
        "ids" => (&[("broken/delimited", ".csv")], &[0]),
        "jsonl" => (&[("broken/jsonl", "")], &[0]),
        "libmf" => (&[("broken/libmf", ".txt")], &[0]),
        "live" => (&[("broken/delimited", ""), ("broken/jsonl", ""), ("broken/mtx", "")], &[0]),
        "model" => (&[("golden", ".deltav")], &[]),
        "mtx" => (&[("broken/mtx", ".mtx")], &[0]),
        "names" => (&[("broken/delimited", "")], &[]),
        "npy" => (&[("inputs/npy", ".npy")], &[0]),
        "npz" => (&[("inputs/npz", ".npz")], &[0]),
        "packed" => (&[("broken/delimited", ""), ("broken/jsonl", "z"), ("broken/npz", "")], &[]),
        "parquet" => (&[("inputs/parquet", ".parquet")], &[0]),
        _ => panic!("{target}: name its files here"),
    }
}

/// Every test file cut short, and with bytes changed, is read or refused: never a panic.
#[test]
fn damaged_files_break_no_promise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for (target, run) in TARGETS {
        let (folders, head) = seeds(target);
        let mut damaged = 0;
        for (folder, end) in folders {
            let entries = std::fs::read_dir(root.join(folder)).unwrap();
            let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files.retain(|path| path.to_str().unwrap().ends_with(end));
            assert!(!files.is_empty(), "{target}: nothing in {folder}");
            for path in files {
                let mut bytes = head.to_vec();
                bytes.extend(std::fs::read(path).unwrap());
                for at in (head.len()..bytes.len()).step_by(1 + bytes.len() / 60) {
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
        assert!(damaged >= 200, "{target}: {damaged}");
    }
}
