//! Reading this process's part of the files.

use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memchr_iter;

use super::super::collect::{Collector, Gather, check_range};
use super::super::duplicates::{Places, retain};
use super::super::formats::{self, AnyLine, Request};
use super::super::held::Held;
use super::super::input::Input;
use super::super::read::{ReadOptions, Triples, whole};
use super::super::source::Source;
use super::plan::{Found, Piece, bytes, find, pieces};
use super::told::agree;
use crate::error::{Error, Location, Place, Result};
use crate::world::World;
use crate::world::together::gather;

/// Bytes that are looked at at a time for the end of a line.
const GLANCE: usize = 64 << 10;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a process has read: behind what all processes before it have.
pub(super) struct Part {
    /// By ids of its own.
    pub(super) triples: Triples,
    places: Places,
    files: Vec<Input>,
    /// Lines of each file that come before those of this process.
    before: Vec<u64>,
}

impl Part {
    /// The file, by its place among the files, and the place in it of a rating that was read.
    pub(super) fn place(&self, rating: u64) -> (usize, Place) {
        let (file, Place { unit, number }) = self.places.get(rating);
        (file, Place { unit, number: number + self.before.get(file).copied().unwrap_or(0) })
    }

    /// A user, an item and the bits of a rating.
    #[expect(clippy::indexing_slicing, reason = "whoever asks counts the ratings")]
    pub(super) fn rating(&self, at: usize) -> [u32; 3] {
        let Triples { user, item, value, .. } = &self.triples;
        [user[at], item[at], value[at].to_bits()]
    }

    /// Leaves out what is not kept, `[ratings]`. Places are those of all all the same.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let Triples { user, item, value, time, .. } = &mut self.triples;
        retain(user, keep);
        retain(item, keep);
        retain(value, keep);
        time.iter_mut().for_each(|time| retain(time, keep));
    }

    /// Takes what is set aside out, `[ratings]`.
    pub(super) fn split(&mut self, aside: &[bool]) -> Held {
        let Triples { user, item, value, .. } = &self.triples;
        let mut held = Held::default();
        let ratings = user.iter().zip(item).zip(value).zip(aside).filter(|(_, aside)| **aside);
        for (((&user, &item), &value), _) in ratings {
            held.user.push(Some(user));
            held.item.push(Some(item));
            held.value.push(value);
        }
        let keep: Vec<bool> = aside.iter().map(|aside| !aside).collect();
        self.retain(&keep);
        held
    }

    /// What was read.
    pub(super) fn into_triples(self) -> Triples {
        self.triples
    }

    /// Such a place for a message.
    pub(super) fn location(&self, file: usize, place: Place) -> Location {
        Location::at(self.files.get(file).map_or("".as_ref(), Input::path), place)
    }
}

/// Why a process could not read a piece.
struct Failed {
    file: usize,
    error: Error,
    /// Whether it read a part of the file only.
    cut: bool,
}

/// Reads all files, each process its part.
///
/// A cut may lead through a quoted cell with a line end in it. Then the process before the cut misses
/// the closing quote: as long as nobody misses anything, each began with a record. What is missed is
/// looked at again from the file's beginning. If that finds an error, it is the file's; if not, cells
/// span lines, and files are read whole.
///
/// # Errors
/// As [`read_triples`](super::super::read_triples), the first of all, on every process.
pub(super) fn read(world: &dyn World, files: Vec<Input>, options: &ReadOptions) -> Result<Part> {
    let found = agree(world, find(world, &files, options))?;
    for cut in [true, false] {
        let mine = pieces(&found, world.processes(), cut).into_iter().nth(world.process());
        let mine = mine.unwrap_or_default();
        agree(world, same(world, &files, &found, &mine))?;
        let mut collector = Collector::new(options.time);
        let read = read_pieces(&files, &found, &mine, options, &mut collector);
        let failed = world.all_gather(&[u8::from(read.is_err())])?;
        let first = failed.iter().position(|failed| failed != &[0]);
        match (read, first) {
            (Ok(counted), None) => {
                let before = lines_before(world, files.len(), &counted)?;
                let (triples, places) = collector.finish(Vec::new());
                return Ok(Part { triples, places, files, before });
            }
            (Err(failed), Some(first)) if first == world.process() => {
                drop(collector);
                agree(world, verdict(&files, failed, options))?;
            }
            _ => agree(world, Ok(()))?,
        }
    }
    Err(Error::Internal("a file was read and refused in turn".to_owned()))
}

/// Refuses files that are not those of process 0.
fn same(world: &dyn World, files: &[Input], found: &[Found], pieces: &[Piece]) -> Result<()> {
    for (file, found) in pieces.iter().filter_map(|piece| files.get(piece.file).zip(found.get(piece.file))) {
        let (here, process) = (bytes(file), world.process());
        if here != found.bytes {
            return Err(Error::data(
                file.path(),
                format!("has {here} bytes on process {process} and {} on process 0", found.bytes),
                "have the same file on every host, and leave it alone while it is read",
            ));
        }
    }
    Ok(())
}

