//! What goes into the package and into an archive of the program.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn told(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).current_dir(ROOT).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    assert!(!String::from_utf8_lossy(&done.stderr).contains("warning"), "{program} {arguments:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn the_package_has_what_it_needs_and_nothing_odd() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let list = told(&cargo, &["package", "--list", "--locked", "--offline", "--allow-dirty"]);
    let files: BTreeSet<&str> = list.lines().collect();
    for file in
        ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md", "Cargo.lock", "examples/ratings.csv"]
    {
        assert!(files.contains(file), "{file}");
    }
    for kernel in deltav::kernel::KERNELS {
        assert!(files.contains(&*format!("shaders/{}.wgsl", kernel.name)), "{}", kernel.name);
    }
    // A folder, or a file at the root, that is not of these is one that somebody has to decide on.
    let known = ["benches", "docs", "examples", "shaders", "src", "tests"];
    let own = [".cargo_vcs_info.json", ".gitattributes", ".gitignore", "Cargo.toml", "Cargo.toml.orig"];
    let papers = ["CONTRIBUTING.md", "clippy.toml", "deny.toml", "rustfmt.toml"];
    for file in &files {
        let first = file.split('/').next().unwrap();
        let listed = known.contains(&first) || own.contains(file) || papers.contains(file);
        let named =
            ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md", "Cargo.lock"].contains(file);
        assert!(listed || named, "{file}: into the package, or into `exclude` of Cargo.toml?");
        assert!(!file.starts_with("benches/peers/"), "{file}");
    }
    let bytes: u64 =
        files.iter().filter_map(|file| Path::new(ROOT).join(file).metadata().ok()).map(|m| m.len()).sum();
    assert!((1 << 20..8 << 20).contains(&bytes), "{bytes} bytes, unpacked");
}

#[cfg(target_os = "linux")]
#[test]
fn an_archive_has_the_program_and_its_papers() {
    let version = told("scripts/release", &["version"]);
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_deltav");
    let mut pack = Command::new("scripts/release");
    pack.args(["pack", "some-target", program]).current_dir(ROOT).env("DIST", folder.path());
    let packed = pack.output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let name = format!("deltav-{}-some-target", version.trim());
    let archive = folder.path().join(format!("{name}.tar.gz"));
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--quiet"]).arg(format!("{name}.tar.gz.sha256")).current_dir(folder.path());
    assert!(check.status().unwrap().success());
    let list = told("tar", &["-tzf", archive.to_str().unwrap()]);
    for file in ["deltav", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(list.lines().any(|line| line == format!("{name}/{file}")), "{file}: {list}");
    }
    // Whatever the program can say for shells and for man is there as well.
    for command in ["completions", "man"] {
        let has = Command::new(program).args([command, "--help"]).output().unwrap().status.success();
        assert_eq!(list.contains(&format!("{name}/{command}/")), has, "{command}: {list}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "the archive and its checksum: {left:?}");
}

#[test]
fn the_workflows_run_what_is_there() {
    for (workflow, calls) in [("ci.yml", vec![".ci/run"]), ("release.yml", vec!["scripts/release"])] {
        let path = Path::new(ROOT).join(".github/workflows").join(workflow);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for call in calls {
            assert!(text.contains(call) && Path::new(ROOT).join(call).exists(), "{workflow}: {call}");
        }
    }
}
