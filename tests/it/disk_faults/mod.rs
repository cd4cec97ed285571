//! Disks that fill, fail or forbid, and processes that meet: whatever happens to an output, the
//! old file stays whole or the new one is complete, nothing else is left, and one line says why.

mod disks;
mod limits;
mod sweep;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cli::{Folder, Outcome};

/// What stands where the output is to go.
const OLD: &[u8] = b"old, and dear to somebody";

/// The calls whose outputs are tested, with the name of the output: none takes long.
const CALLS: [(&str, &[&str]); 4] = [
    (
        "new.safetensors",
        &["train", "ratings.csv", "--rank", "3", "--epochs", "2", "--device", "cpu", "-q", "-f", "-o"],
    ),
    ("new.csv", &["predict", "ratings.safetensors", "test.csv", "-q", "-f", "-o"]),
    ("new.parquet", &["recommend", "ratings.safetensors", "--all", "--device", "cpu", "-q", "-f", "-o"]),
    ("new.npz", &["export", "ratings.safetensors", "--format", "npz", "-q", "-f", "-o"]),
];

/// The preloaded library, compiled with the compiler that Rust links with.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join("faults.so");
        let own = folder.join(format!("faults-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/disk_faults/shim.c");
        let arguments = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"];
        let cc = Command::new("cc").args(arguments).arg(&own).arg(source).arg("-ldl").output();
        let cc = cc.expect("cc, which Rust links with");
        assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
        std::fs::rename(own, &path).unwrap();
        path
    })
}

/// A folder with a model and its ratings, and one below it where outputs go and faults happen.
struct Place {
    folder: Folder,
}

impl Place {
    fn new() -> Self {
        let folder = Folder::planted();
        let train = ["train", "ratings.csv", "--rank", "4", "--epochs", "3", "--device", "cpu", "-q"];
        folder.succeed(&train);
        std::fs::create_dir(folder.path().join("out")).unwrap();
        Self { folder }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out").canonicalize().unwrap()
    }

    /// The bytes of an output that nothing disturbs.
    fn undisturbed(&self, name: &str, call: &[&str]) -> Vec<u8> {
        self.folder.succeed(&[call, &[&*format!("out/{name}")]].concat());
        let bytes = std::fs::read(self.out().join(name)).unwrap();
        std::fs::remove_file(self.out().join(name)).unwrap();
        bytes
    }

    fn command(&self, name: &str, call: &[&str]) -> Command {
        self.folder.command(&[call, &[&*format!("out/{name}")]].concat())
    }

    /// The command with faults, and the log of those that happened.
    fn faulty(&self, name: &str, call: &[&str], faults: &[(&str, &str)]) -> (Command, PathBuf) {
        let log = self.folder.path().join("log");
        let _ = std::fs::remove_file(&log);
        let mut command = self.command(name, call);
        command.env("LD_PRELOAD", shim()).env("FAULT_FOLDER", self.out()).env("FAULT_LOG", &log);
        command.envs(faults.iter().copied());
        (command, log)
    }

    /// The names of the files that are left.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.out()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Puts the old file there, runs the command, and sees that the file is the old one after a
    /// failure and the new one after a success, alone in its folder. Returns the code and the line.
    fn run(&self, name: &str, command: &mut Command, new: &[u8]) -> (i32, String) {
        let path = self.out().join(name);
        std::fs::write(&path, OLD).unwrap();
        let Outcome { code, stdout, stderr } = Outcome::of(command);
        let what = format!("{command:?}: {code:?}: {stderr}");
        assert_eq!(self.left(), [name], "{what}");
        let found = std::fs::read(&path).unwrap();
        let code = code.unwrap_or_else(|| panic!("killed by a signal: {what}"));
        assert_eq!(stdout, "", "{what}");
        if code == 0 {
            assert_eq!(stderr, "", "{what}");
            assert!(found == new, "{what}: the new file is not whole");
        } else {
            let line = stderr.strip_suffix('\n').unwrap_or_else(|| panic!("{what}"));
            assert!(line.starts_with("error: ") && !line.contains('\n'), "{what}");
            // The rename was done and could not be made durable: the line says so.
            let durable = !line.contains("after a power cut");
            assert!(found == if durable { OLD } else { new }, "{what}: the old file was touched");
        }
        std::fs::remove_file(path).unwrap();
        (code, stderr)
    }
}
