//! What a process finds around it: closed streams, locales, clocks that lie.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Folder, Outcome};

/// Where Debian, Ubuntu and Fedora have libfaketime.
const FAKETIME: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// Runs the program by a shell that sets its streams up: `"$@"` is the call.
fn by_shell(folder: &Folder, script: &str, call: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_deltav")]).args(call);
    Outcome::of(command.current_dir(folder.path()).stdin(Stdio::null()))
}

#[test]
fn a_stream_that_nobody_reads_is_no_failure() {
    let folder = Folder::trained();
    // The program's own exit code is what the shell prints on a stream that is still there.
    let scripts = [
        "{ { \"$@\"; echo $? >&3; } | true; } 3>&1",
        "{ { \"$@\"; echo $? >&3; } | head -n 1 >/dev/null; } 3>&1",
        "{ { \"$@\"; echo $? >&3; } 2>&1 | true; } 3>&1",
        "exec 3>&1; \"$@\" >&-; echo $? >&3",
        "exec 3>&1; \"$@\" 2>&- >/dev/null; echo $? >&3",
        "exec 3>&1; \"$@\" >&- 2>&-; echo $? >&3",
    ];
    let model = "ratings.safetensors";
    let calls = [
        &["inspect", model][..],
        &["recommend", model, "--all"],
        &["predict", model, "ratings.csv"],
        &["evaluate", model, "test.csv"],
        &["similar", model, "--item", "i1"],
        &["fold-in", model, "ratings.csv"],
        &["cv", "ratings.csv", "--folds", "2", "--epochs", "2", "--device", "cpu"],
        &["--help"],
    ];
    for call in calls {
        for script in scripts {
            let Outcome { stdout, stderr, .. } = by_shell(&folder, script, call);
            assert_eq!(stdout, "0\n", "{call:?} by {script}: {stderr}");
            assert!(!stderr.contains("error: "), "{call:?} by {script}: {stderr}");
        }
    }
}

/// The model's bytes after training with these variables set.
fn model_with(folder: &Folder, variables: &[(&str, &str)]) -> Vec<u8> {
    let call =
        "train ratings.csv --device cpu --epochs 8 --holdout 0.1 --checkpoint state --force --out m -q";
    let call: Vec<&str> = call.split(' ').collect();
    let outcome = Outcome::of(folder.command(&call).envs(variables.iter().copied()));
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{variables:?}");
    folder.read("m")
}

#[test]
fn a_locale_and_a_zone_change_no_byte() {
    let folder = Folder::planted();
    let plain = model_with(&folder, &[]);
    let german = [("LANG", "de_DE.UTF-8"), ("LC_ALL", "de_DE.UTF-8"), ("TZ", "Asia/Kathmandu")];
    assert_eq!(model_with(&folder, &german), plain);
    assert_eq!(model_with(&folder, &[("LC_ALL", "none of that name"), ("TZ", ":/nowhere")]), plain);
    let predict = ["predict", "m", "test.csv"];
    let answers = Outcome::of(folder.command(&predict).envs(german));
    assert_eq!(answers.stdout, folder.succeed(&predict), "a decimal comma is none of ours");
}

#[test]
fn clocks_that_lie_change_no_byte() {
    let library = FAKETIME.into_iter().find(|path| Path::new(path).exists());
    let library = library.expect("libfaketime is missing: scripts/test installs it");
    let folder = Folder::planted();
    let plain = model_with(&folder, &[]);
    // Beyond 32 bits, before 1970, hardly moving, and a second back at every look, monotonic clocks too.
    for time in ["@2040-01-19 03:14:08", "@1969-01-01 00:00:00", "+0 x0.01", "+0 i-1.0"] {
        let variables = [("LD_PRELOAD", library), ("FAKETIME", time)];
        assert_eq!(model_with(&folder, &variables), plain, "{time}");
    }
}
