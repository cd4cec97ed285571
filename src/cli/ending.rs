//! Ends without unwinding: a signal that nobody waits for, and no memory left.
//!
//! One thread has the last word, so that an end is one line on stderr and one
//! exit code, whatever else goes wrong meanwhile.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::Error;
use crate::{memory, output};

/// Whether a thread has the last word.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether a bar stands on the terminal, unfinished.
static BAR: AtomicBool = AtomicBool::new(false);
/// Whether stdout took anything.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// The place of this process among several, and what ends them all.
static OTHERS: OnceLock<(usize, fn(u8) -> !)> = OnceLock::new();
/// Whether they are being ended.
static ENDED: AtomicBool = AtomicBool::new(false);

/// How long the second process waits before it says what the first may have said as well, and how
/// much longer each one after it. Launchers that end a job give its processes a second; those of other
/// hosts hear of it up to three seconds after the first process's end.
const HOLD: Duration = Duration::from_millis(4000);
const HOLD_EACH: Duration = Duration::from_millis(250);
const HOLD_LONGEST: u32 = 16;
/// How long a launcher may take to hand on what was said, before it hears of the end.
const HEARD: Duration = Duration::from_millis(200);

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// To the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[2K";

/// Exit code of [`Error::OutOfMemory`](crate::Error::OutOfMemory).
const OUT_OF_MEMORY: u8 = 71;

/// Takes the last word; `false` if another thread has it.
pub(super) fn take_last_word() -> bool {
    OURS.get() || {
        let taken = !TAKEN.swap(true, Ordering::SeqCst);
        OURS.set(taken);
        taken
    }
}

/// Takes the last word, or waits for the end that another thread brings about.
pub(super) fn last_word_or_end() {
    while !take_last_word() {
        // Not `park`, which may allocate.
        thread::sleep(Duration::from_secs(1));
    }
}

/// Says that this is one of several processes, all of which end where one does.
pub(super) fn join(process: usize, end: fn(u8) -> !) {
    let _ = OTHERS.set((process, end));
}

/// Whether this process is the one that speaks.
pub(super) fn speaks() -> bool {
    OTHERS.get().is_none_or(|(process, _)| *process == 0)
}

/// Lets those before this process say what all may have found, and end the job: then this call
/// does not return.
pub(super) fn hold() {
    if !speaks() {
        hold_all();
    }
}

/// As [`hold`], in all of several processes: for what launchers do when another one has ended the job.
pub(super) fn hold_all() {
    if let Some(&(process, _)) = OTHERS.get() {
        thread::sleep(HOLD + HOLD_EACH * HOLD_LONGEST.min(process as u32));
    }
}

/// Whether this is one of several processes.
pub(super) fn is_among() -> bool {
    OTHERS.get().is_some()
}

/// Ends the other processes, and this one with them, if there are any.
pub(super) fn end_others(code: u8) {
    if let Some((_, end)) = OTHERS.get()
        && !ENDED.swap(true, Ordering::SeqCst)
    {
        output::sweep_own();
        thread::sleep(HEARD);
        end(code);
    }
}

/// Ends all processes with an error that is found where no result can be returned.
pub(super) fn fail(error: &Error) -> ! {
    last_word_or_end();
    hold();
    output::sweep_own();
    line(format_args!("error: {error}"));
    exit(error.exit_code())
}

/// Says that a bar is, or is no longer, on the terminal.
pub(super) fn set_bar(stands: bool) {
    BAR.store(stands, Ordering::Relaxed);
}

/// Says that stdout is about to take something.
pub(super) fn set_printed() {
    PRINTED.store(true, Ordering::Relaxed);
}

/// Removes the temporary files, for good. Returns what became of the outputs, for a message.
#[cfg(unix)]
pub(super) fn sweep() -> &'static str {
    match (output::sweep_own(), PRINTED.load(Ordering::Relaxed)) {
        (true, _) => "what was saved before is whole",
        (false, true) => "what was printed is not all",
        (false, false) => "nothing was written",
    }
}

