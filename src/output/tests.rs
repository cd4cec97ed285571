//! Outputs and claims, and what others see of them.

use std::fs;

use super::draft::BUFFER_BYTES;
use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The refusal's text, after checking that its exit code is 73.
fn refusal(path: &Path, force: bool) -> String {
    let error = Output::create(path, force).unwrap_err();
    assert_eq!(error.exit_code(), 73, "{error}");
    error.to_string()
}

#[test]
fn commit_puts_the_bytes_in_place_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    let mut output = Output::create(&path, false).unwrap();
    output.write_all(b"hello").unwrap();
    assert!(!path.exists(), "nothing stands there before the commit");
    assert_eq!(output.commit().unwrap(), 5);
    assert_eq!(fs::read(&path).unwrap(), b"hello");
    assert_eq!(names(folder.path()), ["a.model"]);
}

#[test]
fn dropping_leaves_the_old_file_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    fs::write(&path, "old").unwrap();
    let mut output = Output::create(&path, true).unwrap();
    output.write_all(&vec![7; 3 * BUFFER_BYTES]).unwrap();
    drop(output);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["a.model"]);
}

#[test]
fn an_existing_file_needs_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    fs::write(&path, "old").unwrap();
    assert!(refusal(&path, false).ends_with("a.model: exists; pass --force to replace it"));
    let mut output = Output::create(&path, true).unwrap();
    output.write_all(b"new").unwrap();
    output.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_file_that_appears_during_the_work_is_not_replaced_and_the_result_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    let mut output = Output::create(&path, false).unwrap();
    output.write_all(b"mine").unwrap();
    fs::write(&path, "theirs").unwrap();
    let error = output.commit().unwrap_err();
    assert_eq!(error.exit_code(), 73);
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert!(error.to_string().contains("a.model.kept: rename it"), "{error}");
    assert_eq!(names(folder.path()), ["a.model", "a.model.kept"]);
    assert_eq!(fs::read(folder.path().join("a.model.kept")).unwrap(), b"mine");

    // The next one takes neither away.
    fs::remove_file(&path).unwrap();
    let output = Output::create(&path, false).unwrap();
    fs::write(&path, "theirs").unwrap();
    assert!(output.commit().unwrap_err().to_string().contains("a.model.kept-2: rename it"));
    assert_eq!(names(folder.path()), ["a.model", "a.model.kept", "a.model.kept-2"]);
    assert_eq!(fs::read(folder.path().join("a.model.kept")).unwrap(), b"mine");
}

#[test]
fn targets_that_cannot_be_files_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/a.model");
    assert!(refusal(&missing, false).contains("does not exist; create it"));
    assert!(refusal(folder.path(), true).contains("is a folder"));
    assert!(refusal(Path::new(""), false).contains("is not a file name"));
    assert!(refusal(Path::new("-"), false).contains("is not a file name"));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    refusal(&file.join("a.model"), true);
    refusal(&folder.path().join("x".repeat(300)), false);
}

#[test]
fn a_read_only_file_is_left_alone_even_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    fs::write(&path, "old").unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    assert!(refusal(&path, true).contains("is read-only"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_refused_at_once() {
    // /proc refuses new files even to root, whom permission bits don't stop.
    let error = refusal(Path::new("/proc/a.model"), false);
    assert!(error.starts_with("/proc/a.model: "), "{error}");
}

#[cfg(unix)]
#[test]
fn devices_are_refused_links_are_followed_and_permissions_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    assert!(refusal(Path::new("/dev/null"), true).contains("is not a regular file"));

    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real");
    let link = folder.path().join("link");
    fs::write(&real, "old").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &link).unwrap();
    let mut output = Output::create(&link, true).unwrap();
    output.write_all(b"new").unwrap();
    output.commit().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&real).unwrap(), b"new");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);

    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    refusal(&dangling, false);
}

#[cfg(unix)]
#[test]
fn a_new_file_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, plain) = (folder.path().join("a.model"), folder.path().join("plain"));
    Output::create(&path, false).unwrap().commit().unwrap();
    fs::write(&plain, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&plain));
}

#[test]
fn two_outputs_of_one_process_are_told_apart_by_the_file_they_mean() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    let first = Output::create(&path, true).unwrap();
    let detour = folder.path().join(".").join("a.model");
    for same in [&path, &detour] {
        assert!(refusal(same, true).ends_with("is another output of this very call; pass another path"));
    }
    Output::create(folder.path().join("b.model"), true).unwrap();
    first.commit().unwrap();
    Output::create(&path, true).unwrap();
    assert_eq!(names(folder.path()), ["a.model"]);
}

