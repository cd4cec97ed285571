//! What killed runs left in a folder: locks that nobody holds, and the
//! temporary files beside them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::live::LIVE;
use super::lock::{Lock, Taken};
use super::target::{LOCK, TEMPORARY};

/// Removes what killed runs left in the folder, and nothing that has an owner: only whose lock can be taken.
///
/// What can't be read or removed, such as another user's, stays.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let stems: BTreeSet<PathBuf> = entries.flatten().filter_map(|entry| stem(&entry.path())).collect();
    for stem in stems {
        let beside = |end: &str| {
            let mut path = stem.clone().into_os_string();
            path.push(".");
            path.push(end);
            PathBuf::from(path)
        };
        if LIVE.has(&beside(LOCK)) {
            continue; // our own
        }
        if let Ok(Taken::Lock(lock)) = Lock::take(&beside(LOCK)) {
            let temporary = beside(TEMPORARY);
            if fs::symlink_metadata(&temporary).is_ok_and(|found| found.is_file()) {
                let _ = fs::remove_file(&temporary);
            }
            drop(lock);
        }
    }
}

/// `.NAME` of `.NAME.deltav-lock` and `.NAME.deltav-tmp`, with its folder.
fn stem(path: &Path) -> Option<PathBuf> {
    let ends = [LOCK, TEMPORARY].map(OsStr::new);
    let stem = path.file_stem().filter(|_| path.extension().is_some_and(|end| ends.contains(&end)))?;
    // `.` alone stands for no name.
    let named = stem.as_encoded_bytes().first() == Some(&b'.') && stem.len() > 1;
    named.then(|| path.with_file_name(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let stale = [".a.deltav-lock", ".a.deltav-tmp", ".orphan.deltav-tmp", ".lock only.deltav-lock"];
        let others = [
            ".live.deltav-tmp",
            "a",
            "a.kept",
            "a.deltav-tmp",
            ".a.deltav-tmp.bak",
            ".deltav-tmp",
            "..deltav-tmp",
            ".deltav-Ab3dEf.tmp",
            ".a.1-0.deltav-unlocked",
        ];
        for name in stale.iter().chain(&others) {
            fs::write(path(name), "").unwrap();
        }
        let live = Lock::take(&path(".live.deltav-lock")).unwrap();
        assert!(matches!(live, Taken::Lock(_)));
        fs::create_dir(path(".folder.deltav-tmp")).unwrap();
        sweep(folder.path());
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = [&others[..], &[".live.deltav-lock", ".folder.deltav-tmp"]].concat();
        expected.sort_unstable();
        assert_eq!(left, expected);
        drop(live);
        sweep(folder.path());
        assert!(!path(".live.deltav-tmp").exists());
    }
}
