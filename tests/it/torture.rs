//! What no run expects: kill −9 at any moment, in training and in the middle of writing a
//! checkpoint, and a thousand epochs. A few rounds here; `scripts/torture` runs hundreds.

#![expect(clippy::print_stdout, reason = "counts that go into docs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use deltav::model::Model;
use deltav::optim::OPTIMIZERS;
use deltav::train::Checkpoint;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cli::Folder;

/// Rounds: from the environment, else few.
fn rounds(name: &str, few: u32) -> u32 {
    std::env::var(name).map_or(few, |text| text.parse().unwrap())
}

/// A new seed each time that many rounds are asked for; printed, to try again with.
fn rng() -> ChaCha8Rng {
    let seed = std::env::var("DELTAV_TORTURE_SEED").map_or(0, |text| text.parse().unwrap());
    ChaCha8Rng::seed_from_u64(seed)
}

const CHECKPOINT: [&str; 4] = ["--checkpoint", "run.ckpt", "--checkpoint-every", "1"];

/// A run of some epochs with an optimiser.
struct Victim<'a> {
    folder: &'a Folder,
    call: Vec<String>,
}

impl Victim<'_> {
    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.call.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    fn spawn(&self, more: &[&str]) -> Child {
        let mut command = self.folder.command(&self.arguments(more));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The model's bytes of a run without a break, and the time that one with checkpoints takes.
    fn unbroken(&self) -> (Vec<u8>, Duration) {
        self.folder.succeed(&self.arguments(&["--out", "whole", "--force"]));
        let began = Instant::now();
        self.folder.succeed(&self.arguments(&[&CHECKPOINT[..], &["--out", "m", "--force"]].concat()));
        let time = began.elapsed();
        self.clear();
        (self.folder.read("whole"), time)
    }

    fn resume(&self) -> Child {
        self.spawn(&[&CHECKPOINT[..], &["--out", "m", "--force", "--resume"]].concat())
    }

    /// Removes what a run left, but for the ratings.
    fn clear(&self) {
        for name in ["run.ckpt", "m"] {
            let _ = fs::remove_file(self.path(name));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whatever stands under a name is whole. Returns the checkpoint's epoch, if there is one.
    fn check(&self) -> Option<u32> {
        if self.path("m").exists() {
            Model::load(self.path("m")).unwrap();
        }
        let path = self.path("run.ckpt");
        path.exists().then(|| Checkpoint::load(path).unwrap().epoch())
    }

    /// Lets a resumed run end, and compares its model.
    fn end(&self, whole: &[u8]) {
        let status = self.resume().wait().unwrap();
        assert!(status.success(), "{:?}: {status}", self.call);
        assert!(self.folder.read("m") == whole, "{:?}: another model", self.call);
        let left: Vec<String> =
            self.folder.files().into_iter().filter(|name| name.starts_with('.')).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Kills a process. Whether it was still running.
fn kill(child: &mut Child) -> bool {
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    running && !child.wait().unwrap().success()
}

fn victims<'a>(folder: &'a Folder, epochs: u32, rank: &str) -> Vec<Victim<'a>> {
    let base = ["train", "ratings.csv", "-q", "--threads", "2", "--device", "cpu", "--rank", rank];
    let mut all: Vec<Vec<String>> = Vec::new();
    for spec in OPTIMIZERS {
        let mut call: Vec<String> = base.map(str::to_owned).to_vec();
        let epochs = if spec.name == "als" { epochs / 4 } else { epochs }.to_string();
        call.extend(["--optimizer", spec.name, "--holdout", "0.1", "--epochs", &epochs].map(str::to_owned));
        all.push(call);
    }
    let average = ["--average", "3", "--epochs", "20"];
    all.push(base.iter().chain(&average).map(|&word| word.to_owned()).collect());
    all.into_iter().map(|call| Victim { folder, call }).collect()
}

#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bits() {
    let folder = Folder::planted();
    let victims = victims(&folder, 120, "8");
    let wanted = rounds("DELTAV_TORTURE_KILLS", 2 * victims.len() as u32);
    let mut rng = rng();
    let unbroken: Vec<_> = victims.iter().map(Victim::unbroken).collect();
    let (mut kills, mut resumed_from_start, mut ended) = (0, 0, 0);
    while kills < wanted {
        // The same number of kills for each, and some of them twice in one run.
        let which = kills as usize % victims.len();
        let (victim, (whole, time)) = (&victims[which], &unbroken[which]);
        let breaks = if rng.random_bool(0.2) { 2 } else { 1 };
        for _ in 0..breaks {
            let mut child = victim.resume();
            std::thread::sleep(time.mul_f64(rng.random_range(0.0..0.8)));
            if kill(&mut child) {
                kills += 1;
            } else {
                ended += 1;
            }
            if victim.check().is_none() {
                resumed_from_start += 1;
            }
        }
        victim.end(whole);
        victim.clear();
    }
    println!("{kills} kills: 0 unreadable files, every run ended with the same bits");
    println!("{resumed_from_start} before the first checkpoint, {ended} runs ended before their kill");
}

/// Waits until a file is there and has some bytes; `false` if the process ends before.
fn wait_for(path: &Path, bytes: u64, child: &mut Child) -> bool {
    loop {
        if fs::metadata(path).is_ok_and(|found| found.len() >= bytes) {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
    }
}

#[test]
fn a_kill_inside_a_checkpoint_s_write_leaves_the_old_one_or_the_new_one() {
    let folder = Folder::planted();
    // At this rank a checkpoint is large, and an epoch short.
    let mut victims = victims(&folder, 24, "256");
    victims.retain(|victim| victim.call.iter().any(|word| word == "adam"));
    let victim = &victims[0];
    let (whole, _) = victim.unbroken();
    let wanted = rounds("DELTAV_TORTURE_WRITES", 6);
    let mut rng = rng();
    let temporary = victim.path(".run.ckpt.deltav-tmp");
    let (mut inside, mut tries) = (0, 0);
    let mut before = None;
    while inside < wanted {
        tries += 1;
        assert!(tries < 100 * wanted, "only {inside} of {tries} kills came in time");
        let mut child = victim.resume();
        let skipped = rng.random_range(0..4);
        let mut going = true;
        for _ in 0..skipped {
            going = going && wait_for(&temporary, 1, &mut child);
            while going && temporary.exists() {}
        }
        // Anywhere between its first byte and its last.
        going = going && wait_for(&temporary, rng.random_range(0..2_000_000), &mut child);
        let killed = going && kill(&mut child);
        if !killed {
            child.wait().unwrap();
        }
        // What the kill left half-written is there, and does not matter.
        inside += u32::from(killed && temporary.exists());
        let epoch = victim.check();
        assert!(epoch >= before, "an older checkpoint: {epoch:?} after {before:?}");
        before = epoch;
        if epoch.is_some_and(|epoch| epoch > 16) || !going {
            victim.end(&whole);
            victim.clear();
            before = None;
        }
    }
    victim.end(&whole);
    println!("{inside} kills inside a write: always the old checkpoint or the new one");
}

/// Resident memory of a process in bytes.
#[cfg(target_os = "linux")]
fn resident(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// Resident bytes by epoch of a run that saves often. Who is slow to read sees fewer of them.
#[cfg(target_os = "linux")]
fn sizes(folder: &Folder, device: &str, optimizer: &str, epochs: u32) -> Vec<(u32, u64)> {
    use std::io::{BufRead, BufReader};

    let number = epochs.to_string();
    let call = ["train", "ratings.csv", "--json", "--rank", "16", "--threads", "2", "--force"];
    let more = ["--device", device, "--optimizer", optimizer, "--epochs", &number, "--holdout", "0.1"];
    let often = ["--checkpoint", "run.ckpt", "--checkpoint-every", "10"];
    let mut command = folder.command(&[&call[..], &more, &often].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (mut epoch, mut sizes) = (0, Vec::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if line.unwrap().contains(r#""event":"epoch""#) {
            epoch += 1;
            sizes.extend(resident(&child).map(|bytes| (epoch, bytes)));
        }
    }
    assert!(child.wait().unwrap().success(), "{optimizer}");
    assert_eq!(epoch, epochs, "{optimizer}");
    sizes
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_over_many_epochs() {
    let folder = Folder::planted();
    let epochs = rounds("DELTAV_TORTURE_EPOCHS", 150);
    for device in ["cpu", "software"] {
        for spec in OPTIMIZERS {
            // The first third warms caches up; from there on nothing is kept.
            let parts = (0..20).find_map(|_| {
                let sizes = sizes(&folder, device, spec.name, epochs);
                let (early, late): (Vec<_>, Vec<_>) = sizes.into_iter().partition(|(at, _)| at * 3 < epochs);
                let seen = early.len() >= 10 && late.last().is_some_and(|(at, _)| at * 4 > epochs * 3);
                let most = |part: Vec<(u32, u64)>| part.into_iter().map(|(_, bytes)| bytes).max();
                seen.then_some((most(early)?, most(late)?))
            });
            let (early, late) = parts.expect("one of twenty runs is seen from its beginning to its end");
            println!("{device}, {}: {} kB, then {} kB", spec.name, early >> 10, late >> 10);
            assert!(late < early + (6 << 20), "{device}, {}: {early} bytes, then {late}", spec.name);
        }
    }
}
