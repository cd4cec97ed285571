//! Which bytes of which files a process reads.

use std::fs;
use std::ops::Range;

use super::super::formats;
use super::super::input::Input;
use super::super::read::ReadOptions;
use super::super::source::Source;
use super::flow::broadcast;
use crate::error::{Error, Result};
use crate::world::World;

/// What process 0 finds of a file, for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Its length, as it stands on the disk.
    pub(super) bytes: u64,
    way: Way,
}

impl Found {
    /// Whether it is cut between groups of rows.
    pub(super) fn has_groups(&self) -> bool {
        self.way == Way::Groups
    }
}

/// How a file may be shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By process 0, and all files before it: standard input, or a pipe.
    First,
    /// To one process.
    Whole,
    /// At the end of any line.
    Lines,
    /// Between groups of rows.
    Groups,
}

impl Way {
    const ALL: [Way; 4] = [Way::First, Way::Whole, Way::Lines, Way::Groups];
}

/// A file, or some bytes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// By its place among the files.
    pub(super) file: usize,
    /// The lines to read: each that begins in these bytes, as long as no line is cut; or the groups of
    /// rows that would begin there if all were as long. `None`: all.
    pub(super) bytes: Option<Range<u64>>,
}

/// What there is of each file, as process 0 sees it.
///
/// # Errors
/// [`Error::Usage`] where another process has other files.
pub(super) fn find(world: &dyn World, files: &[Input], options: &ReadOptions) -> Result<Vec<Found>> {
    let (mut told, mut names) = (Vec::new(), Vec::new());
    for file in files {
        names.extend_from_slice(file.path().to_string_lossy().as_bytes());
        names.push(0);
    }
    if world.process() == 0 {
        for file in files {
            let Found { bytes, way } = look(file, options);
            told.extend_from_slice(&bytes.to_le_bytes());
            told.push(way as u8);
        }
        told.extend_from_slice(&names);
    }
    let told = broadcast(world, 0, told)?;
    let (found, theirs) = told.split_at_checked(9 * files.len()).unwrap_or_default();
    if theirs != names {
        return Err(Error::usage(
            format!("process {} finds other files to read than process 0", world.process()),
            "have the same files at the same paths on every host",
        ));
    }
    let (found, _) = found.as_chunks::<9>();
    Ok(found
        .iter()
        .map(|&[a, b, c, d, e, f, g, h, way]| Found {
            bytes: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            way: Way::ALL.into_iter().find(|&w| w as u8 == way).unwrap_or(Way::Whole),
        })
        .collect())
}

/// What there is of a file. One that can't be opened is left to whoever reads it to tell of.
fn look(file: &Input, options: &ReadOptions) -> Found {
    let bytes = bytes(file);
    let regular = || fs::metadata(file.path()).is_ok_and(|metadata| metadata.is_file());
    if file.is_stdin() || file.in_memory().is_none() && !regular() {
        return Found { bytes, way: Way::First };
    }
    let unmetered = file.unmetered();
    let way = match Source::open(&unmetered) {
        Ok(source) if source.is_packed() || bytes == 0 => Way::Whole,
        Ok(source) if formats::has_lines(&source, options.format) => Way::Lines,
        Ok(source) if formats::has_groups(&source, options.format) => Way::Groups,
        _ => Way::Whole,
    };
    Found { bytes, way }
}

/// How long a file is that has a length; of others, 0.
pub(super) fn bytes(file: &Input) -> u64 {
    if file.is_stdin() {
        return 0;
    }
    let on_disk = || {
        fs::metadata(file.path()).map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 })
    };
    file.in_memory().map_or_else(on_disk, |bytes| bytes.len() as u64)
}

/// The pieces of each process, `[processes]`: together all files, in the order of the files.
/// `cut`: whether files may be.
pub(super) fn pieces(found: &[Found], processes: usize, cut: bool) -> Vec<Vec<Piece>> {
    let led = found.iter().rposition(|found| found.way == Way::First).map_or(0, |last| last + 1);
    let total: u64 = found.iter().skip(led).map(|found| found.bytes).sum();
    // What of all bytes, one file after the other, is whose.
    let bound = |process: usize| (u128::from(total) * process as u128 / processes as u128) as u64;
    let shares: Vec<Range<u64>> = (0..processes).map(|p| bound(p)..bound(p + 1)).collect();
    let mut all = vec![Vec::new(); processes];
    let mut start = 0;
    for (file, &Found { bytes, way }) in found.iter().enumerate() {
        let whole = Piece { file, bytes: None };
        if file < led {
            all.iter_mut().take(1).for_each(|pieces| pieces.push(whole.clone()));
            continue;
        }
        if cut && matches!(way, Way::Lines | Way::Groups) {
            for (pieces, share) in all.iter_mut().zip(&shares) {
                let mine = share.start.max(start)..share.end.min(start + bytes);
                if !mine.is_empty() {
                    pieces.push(Piece { file, bytes: Some(mine.start - start..mine.end - start) });
                }
            }
        } else {
            let owner = shares.iter().position(|share| start < share.end).unwrap_or(processes - 1);
            all.iter_mut().skip(owner).take(1).for_each(|pieces| pieces.push(whole.clone()));
        }
        start += bytes;
    }
    all
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_byte_is_read_once_and_in_order() {
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let found: Vec<Found> = (0..rng.random_range(1..6))
                .map(|_| {
                    let way = Way::ALL[rng.random_range(0..4)];
                    // An empty file is left whole.
                    Found {
                        bytes: rng.random_range(u64::from(matches!(way, Way::Lines | Way::Groups))..40),
                        way,
                    }
                })
                .collect();
            let led = found.iter().rposition(|found| found.way == Way::First);
            for (processes, cut) in (1..8).flat_map(|n| [(n, true), (n, false)]) {
                let all = pieces(&found, processes, cut);
                assert_eq!(all.len(), processes);
                assert!(led.is_none_or(|led| all[0].iter().any(|piece| piece.file == led)));
                // One after the other, pieces are the files.
                let mut ends: Vec<u64> = vec![0; found.len()];
                let mut last = 0;
                for piece in all.iter().flatten() {
                    assert!(piece.file >= last && piece.file <= last + 1, "{all:?}");
                    last = piece.file;
                    match &piece.bytes {
                        None => ends[piece.file] = found[piece.file].bytes,
                        Some(bytes) => {
                            assert!(cut && matches!(found[piece.file].way, Way::Lines | Way::Groups));
                            assert_eq!(ends[piece.file], bytes.start);
                            ends[piece.file] = bytes.end;
                        }
                    }
                }
                assert!(last + 1 == found.len() && all[0].first().is_none_or(|first| first.file == 0));
                assert!(ends.iter().zip(&found).all(|(end, found)| *end == found.bytes), "{all:?}");
                let files = all.iter().flatten().filter(|piece| piece.bytes.is_none()).count();
                assert!(cut || files == found.len());
            }
        }
    }

    #[test]
    fn one_long_text_is_shared_out_evenly() {
        let found = [Found { bytes: 1_000, way: Way::Lines }];
        for (process, pieces) in pieces(&found, 4, true).into_iter().enumerate() {
            let first = 250 * process as u64;
            assert_eq!(pieces, [Piece { file: 0, bytes: Some(first..first + 250) }]);
        }
    }
}
