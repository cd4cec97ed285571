//! The table of bad days: each row of docs/reliability.md is a value here, with what proves it.
//! The table is written from these by `DELTAV_WRITE_README=1 cargo test --test it readme`.

use std::path::Path;
use std::process::{Child, Command};

use crate::cli::Folder;

/// What stands behind a row.
enum Proof {
    /// Runs in a folder with `ratings.csv`, `test.csv` and an older `old` of some bytes.
    Here(fn(&Folder)),
    /// Tests of other files, `file::name`.
    Tests(&'static [&'static str]),
}

use Proof::{Here, Tests};

/// A row: what happens, what deltav does, the exit codes, the proof.
pub struct Day {
    pub case: &'static str,
    pub behaviour: &'static str,
    pub codes: &'static str,
    proof: Proof,
}

const OLD: &[u8] = b"an older file";

/// A call that must be refused in one line with these words, and leave the older file as it was.
fn refused(folder: &Folder, arguments: &[&str], code: i32, words: &[&str]) {
    let line = folder.fail(arguments, code);
    for word in words {
        assert!(line.contains(word), "{arguments:?}: {line}: {word}");
    }
    assert!(folder.read("old") == OLD, "{arguments:?} touched an output");
}

/// Training on these ratings, onto the older file.
fn bad_ratings(folder: &Folder, text: impl AsRef<[u8]>, words: &[&str]) {
    folder.write("bad.csv", text);
    refused(folder, &["train", "bad.csv", "-o", "old", "--force"], 65, words);
}

