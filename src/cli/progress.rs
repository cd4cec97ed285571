//! Bars and spinners on a terminal; nothing where nobody watches.

use std::borrow::Cow;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::ending::set_bar;
use super::input::{files, named};
use super::rows::Opened;
use super::streams::Streams;
use super::table::{seconds, short};
use crate::data::Meter;
use crate::error::Result;

/// Times a second that a bar is drawn, at most.
pub(super) const HERTZ: u8 = 15;

const SPINNER: &str = "{spinner} {wide_msg}";
/// What comes last is cut off where a terminal is narrow.
pub(super) const BAR: &str = "{bar:10.cyan/dim} {pos}/{len}  ETA {eta}  {wide_msg}";
const READING: &str = "{spinner} {read}{wide_msg}";

/// Cells of the bar of what is read.
const CELLS: u64 = 6;
/// Bytes below which nothing is said of them: they are read in no time.
const FEW: u64 = 1 << 20;

/// A bar that stands on the terminal until it is dropped.
pub(super) struct Standing(ProgressBar);

impl Standing {
    pub(super) fn new(bar: ProgressBar) -> Self {
        set_bar(!bar.is_hidden());
        Self(bar)
    }

    /// A bar for work whose steps are counted.
    pub(super) fn counted(streams: &Streams, steps: u64, what: impl Into<Cow<'static, str>>) -> Self {
        if !streams.draws() {
            return Self::hidden();
        }
        let target = ProgressDrawTarget::stderr_with_hz(HERTZ);
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style(BAR));
        Self::new(bar.with_message(what))
    }

    /// The same beside rows that are written: where these scroll by, they show progress enough.
    pub(super) fn counted_beside(
        streams: &Streams,
        to: &Opened,
        steps: u64,
        what: impl Into<Cow<'static, str>>,
    ) -> Self {
        if is_watched(to) { Self::counted(streams, steps, what) } else { Self::hidden() }
    }

    /// What is read, beside rows that are written.
    pub(super) fn reading_beside(streams: &Streams, to: &Opened, inputs: &[PathBuf], meter: &Meter) -> Self {
        match streams.draws() && is_watched(to) {
            true => Self::reading(inputs, meter),
            false => Self::hidden(),
        }
    }

    /// A spinner for work that is not.
    pub(super) fn busy(what: impl Into<Cow<'static, str>>) -> Self {
        Self::spinning(style(SPINNER), what)
    }

    /// What is read of these inputs by the meter: how much of them, how fast and how long it takes yet;
    /// where their size is not known, how much and how fast.
    pub(super) fn reading(inputs: &[PathBuf], meter: &Meter) -> Self {
        let (total, meter) = (size(inputs), meter.clone());
        let style =
            style(READING).with_key("read", move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // Nobody hears of a failure to draw.
                let _ = out.write_str(&so_far(meter.bytes(), total, state.elapsed()));
            });
        let name = match named(inputs) {
            path if path == Path::new("-") => "standard input".to_owned(),
            path => path.display().to_string(),
        };
        Self::spinning(style, format!("reading {name}"))
    }

    pub(super) fn hidden() -> Self {
        Self::new(ProgressBar::hidden())
    }

    fn spinning(style: ProgressStyle, what: impl Into<Cow<'static, str>>) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(HERTZ);
        let bar = ProgressBar::with_draw_target(None, target).with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::new(bar)
    }

    /// A bar for work whose steps tell of themselves, on a terminal that is known to be there.
    pub(super) fn counted_here(steps: u64) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(HERTZ);
        Self::new(ProgressBar::with_draw_target(Some(steps), target).with_style(style(BAR)))
    }

    /// So many steps are done; this was the last.
    pub(super) fn at(&self, steps: u64, what: impl Into<Cow<'static, str>>) {
        self.0.set_position(steps);
        self.0.set_message(what);
    }

    pub(super) fn inc(&self, steps: u64) {
        self.0.inc(steps);
    }

    pub(super) fn bar(&self) -> &ProgressBar {
        &self.0
    }
}

