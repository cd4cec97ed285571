//! Days when settings, devices, disks and signals are to blame.

use std::process::Command;

use super::{Day, Endless, Here, Tests, refused};

/// In the order of the docs.
pub(super) const DAYS: &[Day] = &[
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
        case: "more memory is needed than there is, where the system or the device tells",
        behaviour: "refused before training takes any, with the bytes needed and those that are free; ratings that a \
                    device can't hold beside the factors are streamed, with a notice",
        codes: "71; 0",
        proof: Tests(&[
            "lost::memory_that_ends_is_told_with_what_was_needed",
            "cli::plan::train_streams_or_refuses_by_the_numbers_of_the_plan",
        ]),
    },
    Day {
        case: "the device's memory ends all the same",
        behaviour: "the ratings are streamed, with a notice; or bytes needed, and what to pass instead",
        codes: "0; 71",
        proof: Tests(&["plan::a_device_that_hides_how_little_memory_it_has_gets_the_ratings_streamed"]),
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
        case: "SIGINT (Ctrl-C), SIGTERM, SIGHUP while training",
        behaviour: "the epoch ends, the checkpoint is saved and named; the second signal stops at once; outputs as they \
                    were; under `nohup` SIGHUP stays ignored",
        codes: "130, 143, 129",
        proof: Tests(&[
            "cli::signals::training_finishes_its_epoch_at_the_first_signal",
            "cli::signals::quiet_and_json_hear_of_the_end_alone_and_a_checkpoint_is_kept",
            "cli::signals::a_second_signal_stops_in_the_middle_of_an_epoch",
            "cli::signals::cross_validation_finishes_its_epoch_and_no_other_fold",
            "cli::signals::what_is_ignored_from_the_start_stays_ignored",
            "resume::a_raised_flag_ends_with_a_checkpoint_of_that_epoch",
        ]),
    },
    Day {
        case: "the computer's memory ends (`ulimit -v`), or no thread is left",
        behaviour: "what did not fit, in bytes; nothing is left behind",
        codes: "71",
        proof: Tests(&[
            "cli::memory::whatever_the_limit_a_call_ends_well_or_in_one_line",
            "cli::memory::a_model_larger_than_memory_is_refused_by_its_name",
            "cli::memory::threads_that_the_system_refuses_are_named",
        ]),
    },
    Day {
        case: "a signal while reading or answering",
        behaviour: "ends at once; outputs as they were, nothing beside them",
        codes: "130, 143, 129",
        proof: Tests(&[
            "cli::signals::reading_ends_at_once_and_leaves_the_old_output",
            "cli::signals::answers_end_at_once_and_leave_the_old_output",
            "cli::signals::what_was_printed_is_not_called_nothing",
            "cli::signals::nobody_need_read_the_last_word",
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
        case: "a locale that writes decimal commas, another time zone, a clock that is wrong or jumps",
        behaviour: "no byte of a model changes",
        codes: "0",
        proof: Tests(&[
            "cli::surroundings::a_locale_and_a_zone_change_no_byte",
            "cli::surroundings::clocks_that_lie_change_no_byte",
        ]),
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
