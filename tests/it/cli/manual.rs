//! Completions and the manual, which are made from the flags.

use std::process::Command;

use clap::CommandFactory;

use super::Folder;

#[test]
fn every_shell_is_told_every_command_and_flag() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = folder.succeed(&["completions", shell]);
        for word in ["fold-in", "recommend", "holdout-by", "print-config", "line-search", "svdpp"] {
            // An optimizer is free text to the parser; models are a list.
            let known = script.contains(word);
            assert!(known || word == "line-search", "{shell}: {word}");
        }
    }
    assert!(folder.fail(&["completions", "cmd"], 2).contains("[possible values: bash, "));
}

#[test]
fn the_word_help_is_the_flag() {
    let folder = Folder::new();
    assert_eq!(folder.succeed(&["help"]), folder.succeed(&["--help"]));
    assert_eq!(folder.succeed(&["help", "fold-in"]), folder.succeed(&["fold-in", "--help"]));
    assert!(folder.fail(&["help", "trian"], 2).contains("'train'"));
}

#[cfg(unix)]
#[test]
fn bash_completes_with_it() {
    let folder = Folder::new();
    folder.write("deltav.bash", folder.succeed(&["completions", "bash"]));
    let complete = |words: &[&str]| -> Vec<String> {
        let script = format!(
            "source ./deltav.bash; COMP_WORDS=({}); COMP_CWORD={}; _deltav deltav '{}' '{}'; echo \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2]
        );
        let shell = Command::new("bash").args(["-uc", &script]).current_dir(folder.path()).output().unwrap();
        assert!(
            shell.status.success() && shell.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&shell.stderr)
        );
        String::from_utf8(shell.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["deltav", "reco"]), ["recommend"]);
    assert_eq!(complete(&["deltav", "train", "--holdou"]), ["--holdout", "--holdout-by"]);
    assert_eq!(complete(&["deltav", "train", "--holdout-by", "us"]), ["user"]);
}

#[test]
fn every_command_has_a_page_with_every_flag() {
    let folder = Folder::new();
    folder.succeed(&["man", "--out", "pages/man1"]);
    let mut program = deltav::cli::Cli::command();
    program.build();
    let mut pages = 0;
    for command in program.get_subcommands().chain([&program]) {
        let own = command.get_name() == "deltav";
        let name = if own { "deltav".to_owned() } else { format!("deltav-{}", command.get_name()) };
        let page = String::from_utf8(folder.read(&format!("pages/man1/{name}.1"))).unwrap();
        for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
            assert!(
                page.contains(&format!("\n.SH {section}\n"))
                    || page.contains(&format!("\n.SH \"{section}\"\n")),
                "{name}: {section}"
            );
        }
        for arg in command.get_arguments().filter(|arg| arg.get_help().is_some()) {
            let Some(long) = arg.get_long() else { continue };
            assert!(page.contains(&format!("\\-\\-{}", long.replace('-', "\\-"))), "{name}: {long}: {page}");
        }
        assert!(page.contains("an output that another process is writing") && page.contains("DELTAV_CONFIG"));
        let call: &[&str] = if own { &["man"] } else { &["man", command.get_name()] };
        assert_eq!(folder.succeed(call), page);
        pages += 1;
    }
    assert_eq!(std::fs::read_dir(folder.path().join("pages/man1")).unwrap().count(), pages);
    assert!(folder.fail(&["man", "--out", "pages/man1"], 73).contains("--force"));
    folder.succeed(&["man", "--out", "pages/man1", "--force"]);
    assert!(folder.fail(&["man", "trian"], 2).contains("trian"));

    // The formatter finds nothing to complain of. macOS' has other flags, Windows has none.
    if cfg!(target_os = "linux") {
        let mut man = Command::new("man");
        man.args(["--warnings", "-l", "pages/man1/deltav-train.1"]).env("MANWIDTH", "80");
        let output =
            man.env("LC_ALL", "C.UTF-8").current_dir(folder.path()).output().expect("man, of man-db");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("DELTAV_TRAIN_FLAG") && text.contains("--max-memory-bytes"), "{text}");
    }
}
