//! The two streams of a command. Everything that the command line says goes through here.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::Path;

use indicatif::ProgressDrawTarget;
use serde::Serialize;

use super::ending;
use crate::error::{Error, Result};

/// What errors call stdout.
pub(super) const STDOUT: &str = "standard output";

/// Data on stdout, everything else on stderr.
pub(super) struct Streams {
    out: BufWriter<Told>,
    quiet: bool,
    verbose: bool,
}

impl Streams {
    /// `quiet`: nothing on stderr; `verbose`: more than what everybody should know. Of several
    /// processes all but the first are silent.
    pub(super) fn new(quiet: bool, verbose: bool) -> Self {
        let quiet = quiet || !ending::speaks();
        let verbose = verbose && !quiet;
        let out = ending::speaks().then(io::stdout);
        Self { out: BufWriter::with_capacity(1 << 16, Told(out)), quiet, verbose }
    }

    /// Whether details are told.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether a bar can be drawn on stderr.
    pub(super) fn draws(&self) -> bool {
        !self.quiet && !ProgressDrawTarget::stderr().is_hidden()
    }

    /// Stdout, buffered.
    pub(super) fn out(&mut self) -> &mut (impl Write + Send + use<>) {
        &mut self.out
    }

    /// A line on stderr unless quiet. That nobody reads it is no failure.
    pub(super) fn note(&mut self, line: impl AsRef<str>) {
        if !self.quiet {
            to_stderr(&format!("{}\n", line.as_ref()));
        }
    }

    /// A line on stdout.
    pub(super) fn line(&mut self, line: impl AsRef<str>) -> Result<()> {
        writeln!(self.out, "{}", line.as_ref()).map_err(stdout_error)
    }

    /// An object as one line on stdout.
    pub(super) fn json(&mut self, object: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.out, object).map_err(io::Error::from).map_err(stdout_error)?;
        self.out.write_all(b"\n").map_err(stdout_error)
    }

    /// Hands on what is buffered: for whoever reads along, and at the end.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(stdout_error)
    }
}

/// Stdout, and whether it was given anything; nowhere, in a process that is silent.
struct Told(Option<Stdout>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(out) = &mut self.0 else { return Ok(bytes.len()) };
        // Before: whoever has read of it may end us at once.
        ending::set_printed();
        out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Stdout::flush)
    }
}

/// The crate's error for a write to stdout that failed.
pub(super) fn stdout_error(source: io::Error) -> Error {
    Error::Io { path: STDOUT.into(), source }
}

/// Whether whoever read stdout has closed it, as `head` does.
pub(super) fn is_closed_pipe(error: &Error) -> bool {
    matches!(error, Error::Io { path, source }
        if path == Path::new(STDOUT) && source.kind() == io::ErrorKind::BrokenPipe)
}

/// One line on stderr, whatever is in the text.
pub(super) fn error_line(text: &str) {
    to_stderr(&format!("error: {}\n", without_breaks(text)));
}

/// In one piece: another thread may be at its last word.
fn to_stderr(line: &str) {
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// The text without line breaks and other controls.
fn without_breaks(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let safe = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
    lines.join(" ").chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(without_breaks("a\nb\r\n\n  c\x1b[31m"), "a b c\u{fffd}[31m");
        assert_eq!(without_breaks("two  spaces\tand a tab"), "two  spaces\tand a tab");
    }

    #[test]
    fn only_a_closed_stdout_is_quiet() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&stdout_error(broken())));
        assert!(!is_closed_pipe(&Error::Io { path: "model".into(), source: broken() }));
        assert!(!is_closed_pipe(&stdout_error(io::ErrorKind::StorageFull.into())));
    }
}