/// Training that must succeed; what it says.
fn trains(folder: &Folder, text: impl AsRef<[u8]>, more: &[&str]) -> String {
    folder.write("odd.csv", text);
    let call = ["train", "odd.csv", "-o", "new", "--force", "--device", "cpu", "--rank", "2"];
    let outcome = folder.run(&[&call[..], more].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stderr
}

fn predicted(folder: &Folder, pairs: &str) -> String {
    folder.write("pairs.csv", pairs);
    folder.succeed(&["predict", "new", "pairs.csv", "-q"])
}

/// A process that is killed with the test, however that ends.
struct Endless(Child);

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Every row, in the order of the docs.
pub const DAYS: &[Day] = &[
    Day {
        case: "NaN, inf, 1e39 (infinite as f32), text where a number belongs, a missing column",
        behaviour: "`file:line`: what stands there and what was expected",
        codes: "65",
        proof: Here(|folder| {
            for rating in ["NaN", "inf", "-inf", "1e39", "good", "3,5"] {
                let text = format!("user;item;rating\na;x;4\nb;y;{rating}\n");
                bad_ratings(folder, text, &["error: bad.csv:3: "]);
            }
            bad_ratings(folder, "user,item,rating\na,x,4\nb,y\n", &["error: bad.csv:3: "]);
            bad_ratings(folder, "user,item\na,x\n", &["error: bad.csv:1: "]);
        }),
    },
    Day {
        case: "an empty file; a header and nothing else",
        behaviour: "says so",
        codes: "65",
        proof: Here(|folder| {
            bad_ratings(folder, "", &["bad.csv", "; "]);
            bad_ratings(folder, "user,item,rating\n", &["bad.csv", "; "]);
            bad_ratings(folder, "\n\n\r\n", &["bad.csv", "; "]);
        }),
    },
    Day {
        case: "the same user and item twice",
        behaviour: "names both lines; `--duplicates first`, `last` or `mean` takes them",
        codes: "65",
        proof: Here(|folder| {
            let twice = "user,item,rating\na,x,4\nb,y,1\na,x,5\n";
            bad_ratings(folder, twice, &["error: bad.csv:4: ", "line 2", "--duplicates"]);
            trains(folder, twice, &["--duplicates", "mean"]);
        }),
    },
    Day {
        case: "ids such as 007, with quotes, spaces, in Unicode or 300 bytes long",
        behaviour: "opaque bytes, kept as they are",
        codes: "0",
        proof: Here(|folder| {
            let long = "x".repeat(300);
            let text = format!("user,item,rating\n007,\"a, \"\"b\"\"\",1\n7, c d ,2\n☃é,{long},3\n");
            trains(folder, &text, &[]);
            let card = &folder.json(&["inspect", "new", "--json"])[0];
            assert_eq!((&card["data"]["users"], &card["data"]["items"]), (&3.into(), &3.into()));
            let answers = predicted(folder, &format!("user,item\n007,\"a, \"\"b\"\"\"\n☃é,{long}\n"));
            assert!(answers.contains("007,\"a, \"\"b\"\"\",") && answers.contains(&format!("☃é,{long},")));
        }),
    },
    Day {
        case: "a byte order mark, CRLF, no final newline, all mixed",
        behaviour: "read like any other file",
        codes: "0",
        proof: Here(|folder| {
            let plain = "user,item,rating\na,x,1\nb,y,2\na,y,3\n";
            trains(folder, plain, &[]);
            let model = folder.read("new");
            trains(folder, "\u{feff}user,item,rating\r\na,x,1\nb,y,2\r\na,y,3", &[]);
            assert!(folder.read("new") == model);
        }),
    },
    Day {
        case: "a quote that is never closed",
        behaviour: "the line where it opened, not a silent end of the file",
        codes: "65",
        proof: Here(|folder| {
            bad_ratings(
                folder,
                "user,item,rating\na,x,1\nb,\"y,2\nc,z,3\n",
                &["error: bad.csv:3: ", "quote"],
            );
        }),
    },
    Day {
        case: "a gzip file that is cut short or damaged; one of several members",
        behaviour: "refused; all members are read",
        codes: "65; 0",
        proof: Tests(&[
            "broken::delimited",
            "data::source::tests::gzip_is_known_by_its_content_and_all_members_are_read",
        ]),
    },
    Day {
        case: "users × items above 2³²; more than 2³² ratings",
        behaviour: "counts and offsets have 64 bits; what a device numbers with 32 is cut into tiles",
        codes: "0",
        proof: Here(|folder| {
            let ratings: String =
                (0..70_000).map(|p| format!("u{p},i{},{}\n", p * 3 % 70_000, p % 5)).collect();
            trains(folder, format!("user,item,rating\n{ratings}"), &["--optimizer", "als", "--epochs", "1"]);
            let data = &folder.json(&["inspect", "new", "--json"])[0]["data"];
            assert_eq!((&data["users"], &data["items"]), (&70_000.into(), &70_000.into()));
            assert!(predicted(folder, "user,item\nu69999,i69997\n").contains("u69999,i69997,"));
            let deltav::data::Compressed { offsets, .. } = deltav::data::Compressed::default();
            let _: Vec<u64> = offsets;
        }),
    },
    Day {
        case: "one rating; a user with none left to train on; all ratings equal",
        behaviour: "trains; predicts the mean, and says so",
        codes: "0",
        proof: Here(|folder| {
            trains(folder, "user,item,rating\na,x,3\n", &[]);
            assert!(predicted(folder, "user,item\na,x\nb,x\n").matches(",3").count() == 2);
            let said = trains(folder, "user,item,rating\na,x,3\nb,y,3\na,y,3\nc,x,3\n", &[]);
            assert!(said.contains("all ratings are 3"), "{said}");
            let ratings: String = (0..30).map(|p| format!("u{},i{},{}\n", p % 10, p % 7, p % 5)).collect();
            let said = trains(folder, format!("user,item,rating\n{ratings}"), &["--holdout", "0.8"]);
            assert!(said.contains("without a training rating"), "{said}");
        }),
    },
    Day {
        case: "a rank above the number of users or items",
        behaviour: "trains, with a notice",
        codes: "0",
        proof: Here(|folder| {
            let said = trains(folder, "user,item,rating\na,x,1\nb,y,2\na,y,3\n", &[]);
            assert!(!said.contains("exceeds"), "{said}");
            folder.write("small.csv", "user,item,rating\na,x,1\nb,y,2\na,y,3\n");
            let outcome = folder.run(&["train", "small.csv", "--rank", "8", "--device", "cpu"]);
            assert!(outcome.code == Some(0) && outcome.stderr.contains("rank 8 exceeds"), "{outcome:?}");
        }),
    },
    Day {
        case: "ratings from 1e-30 to 1e30, or near the end of f32",
        behaviour: "trains with the same factors as in other units; `--model plain`, which has no unit, is \
                    refused with what to pass; NaN in no answer",
        codes: "0; 2",
        proof: Tests(&[
            "magnitudes::ratings_of_any_size_train_or_are_refused_in_one_line",
            "magnitudes::a_gpu_trains_ratings_of_any_size",
            "magnitudes::other_units_give_the_same_factors",
        ]),
    },
    Day {
        case: "divergence: a rate that is too high",
        behaviour: "found within the epoch; the best one before is kept where there is an `--out`; the line names epoch, \
                    optimiser, rate and what to change; NaN is never saved",
        codes: "3",
        proof: Here(|folder| {
            let call =
                ["train", "ratings.csv", "-o", "old", "--force", "--optimizer", "gd", "--device", "cpu"];
            let rate = ["--opt", "rate=1e6", "-q"];
            refused(
                folder,
                &[&call[..], &rate].concat(),
                3,
                &["error: epoch ", "gd diverged (rate=", "smaller rate"],
            );
        }),
    },
    Day {
        case: "no GPU, or a software adapter only",
        behaviour: "`--device gpu` says how to get a driver; `auto` trains on the CPU and says so",
        codes: "69; 0",
        proof: Tests(&[
            "cli::devices::without_an_adapter_the_gpu_is_refused_and_auto_trains_on_the_cpu",
            "cli::devices::auto_says_when_it_falls_back_to_the_cpu",
        ]),
    },
    Day {
        case: "the device's memory ends",
        behaviour: "bytes needed and what there is; estimated before anything is allocated where the driver tells",
        codes: "71",
        proof: Tests(&["lost::memory_that_ends_is_told_with_what_was_needed"]),
    },
    Day {
        case: "the device is lost, or a kernel hangs",
        behaviour: "one line with the remedy and the last checkpoint; going on from it gives the same bits",
        codes: "69",
        proof: Tests(&[
            "lost::a_lost_device_fails_whatever_is_asked_of_it",
            "lost::training_ends_where_the_device_is_lost",
            "lost::a_submission_that_does_not_finish_is_an_error_and_nothing_waits_for_it",
            "faults::from_a_fault_at_any_verb_the_run_goes_on_from_its_last_checkpoint",
        ]),
    },
    Day {
        case: "SIGKILL, power cut",
        behaviour: "every file is the old one or the new one; `--resume` ends with the bits of an unbroken run",
        codes: "–",
        proof: Tests(&[
            "torture::a_run_that_is_killed_goes_on_to_the_same_bits",
            "torture::a_kill_inside_a_checkpoint_s_write_leaves_the_old_one_or_the_new_one",
            "resume::from_any_epoch_the_rest_of_the_run_has_the_same_bits",
        ]),
    },
    Day {
        case: "resuming with other ratings or other flags, or from a file that is no checkpoint",
        behaviour: "names what differs",
        codes: "65; 2",
        proof: Here(|folder| {
            let call = ["train", "ratings.csv", "--device", "cpu", "--epochs", "2", "--checkpoint", "c"];
            let all = |more: &[&'static str]| [&call[..], &["--out", "old", "--force"], more].concat();
            folder.succeed(&[&call[..], &["--out", "m", "-q"]].concat());
            let seed = all(&["--resume", "--seed", "1"]);
            refused(folder, &seed, 2, &["--seed is 0 there and 1 here", "start anew without --resume"]);
            refused(folder, &all(&["--resume", "--test", "test.csv"]), 65, &["is of other test ratings"]);
            folder.write("c", folder.read("m"));
            refused(folder, &all(&["--resume"]), 65, &["c: is a model, not a checkpoint"]);
        }),
    },
    Day {
        case: "an output that exists, is a folder, a device or read-only, or whose folder is missing",
        behaviour: "found before the work begins",
        codes: "73",
        proof: Here(|folder| {
            let call = |out: &'static str| vec!["train", "ratings.csv", "-q", "-o", out];
            refused(folder, &call("old"), 73, &["error: old: exists; pass --force to replace it"]);
            refused(folder, &call("no/m"), 73, &["folder no does not exist; create it"]);
            refused(folder, &call("."), 73, &["is a folder"]);
            refused(folder, &call("/dev/null"), 73, &["/dev/null: "]);
            refused(folder, &call("/proc/m"), 73, &["/proc/m: "]);
            let input = ["train", "ratings.csv", "-q", "-o", "ratings.csv", "--force"];
            refused(folder, &input, 73, &["is an input of this very call"]);
        }),
    },
    Day {
        case: "a full disk, a quota, a limit on the size of files (SIGXFSZ), a failing write, sync or rename",
        behaviour: "found before training where room can be reserved; else the old file stays and nothing else",
        codes: "74",
        proof: Tests(&[
            "disk_faults::disks::a_small_disk_is_full_before_training_or_after_it_and_the_old_file_stays",
            "disk_faults::limits::a_disk_that_is_full_at_any_byte_keeps_the_old_file",
            "disk_faults::limits::a_full_standard_output_is_an_error",
            "disk_faults::sweep::train_survives_every_call_that_fails",
            "disk_faults::sweep::predict_survives_every_call_that_fails",
            "disk_faults::sweep::recommend_survives_every_call_that_fails",
            "disk_faults::sweep::export_survives_every_call_that_fails",
            "disk_faults::sweep::a_run_with_checkpoints_goes_on_after_every_call_that_fails",
        ]),
    },
    Day {
        case: "a folder that is read-only",
        behaviour: "found before the work begins",
        codes: "73",
        proof: Tests(&["disk_faults::disks::a_read_only_folder_is_refused_before_the_work"]),
    },
    Day {
        case: "two processes, one output",
        behaviour: "the second ends at once; the first is not disturbed",
        codes: "75",
        proof: Here(|folder| {
            let call = ["train", "ratings.csv", "-q", "-o", "old", "--force", "--device", "cpu"];
            let endless = [&call[..], &["--epochs", "100000000"]].concat();
            let mut first = Endless(folder.command(&endless).spawn().unwrap());
            while !folder.path().join(".old.deltav-tmp").exists() {
                assert!(first.0.try_wait().unwrap().is_none());
            }
            refused(folder, &call, 75, &["old: another deltav is writing it; wait"]);
            drop(first);
            folder.succeed(&[&call[..], &["--epochs", "2"]].concat());
            let left = ["old", "ratings.csv", "test.csv"];
            assert_eq!(folder.files(), left, "what the killed run left is swept");
        }),
    },
    Day {
        case: "a model or checkpoint that is damaged, cut short, made up, or of a newer version",
        behaviour: "refused before memory is allocated for what it claims; each file has a checksum",
        codes: "65",
        proof: Here(|folder| {
            folder.succeed(&["train", "ratings.csv", "-q", "-o", "m", "--device", "cpu", "--epochs", "2"]);
            let sound = folder.read("m");
            let mut damaged = sound.clone();
            damaged[sound.len() / 2] ^= 4;
            for (bytes, word) in
                [(&damaged[..], "damaged"), (&sound[..900], "cut short"), (b"PK", "safetensors")]
            {
                folder.write("bad", bytes);
                let call = ["export", "bad", "--format", "npz", "-o", "old", "--force"];
                refused(folder, &call, 65, &["error: bad: ", word]);
            }
        }),
    },
    Day {
        case: "an input that does not exist",
        behaviour: "names it",
        codes: "66",
        proof: Here(|folder| {
            refused(
                folder,
                &["train", "none.csv", "-o", "old", "--force"],
                66,
                &["none.csv: ", "check the path"],
            );
            refused(folder, &["predict", "none", "test.csv", "-o", "old", "--force"], 66, &["none: "]);
        }),
    },
    Day {
        case: "a reader that leaves: `deltav … | head`",
        behaviour: "a quiet end; a model that is being trained is finished and saved",
        codes: "0",
        proof: Here(|folder| {
            let program = env!("CARGO_BIN_EXE_deltav");
            for call in [
                "train ratings.csv --json --device cpu --out new",
                "inspect new --json",
                "recommend new --all",
            ] {
                let script = format!("{program} {call} 2>stderr | true; exit ${{PIPESTATUS[0]}}");
                let mut bash = Command::new("bash");
                let status = bash.args(["-c", &script]).current_dir(folder.path()).status().unwrap();
                let said = String::from_utf8(folder.read("stderr")).unwrap();
                assert!(status.success() && !said.contains("error"), "{call}: {status} {said}");
            }
            assert!(folder.path().join("new").exists());
        }),
    },
];

#[test]
fn every_row_is_as_it_says() {
    for Day { case, proof, codes, behaviour } in DAYS {
        assert!(!codes.is_empty() && !behaviour.is_empty());
        match proof {
            Here(run) => {
                let folder = Folder::planted();
                folder.write("old", OLD);
                run(&folder);
            }
            Tests(names) => {
                for name in *names {
                    assert!(is_a_test(name), "{case}: there is no test {name}");
                }
            }
        }
    }
}

/// Whether a file of the tests, or of the sources, has a test of that name.
fn is_a_test(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (module, function) = name.rsplit_once("::").unwrap();
    let path = module.replace("::", "/");
    let files = [
        format!("tests/it/{path}.rs"),
        format!("src/{path}.rs"),
        format!("src/{}.rs", path.trim_end_matches("/tests")),
    ];
    let body = format!("fn {function}() {{");
    files.iter().any(|file| {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let Some((before, _)) = text.split_once(&body) else { return false };
        before.trim_end().ends_with("#[test]")
    })
}
