//! What the manifest and the files promise of themselves.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Lines of the longest file that is still read in one go.
const MOST_LINES: usize = 400;

fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let call = Command::new(program).args(arguments).current_dir(ROOT).output().unwrap();
    assert!(call.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&call.stderr));
    call.stdout
}

/// `1.88` or `1.88.0` as numbers that compare.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    [0; 3].map(|none| parts.next().unwrap_or(none))
}

#[test]
fn versions_compare_by_number() {
    assert!(version("1.88") < version("1.100.1") && version("1.88") == version("1.88.0"));
}

#[test]
fn no_dependency_needs_a_newer_rust_than_we_say() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // Other platforms' dependencies need not be on this machine; the lock file's resolver minds them.
    let host = String::from_utf8(output("rustc", &["-vV"])).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let call = ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host];
    let json = output(&cargo, &call);
    let metadata: Value = serde_json::from_slice(&json).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    assert!(packages.len() > 50, "{} packages", packages.len());
    let stated: Vec<(&str, &str)> = packages
        .iter()
        .filter_map(|package| Some((package["name"].as_str()?, package["rust_version"].as_str()?)))
        .collect();
    assert!(stated.iter().any(|(name, _)| *name == "deltav"), "{stated:?}");
    let newer: Vec<_> = stated.iter().filter(|(_, theirs)| version(theirs) > ours).collect();
    assert!(newer.is_empty(), "raise rust-version in Cargo.toml, or take older versions: {newer:?}");
}

#[test]
fn no_source_file_is_too_long() {
    let mut long = Vec::new();
    let mut seen = 0;
    for folder in ["src", "shaders", "tests", "benches", "examples"] {
        each_file(&Path::new(ROOT).join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs" || extension == "wgsl") {
                let lines = std::fs::read_to_string(path).unwrap().lines().count();
                seen += 1;
                if lines > MOST_LINES {
                    long.push((path.to_owned(), lines));
                }
            }
        });
    }
    assert!(seen > 50, "{seen} files");
    assert!(long.is_empty(), "more than {MOST_LINES} lines: cut them along their subjects: {long:?}");
}

/// Every file below a folder, links left out.
fn each_file(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            each_file(&entry.path(), visit);
        } else if kind.is_file() {
            visit(&entry.path());
        }
    }
}