/// The lock of another process: of this one no list knows it.
#[cfg(unix)]
fn lock_of_another(path: &Path) -> fs::File {
    let name = format!(".{}.deltav-lock", path.file_name().unwrap().to_str().unwrap());
    let file = fs::File::create(path.with_file_name(name)).unwrap();
    file.lock().unwrap();
    file
}

#[cfg(unix)]
#[test]
fn another_process_writing_the_file_is_known_by_its_lock_through_every_path() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("a.model"), folder.path().join("link"));
    fs::write(&path, "old").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let theirs = lock_of_another(&path);
    fs::write(folder.path().join(".a.model.deltav-tmp"), "theirs").unwrap();
    for path in [&path, &link] {
        let error = Output::create(path, true).unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        assert_eq!(error.exit_code(), 75);
    }
    // Neither is what they write touched from beside.
    Output::create(folder.path().join("b.model"), true).unwrap();
    assert_eq!(names(folder.path()), [".a.model.deltav-lock", ".a.model.deltav-tmp", "a.model", "link"]);
    // As if they had been killed.
    drop(theirs);
    let mut output = Output::create(&link, true).unwrap();
    output.write_all(b"new").unwrap();
    output.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["a.model", "link"]);
}

#[test]
fn a_claim_writes_again_and_again_each_time_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.checkpoint");
    let mut claim = Claim::acquire(&path, false).unwrap();
    for text in ["one", "the second", "3"] {
        assert_eq!(claim.write(|out| out.write_all(text.as_bytes())).unwrap(), text.len() as u64);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert!(
            matches!(Output::create(&path, true), Err(Error::CantCreate { .. })),
            "it is held between writes"
        );
    }
    let failed = claim.write(|out| {
        out.write_all(&vec![0; 2 * BUFFER_BYTES])?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert_eq!(failed.unwrap_err().exit_code(), 74);
    assert_eq!(names(folder.path()), [".a.checkpoint.deltav-lock", "a.checkpoint"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "3");
    assert_eq!(claim.write(|out| out.write_all(b"4")).unwrap(), 1);
    drop(claim);
    assert_eq!(names(folder.path()), ["a.checkpoint"]);
    assert_eq!(Claim::acquire(&path, false).unwrap_err().exit_code(), 73);
}

#[test]
fn a_claim_without_force_replaces_nothing_that_appears_before_its_first_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.checkpoint");
    let mut claim = Claim::acquire(&path, false).unwrap();
    fs::write(&path, "theirs").unwrap();
    let error = claim.write(|out| out.write_all(b"mine")).unwrap_err();
    assert_eq!(error.exit_code(), 73, "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert_eq!(fs::read(folder.path().join("a.checkpoint.kept")).unwrap(), b"mine");
}

#[test]
fn what_was_reserved_and_not_used_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    for (reserved, used) in [(1 << 20, 5), (0, 3), (10, 4_000), (1 << 20, 0)] {
        let mut output = Output::create(&path, true).unwrap();
        output.reserve(reserved).unwrap();
        output.write_all(&vec![7; used]).unwrap();
        assert_eq!(output.commit().unwrap(), used as u64);
        assert_eq!(fs::read(&path).unwrap(), vec![7; used]);
        let mut claim = Claim::acquire(&path, true).unwrap();
        claim.reserve(reserved).unwrap();
        assert_eq!(claim.write(|out| out.write_all(b"abc")).unwrap(), 3);
        assert_eq!(claim.write(|out| out.write_all(b"abcd")).unwrap(), 4);
        assert_eq!(fs::read(&path).unwrap(), b"abcd");
    }
    assert_eq!(names(folder.path()), ["a.model"]);
}

#[test]
fn more_than_the_disk_has_is_refused_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    fs::write(&path, "old").unwrap();
    let mut output = Output::create(&path, true).unwrap();
    let error = output.reserve(1 << 50).unwrap_err();
    assert_eq!(error.exit_code(), 74);
    assert!(error.to_string().contains("1125899906842624 bytes needed"), "{error}");
    drop(output);
    assert_eq!(names(folder.path()), ["a.model"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn names_as_long_as_a_file_system_takes_are_written() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["x".repeat(255), "ä".repeat(127)] {
        let path = folder.path().join(&name);
        let mut output = Output::create(&path, false).unwrap();
        output.write_all(b"long").unwrap();
        output.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"long");
        fs::remove_file(path).unwrap();
        assert_eq!(names(folder.path()).len(), 0);
    }
}