/// Writes one line to stderr, in one piece and over a bar, without a lock and without memory.
pub(super) fn line(line: fmt::Arguments<'_>) {
    let mut text = Fixed { bytes: [0; 512], len: 0 };
    if BAR.load(Ordering::Relaxed) {
        let _ = text.write_str(CLEAR);
    }
    let _ = text.write_fmt(line);
    let end = text.len.min(text.bytes.len() - 1);
    if let Some(last) = text.bytes.get_mut(end) {
        *last = b'\n';
    }
    raw_stderr(text.bytes.get(..=end).unwrap_or_default());
}

#[cfg(unix)]
fn raw_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(not(unix))]
fn raw_stderr(bytes: &[u8]) {
    let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), bytes);
}

/// Text in a place of fixed size; what is too long is cut off.
struct Fixed {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Fixed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let mut utf8 = [0; 4];
            let letter = letter.encode_utf8(&mut utf8).as_bytes();
            let room = self.bytes.get_mut(self.len..self.len + letter.len()).ok_or(fmt::Error)?;
            room.copy_from_slice(letter);
            self.len += letter.len();
        }
        Ok(())
    }
}

/// Ends the process at once: no destructors, no hooks, which other threads could run into.
pub(super) fn exit(code: u8) -> ! {
    end_others(code);
    exit_alone(code)
}

/// As [`exit`], without a word to other processes, where these are being ended.
pub(super) fn exit_alone(code: u8) -> ! {
    #[cfg(unix)]
    signal_hook::low_level::exit(code.into());
    #[cfg(not(unix))]
    std::process::exit(code.into());
}

/// For the program's allocator, to which the system refused `bytes` bytes more: one line, exit
/// code 71, no temporary file left. Returns only where who asked for the memory can say better what
/// it was for. Allocates nothing.
pub fn refused(bytes: usize) {
    if !memory::is_minded() {
        no_memory(format_args!("{bytes} bytes more than the system gives"));
    }
}

/// For the program, where foreign code aborts it: no temporary file is left, and if memory is
/// scarce it ends as by [`refused`]. Runs in a signal handler, so it allocates nothing.
pub fn aborted(memory_is_scarce: bool) {
    if memory_is_scarce {
        no_memory(format_args!("the system's libraries or a driver found none left"));
    }
    output::sweep_own();
}

/// Ends the process, because the system refused a thread. As [`refused`].
pub(super) fn out_of_threads() -> ! {
    no_memory(format_args!("the system refuses another thread"))
}

fn no_memory(what: fmt::Arguments<'_>) -> ! {
    let again = OURS.get();
    last_word_or_end();
    if !again {
        hold();
        output::sweep_own();
        line(format_args!(
            "error: out of memory: {what}; use fewer --threads, a smaller --rank or fewer ratings at a time, or \
             raise the limit"
        ));
    }
    exit(OUT_OF_MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EXIT_CODES;

    #[test]
    fn what_is_too_long_is_cut_between_letters() {
        let mut text = Fixed { bytes: [0; 512], len: 0 };
        assert!(write!(text, "a{}", "é".repeat(300)).is_err());
        let text = std::str::from_utf8(&text.bytes[..text.len]).unwrap();
        assert!(text.starts_with("aéé") && text.ends_with('é') && text.len() == 511, "{text}");
    }

    #[test]
    fn the_exit_code_is_the_error_s() {
        let error = Error::OutOfMemory {
            what: String::new(),
            needed: 0,
            available: String::new(),
            remedy: String::new(),
        };
        assert_eq!(error.exit_code(), OUT_OF_MEMORY);
        assert!(EXIT_CODES.iter().any(|(code, _)| *code == OUT_OF_MEMORY));
    }

    #[test]
    fn a_thread_that_has_the_last_word_keeps_it() {
        // Threads of their own: the word is never given back, and another test may have it.
        let twice = || thread::spawn(|| (take_last_word(), take_last_word())).join().unwrap();
        let first = twice();
        assert_eq!(first.0, first.1);
        assert_eq!(twice(), (false, false));
    }
}