/// Reads inputs, beside a bar where it `draws`, and tells what should be known of them.
pub(super) fn read_shown<T>(
    inputs: &[PathBuf],
    draws: bool,
    streams: &mut Streams,
    read: impl FnOnce(&Meter) -> Result<(T, Vec<String>)>,
) -> Result<T> {
    let meter = Meter::default();
    let bar = draws.then(|| Standing::reading(inputs, &meter));
    let (read, notices) = read(&meter)?;
    drop(bar);
    notices.into_iter().for_each(|notice| streams.note(format!("note: {notice}")));
    Ok(read)
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        set_bar(false);
    }
}

/// Whether a bar is not among rows on the same terminal.
fn is_watched(to: &Opened) -> bool {
    to.is_file() || !io::stdout().is_terminal()
}

/// Bytes of all files, where each tells its own.
fn size(inputs: &[PathBuf]) -> Option<u64> {
    let file = |path: PathBuf| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|file| file.len());
    files(inputs).into_iter().map(file).sum::<Option<u64>>().filter(|&total| total > 0)
}

/// `███░░░ 50%  12.3 MB/s  ETA 4 s  `, or `1.20 GB  12.3 MB/s  `; of a few bytes nothing. It fits
/// into the narrowest terminals.
fn so_far(bytes: u64, total: Option<u64>, elapsed: Duration) -> String {
    let elapsed = elapsed.as_secs_f64();
    if bytes < FEW || elapsed <= 0.0 {
        return String::new();
    }
    let rate = bytes as f64 / elapsed;
    let speed = short(rate);
    let Some(total) = total else { return format!("{}B  {speed}B/s  ", short(bytes as f64)) };
    let bytes = bytes.min(total);
    let share = u128::from(bytes) * 100 / u128::from(total.max(1));
    let full = (share * u128::from(CELLS) / 100) as usize;
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(CELLS as usize - full));
    format!("{bar} {share}%  {speed}B/s  ETA {}  ", seconds((total - bytes) as f64 / rate))
}

/// indicatif leaves colours out where `NO_COLOR` asks for that.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_well_formed() {
        assert!([SPINNER, BAR, READING].into_iter().all(|text| ProgressStyle::with_template(text).is_ok()));
    }

    #[test]
    fn what_is_read_is_told_with_rate_and_time_left() {
        let second = Duration::from_secs(1);
        assert_eq!(so_far(50 << 20, Some(100 << 20), second), "███░░░ 50%  52.4 MB/s  ETA 1.0 s  ");
        assert_eq!(so_far(50 << 20, None, second), "52.4 MB  52.4 MB/s  ");
        assert_eq!(so_far(FEW - 1, Some(FEW), second), "");
        assert_eq!(so_far(FEW, Some(FEW), Duration::ZERO), "");
        // A file that grows while it is read.
        let grown = so_far(3 * FEW, Some(2 * FEW), second);
        assert!(grown.starts_with("██████ 100%  ") && grown.ends_with("ETA 0.00 s  "), "{grown}");
        for (bytes, total) in
            [(FEW, u64::MAX), (1 << 30, 1 << 50), (u64::MAX >> 8, u64::MAX >> 8), (FEW, 1 << 40)]
        {
            for elapsed in [Duration::from_millis(1), second, Duration::from_secs(100_000)] {
                for total in [Some(total), None] {
                    let text = so_far(bytes, total, elapsed);
                    let told = total.is_none_or(|total| total < 1 << 41);
                    assert!(!told || text.chars().count() <= 38, "{text}");
                }
            }
        }
    }

    #[test]
    fn the_size_of_what_is_no_file_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.csv", "1"), ("b.csv", "22")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let all = folder.path().to_owned();
        assert_eq!(size(&[all.join("a.csv"), all.join("b.csv")]), Some(3));
        assert_eq!(size(std::slice::from_ref(&all)), Some(3), "a folder's files");
        assert_eq!(size(&[all.join("a.csv"), "-".into()]), None);
    }
}
