//! How much memory this process can still get, as far as the system tells.

use std::path::{Path, PathBuf};

/// Bytes that the system would still give to this process: what is free on the computer, within the
/// limits of the process and of the control groups (containers) that it runs in. `None` where
/// nobody tells: everywhere but on Linux.
pub(crate) fn available() -> Option<u64> {
    available_under(Path::new("/"))
}

/// The most bytes that this process had in memory at a time. `None` where nobody tells: everywhere
/// but on Linux.
#[cfg(feature = "cli")]
pub(crate) fn peak() -> Option<u64> {
    kib(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// The same on a system with this root.
fn available_under(root: &Path) -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let free = read("proc/meminfo").and_then(|text| kib(&text, "MemAvailable:"));
    let space = read("proc/self/limits").and_then(|text| address_space(&text));
    let mapped = read("proc/self/status").and_then(|text| kib(&text, "VmSize:")).unwrap_or(0);
    let space = space.map(|most| most.saturating_sub(mapped));
    let groups = read("proc/self/cgroup").unwrap_or_default();
    let groups = groups.lines().flat_map(|line| group_files(root, line)).filter_map(|group| group.left());
    groups.chain(free).chain(space).min()
}

/// The number of KiB behind a name, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit of the address space, if there is one.
fn address_space(limits: &str) -> Option<u64> {
    let rest = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The files of a control group.
struct Group {
    limit: PathBuf,
    usage: PathBuf,
    stat: PathBuf,
    /// What of the usage is a cache that the system takes back first.
    cache: &'static str,
}

impl Group {
    fn left(&self) -> Option<u64> {
        let number = |path: &Path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let limit = number(&self.limit)?; // "max": none
        let usage = number(&self.usage)?;
        let stat = std::fs::read_to_string(&self.stat).unwrap_or_default();
        let cached = stat.lines().find_map(|line| line.strip_prefix(self.cache)?.trim().parse().ok());
        Some(limit.saturating_sub(usage.saturating_sub(cached.unwrap_or(0))))
    }
}

/// A line of /proc/self/cgroup, `number:controllers:path`: the group and those that hold it.
fn group_files(root: &Path, line: &str) -> Vec<Group> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return Vec::new() };
    let (mount, limit, usage, cache) = if controllers.is_empty() {
        ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file ")
    } else if controllers.split(',').any(|name| name == "memory") {
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
    } else {
        return Vec::new();
    };
    // A path with `..` lies outside of what is mounted here.
    let path = Path::new(path.trim_start_matches('/'));
    let path = if path.components().any(|part| part.as_os_str() == "..") { Path::new("") } else { path };
    let group = |path: &Path| {
        let folder = root.join(mount).join(path);
        Group {
            limit: folder.join(limit),
            usage: folder.join(usage),
            stat: folder.join("memory.stat"),
            cache,
        }
    };
    path.ancestors().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system's files.
    fn system(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        available_under(root.path())
    }

    const FREE: (&str, &str) =
        ("proc/meminfo", "MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:    4096 kB\n");

    #[test]
    fn the_least_of_all_limits_counts() {
        assert_eq!(system(&[]), None);
        assert_eq!(system(&[("proc/meminfo", "MemAvailable: many kB\n")]), None);
        assert_eq!(system(&[FREE]), Some(4 << 20));
        let limits = |most| {
            format!("Limit   Soft Limit  Hard Limit  Units\nMax address space   {most}  unlimited  bytes\n")
        };
        let status = ("proc/self/status", "Name:\tx\nVmSize:\t  1024 kB\n");
        assert_eq!(system(&[FREE, status, ("proc/self/limits", &limits("unlimited"))]), Some(4 << 20));
        assert_eq!(system(&[FREE, status, ("proc/self/limits", &limits("3145728"))]), Some(2 << 20));
        // More is mapped than a limit that was set later allows.
        assert_eq!(system(&[FREE, status, ("proc/self/limits", &limits("1000"))]), Some(0));
    }

    #[test]
    fn groups_limit_those_within_and_caches_are_taken_back() {
        let second = [
            FREE,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.max", "3000000\n"),
            ("sys/fs/cgroup/a/memory.current", "2500000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 5\nfile 9\ninactive_file 1000000\n"),
        ];
        assert_eq!(system(&second), Some(1_500_000));
        let first = [
            FREE,
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/1\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "500000\n"),
        ];
        assert_eq!(system(&first), Some(1_500_000));
        // From another namespace: what is mounted is the group itself.
        let other = [
            ("proc/self/cgroup", "0::/../../a\n"),
            ("sys/fs/cgroup/memory.max", "70\n"),
            ("sys/fs/cgroup/memory.current", "50\n"),
        ];
        assert_eq!(system(&other), Some(20));
    }

    #[test]
    fn this_system_tells() {
        #[cfg(target_os = "linux")]
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