/// The error of a file; none if a cell of it spans lines.
fn verdict(files: &[Input], failed: Failed, options: &ReadOptions) -> Result<()> {
    if failed.cut
        && let Some(file) = files.get(failed.file)
    {
        let file = file.unmetered();
        let request = Request::new(options, true);
        return whole(&file, Source::open(&file)?, |source| {
            formats::read(source, options.format, &request, &mut |record| {
                check_range(options.rating_range, file.path(), &record)
            })
        });
    }
    Err(failed.error)
}

/// Lines of a file that were read of it as a part.
struct Counted {
    file: usize,
    /// Lines before the first record of the file.
    head: u64,
    lines: u64,
}

fn read_pieces(
    files: &[Input],
    found: &[Found],
    pieces: &[Piece],
    options: &ReadOptions,
    collector: &mut Collector,
) -> Result<Vec<Counted>, Failed> {
    let request = Request::new(options, true);
    let mut counted = Vec::new();
    for piece in pieces {
        let (Some(file), Some(found)) = (files.get(piece.file), found.get(piece.file)) else { continue };
        let failed = |error| Failed { file: piece.file, error, cut: piece.bytes.is_some() };
        let mut gather = Gather::new(collector, piece.file, file.path(), options.rating_range);
        match &piece.bytes {
            Some(bytes) if !found.has_groups() => {
                let (head, lines) =
                    read_lines(file, found.bytes, bytes, options, &request, &mut gather).map_err(failed)?;
                counted.push(Counted { file: piece.file, head, lines });
            }
            part => {
                let request = Request { part: part.as_ref().map(|part| (part, found.bytes)), ..request };
                let read = Source::open(file).and_then(|source| {
                    whole(file, source, |source| {
                        formats::collect(source, options.format, &request, &mut gather)
                    })
                });
                read.map_err(failed)?;
            }
        }
    }
    Ok(counted)
}

/// Reads the lines that begin in these bytes. Returns the lines before the file's first record, and
/// those that were read.
fn read_lines(
    input: &Input,
    length: u64,
    bytes: &Range<u64>,
    options: &ReadOptions,
    request: &Request<'_>,
    gather: &mut Gather<'_>,
) -> Result<(u64, u64)> {
    let unmetered = input.unmetered();
    let source = Source::open(&unmetered)?;
    let Some(any) = formats::any_line(source, options.format, request) else {
        return Err(Error::Internal("a format without lines was cut".to_owned()));
    };
    let AnyLine { before, line_end, read } = any?;
    let first = behind_lines(&unmetered, length, line_end, before)?;
    let line_at = |byte: u64| match byte {
        byte if byte <= first => Ok(first),
        byte => behind_end(&unmetered, byte - 1..length, line_end, 1),
    };
    let (start, end) = (line_at(bytes.start)?, if bytes.end < length { line_at(bytes.end)? } else { length });
    let lines = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&lines);
    let source = Source::bytes(input, start..end)?.watched(move |text| {
        count.fetch_add(memchr_iter(line_end, text).count() as u64, Ordering::Relaxed);
    });
    read(source, request, gather)?;
    Ok((before, lines.load(Ordering::Relaxed)))
}

/// Where the line behind so many begins; without lines before it, behind a byte order mark.
fn behind_lines(input: &Input, length: u64, line_end: u8, lines: u64) -> Result<u64> {
    if lines > 0 {
        return behind_end(input, 0..length, line_end, lines);
    }
    let mut head = Vec::new();
    let read = Source::reader(input, 0..length.min(BOM.len() as u64))?.read_to_end(&mut head);
    read.map_err(|source| Error::Io { path: input.path().to_owned(), source })?;
    Ok(if head == BOM { BOM.len() as u64 } else { 0 })
}

/// Where the line begins that stands behind so many line ends in these bytes, or their end.
fn behind_end(input: &Input, bytes: Range<u64>, line_end: u8, mut ends: u64) -> Result<u64> {
    let (mut at, end) = (bytes.start, bytes.end);
    let mut reader = Source::reader(input, bytes)?;
    let mut buffer = vec![0; GLANCE];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(end),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(source) => return Err(Error::Io { path: input.path().to_owned(), source }),
        };
        for found in memchr_iter(line_end, buffer.get(..read).unwrap_or_default()) {
            ends -= 1;
            if ends == 0 {
                return Ok(at + found as u64 + 1);
            }
        }
        at += read as u64;
    }
}

/// Lines of each file that come before those of this process, `[files]`.
fn lines_before(world: &dyn World, files: usize, counted: &[Counted]) -> Result<Vec<u64>> {
    let mut before = vec![0; files];
    let mine: Vec<[u64; 2]> = counted.iter().map(|counted| [counted.file as u64, counted.lines]).collect();
    let all = gather(world, &mine)?;
    for Counted { file, head, .. } in counted {
        let earlier = all.iter().take(world.process()).flatten();
        let lines = earlier.filter(|[of, _]| *of == *file as u64).map(|[_, lines]| lines).sum::<u64>();
        before.get_mut(*file).into_iter().for_each(|before| *before = head + lines);
    }
    Ok(before)
}
