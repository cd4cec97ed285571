//! What is seen on a terminal, and what is not where there is none.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::Folder;

/// What a call writes to a terminal of so many columns on stderr, with these variables.
fn on_terminal(folder: &Folder, columns: u16, variables: &[(&str, &str)], call: &[&str]) -> String {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = File::options().read(true).write(true).open(name).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(theirs.as_fd(), size).unwrap();
    let mut command = folder.command(call);
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR"] {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm-256color").envs(variables.iter().copied());
    let mut child = command.stdout(std::process::Stdio::null()).stderr(theirs).spawn().unwrap();
    drop(command); // and with it our end of theirs
    let mut seen = Vec::new();
    let mut bytes = [0; 4096];
    let mut ours = File::from(ours);
    // A terminal that nobody writes to any more is an error, not an end.
    while let Ok(read @ 1..) = ours.read(&mut bytes) {
        seen.extend_from_slice(&bytes[..read]);
    }
    assert!(child.wait().unwrap().success(), "{call:?}: {}", String::from_utf8_lossy(&seen));
    String::from_utf8(seen).unwrap()
}

/// The text without escape sequences.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' => drop(letters.find(char::is_ascii_alphabetic)),
            letter => plain.push(letter),
        }
    }
    plain
}

const TRAIN: [&str; 8] = ["train", "ratings.csv", "--holdout", "0.1", "--device", "cpu", "--epochs", "200"];

#[test]
fn a_bar_fits_its_terminal_and_goes() {
    let folder = Folder::planted();
    for columns in [40, 80, 200] {
        let seen = plain(&on_terminal(&folder, columns, &[], &[&TRAIN[..], &["--force"]].concat()));
        let bars: Vec<&str> = seen.split(['\r', '\n']).filter(|line| line.contains("ETA ")).collect();
        assert!(!bars.is_empty(), "{seen}");
        let longest = bars.iter().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= usize::from(columns), "{columns}: {bars:?}");
        // What stays is whole.
        for start in ["200 epochs in ", "data  ", "RMSE  ", "biases alone  ", "time  ", "saved ", "next: "] {
            assert!(seen.split(['\r', '\n']).any(|line| line.starts_with(start)), "{start}: {seen}");
        }
    }
    let model = "ratings.safetensors";
    for call in [
        &["recommend", model, "--all", "--device", "cpu", "--out", "lists.csv"][..],
        &["similar", model, "--all", "--out", "lists.csv", "--force"],
        &["predict", model, "test.csv", "--out", "lists.csv", "--force"],
        &["fold-in", model, "test.csv", "--out", "lists.csv", "--force"],
    ] {
        let seen = plain(&on_terminal(&folder, 80, &[], call));
        let said = seen.split(['\r', '\n']).any(|line| line.starts_with("saved lists.csv"));
        assert!(said, "{call:?}: {seen}");
    }
}

#[test]
fn colours_are_left_out_where_that_is_asked_for() {
    let folder = Folder::planted();
    let call = [&TRAIN[..], &["--force"]].concat();
    let cyan = |variables: &[(&str, &str)]| on_terminal(&folder, 80, variables, &call).contains("\x1b[36m");
    assert!(cyan(&[]));
    assert!(!cyan(&[("NO_COLOR", "1")]));
}

#[test]
fn there_is_no_bar_where_there_is_no_terminal_and_nothing_where_it_is_quiet() {
    let folder = Folder::planted();
    let outcome = folder.run(&TRAIN);
    assert!(
        !outcome.stderr.contains(['\x1b', '\r']) && !outcome.stderr.contains("ETA"),
        "{}",
        outcome.stderr
    );
    let told = |start: &str| outcome.stderr.lines().any(|line| line.starts_with(start));
    assert!(told("RMSE          train ") && told("biases alone  valid "), "{}", outcome.stderr);
    assert!(!told("device: ") && !told("kernels: "), "{}", outcome.stderr);
    assert_eq!(on_terminal(&folder, 80, &[], &[&TRAIN[..], &["--force", "-q", "-v"]].concat()), "");
    assert_eq!(on_terminal(&folder, 80, &[], &[&TRAIN[..], &["--force", "--json"]].concat()), "");
    let outcome = folder.run(&["recommend", "ratings.safetensors", "--all", "--device", "cpu"]);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn verbose_tells_what_was_decided() {
    let folder = Folder::planted();
    let outcome = folder.run(&[&TRAIN[..], &["-v", "--threads", "1"]].concat());
    for start in ["read ", "device: CPU", "kernels: fused, f32 ", "memory: "] {
        assert!(outcome.stderr.lines().any(|line| line.starts_with(start)), "{start}: {}", outcome.stderr);
    }
    let software = ["--device", "software", "--kernels", "textbook", "--epochs", "2", "--force", "--verbose"];
    let outcome = folder.run(&[&TRAIN[..4], &software].concat());
    assert!(outcome.stderr.contains("\nkernels: textbook, f32 "), "{}", outcome.stderr);
    // The same model, told or not.
    folder.succeed(&[&TRAIN[..], &["--out", "quiet", "-q"]].concat());
    folder.succeed(&[&TRAIN[..], &["--out", "verbose", "-vv"]].concat());
    assert!(folder.read("quiet") == folder.read("verbose"));
}
