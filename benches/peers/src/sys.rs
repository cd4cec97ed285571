//! What the standard library has no word for: CPU time, peak memory, affinity, LIBMF's stdout.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Child;

use crate::Failure;

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 * 1e-6
}

/// CPU seconds of this process so far, user and system, all threads.
pub fn cpu_seconds() -> f64 {
    let usage = usage();
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The most memory that this process has held, in bytes.
pub fn peak_bytes() -> u64 {
    usage().ru_maxrss as u64 * 1024
}

fn usage() -> libc::rusage {
    // SAFETY: all zero is a value of this plain struct, which the call fills.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    }
}

/// Waits for a program: its CPU seconds, its peak memory in bytes, and whether it succeeded.
pub fn wait(child: &Child) -> Result<(f64, u64, bool), Failure> {
    let mut status = 0;
    // SAFETY: as above; nobody else waits for this child.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        usage
    };
    let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    Ok((cpu, usage.ru_maxrss as u64 * 1024, status == 0))
}

/// Keeps this process, and those that it starts, on these cores.
pub fn pin(cores: &[usize]) -> Result<(), Failure> {
    // SAFETY: all zero is the empty set.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &core in cores.iter().filter(|&&core| core < libc::CPU_SETSIZE as usize) {
            libc::CPU_SET(core, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) != 0
    };
    if failed { Err(format!("can't run on cores {cores:?}").into()) } else { Ok(()) }
}

/// What `work` prints on stdout past Rust's own buffers, as C++ does.
pub fn captured<T>(work: impl FnOnce() -> T) -> Result<(T, String), Failure> {
    let path = std::env::temp_dir().join(format!("deltav-peers.{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    // SAFETY: descriptor 1 is put back before anybody else writes to it; the copy is closed once.
    let result = unsafe {
        libc::fflush(std::ptr::null_mut());
        let kept = libc::dup(1);
        if kept < 0 || libc::dup2(file.as_raw_fd(), 1) < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        let kept = OwnedFd::from_raw_fd(kept);
        let result = work();
        libc::fflush(std::ptr::null_mut());
        libc::dup2(kept.as_raw_fd(), 1);
        result
    };
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    Ok((result, text))
}
