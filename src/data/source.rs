//! An open input: a file, standard input or bytes, unpacked.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use super::input::Input;
use super::meter::Metered;
use super::unpack::{self, Packing};
use crate::error::{Error, Result};

/// Bytes that are looked at before a format is chosen.
const HEAD: u64 = 8 << 10;
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// Files that are often passed by mistake: how they begin, what they are, what to do.
const BINARY: [(&[u8], &str, &str); 6] = [
    (b"PK\x03\x04", "is a zip archive", "unzip it and pass the file with the ratings"),
    (b"\xfd7zXZ\0", "is packed with xz", "unpack it, or pack it with gzip or zstd"),
    (b"BZh", "is packed with bzip2", "unpack it, or pack it with gzip or zstd"),
    (
        b"PAR1",
        "is a Parquet file",
        if cfg!(feature = "parquet") {
            "leave --format out"
        } else {
            "build deltav with the feature parquet, or write the ratings as CSV"
        },
    ),
    (b"\x93NUMPY", "is a NumPy array", "leave --format out"),
    (b"SQLite format 3\0", "is an SQLite database", "write the ratings as CSV"),
];

/// An open input whose first bytes are known.
pub(super) struct Source<'a> {
    path: &'a Path,
    head: Vec<u8>,
    reader: Box<dyn BufRead + Send + 'a>,
    packing: Option<Packing>,
    /// The file itself, where it can be sought in.
    file: Option<File>,
}

impl<'a> Source<'a> {
    /// Opens one of [`Input::files`].
    pub(super) fn open(input: &'a Input) -> Result<Self> {
        Self::opened(input, false)
    }

    /// The same for whoever answers line by line: of standard input only the first line is waited for.
    pub(super) fn live(input: &'a Input) -> Result<Self> {
        Self::opened(input, true)
    }

    fn opened(input: &'a Input, live: bool) -> Result<Self> {
        let path = input.path();
        let missing = |source| Error::NoInput { path: path.to_owned(), source };
        if let Some(bytes) = input.in_memory() {
            return Self::new(path, metered(input, bytes));
        }
        if input.is_stdin() {
            return Self::begun(path, metered(input, io::stdin()), live);
        }
        // Unix opens a directory without complaint and fails at the first read.
        if fs::metadata(path).map_err(missing)?.is_dir() {
            return Err(missing(io::Error::new(io::ErrorKind::IsADirectory, "is a directory")));
        }
        let file = File::open(path).map_err(missing)?;
        let failed = |source| Error::Io { path: path.to_owned(), source };
        // Not every path is a file: a shell's <(…) is a pipe.
        let regular = file.metadata().map_err(failed)?.is_file();
        let again = if regular { Some(file.try_clone().map_err(failed)?) } else { None };
        Ok(Self { file: again, ..Self::new(path, metered(input, file))? })
    }

    /// Nothing to read; `path` is for messages.
    pub(super) fn empty(path: &'a Path) -> Self {
        Self { path, head: Vec::new(), reader: Box::new(io::empty()), packing: None, file: None }
    }

    /// Takes bytes from anywhere; `path` is for messages.
    pub(super) fn new(path: &'a Path, raw: Box<dyn Read + Send + 'a>) -> Result<Self> {
        Self::begun(path, raw, false)
    }

    fn begun(path: &'a Path, raw: Box<dyn Read + Send + 'a>, live: bool) -> Result<Self> {
        let (packing, mut reader) =
            unpack::unpack(raw).map_err(|error| unpack::failure(path, None, error))?;
        let mut head = Vec::new();
        let read = match live {
            true => first_line(&mut reader, &mut head),
            false => (&mut reader).take(HEAD).read_to_end(&mut head).map(|_| ()),
        };
        let mut source = Self { packing, ..Self::empty(path) };
        read.map_err(|error| source.failure(error))?;
        if head.starts_with(UTF8_BOM) {
            head.drain(..UTF8_BOM.len());
        }
        source.reader = Box::new(Cursor::new(head.clone()).chain(reader));
        source.head = head;
        Ok(source)
    }

    /// So many bytes of a text that is not packed, as they stand in the file.
    ///
    /// # Errors
    /// [`Error::NoInput`] if the file can't be opened, [`Error::Io`] if it can't be sought in.
    pub(super) fn bytes(input: &'a Input, bytes: Range<u64>) -> Result<Self> {
        let reader = Self::reader(input, bytes)?;
        Ok(Self { reader: Box::new(BufReader::new(metered(input, reader))), ..Self::empty(input.path()) })
    }

    /// What [`bytes`](Self::bytes) reads, uncounted.
    pub(super) fn reader(input: &'a Input, bytes: Range<u64>) -> Result<Box<dyn Read + Send + 'a>> {
        if let Some(text) = input.in_memory() {
            let text = text.get(bytes.start as usize..bytes.end as usize);
            return Ok(Box::new(text.unwrap_or_default()));
        }
        let path = input.path();
        let mut file = File::open(path).map_err(|source| Error::NoInput { path: path.to_owned(), source })?;
        let sought = file.seek(SeekFrom::Start(bytes.start));
        sought.map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Ok(Box::new(file.take(bytes.end.saturating_sub(bytes.start))))
    }

    /// The same bytes, seen by `watch` as they are read.
    #[must_use]
    pub(super) fn watched(self, watch: impl FnMut(&[u8]) + Send + 'a) -> Self {
        Self { reader: Box::new(BufReader::new(Watched { reader: self.reader, watch })), ..self }
    }

    /// Whether the input is packed.
    pub(super) fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    /// Whether the input is packed and can be read once more.
    pub(super) fn is_packed_file(&self) -> bool {
        self.packing.is_some() && self.file.is_some()
    }

    /// Reads to the end, to see whether what is packed is whole.
    ///
    /// # Errors
    /// As [`Source::read_until`].
    pub(super) fn drain(mut self) -> Result<()> {
        io::copy(&mut self.reader, &mut io::sink()).map(|_| ()).map_err(|error| self.failure(error))
    }

    /// The input as the user named it.
    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// The first bytes, unpacked and without a byte order mark; less than 8 KiB only if there is no
    /// more, or if only the first line was waited for.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The input as a file that can be sought in, at its begin: the very file if it was not
    /// packed, else its unpacked bytes in an anonymous temporary one, never all in memory.
    ///
    /// # Errors
    /// [`Error::Data`] where what is packed is damaged, [`Error::Io`] where reading or
    /// spooling breaks off.
    pub(super) fn into_file(mut self) -> Result<File> {
        let spooled = |source| Error::Io { path: std::env::temp_dir(), source };
        if let Some(mut file) = self.file.take().filter(|_| self.packing.is_none()) {
            // It shares its position with the reader, which has read ahead.
            file.rewind().map_err(|error| self.failure(error))?;
            return Ok(file);
        }
        let mut file = tempfile::tempfile().map_err(spooled)?;
        loop {
            let bytes = match self.reader.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failure(error)),
            };
            file.write_all(bytes).map_err(spooled)?;
            let length = bytes.len();
            self.reader.consume(length);
        }
        file.rewind().map_err(spooled)?;
        Ok(file)
    }

    /// Appends to `buffer` up to and including `end`, but at most `most` bytes. Returns how many.
    pub(super) fn read_until(&mut self, end: u8, most: u64, buffer: &mut Vec<u8>) -> Result<usize> {
        let read = (&mut self.reader).take(most).read_until(end, buffer);
        read.map_err(|error| self.failure(error))
    }

    /// Fills `buffer` behind its first `filled` bytes, as far as there is something to fill it with.
    /// Returns how many bytes it holds then, and what ended it before it was full: the input, or an
    /// error of [`Source::failure`].
    pub(super) fn fill(&mut self, buffer: &mut [u8], mut filled: usize) -> (usize, Option<End>) {
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.reader.read(room) {
                Ok(0) => return (filled, Some(End::Input)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (filled, Some(End::Failed(error))),
            }
        }
        (filled, None)
    }

    /// Has `bytes` be read next, and then, where there is an error, that.
    #[must_use]
    pub(super) fn put_back(self, bytes: Vec<u8>, failed: Option<io::Error>) -> Self {
        let failed = BufReader::with_capacity(1, Failed(failed));
        Self { reader: Box::new(Cursor::new(bytes).chain(failed).chain(self.reader)), ..self }
    }

    /// Refuses what can't be UTF-8 or another superset of ASCII.
    pub(super) fn check_text(&self) -> Result<()> {
        let refuse = |what: &str, remedy: &str| Err(Error::data(self.path, what, remedy));
        if self.head.starts_with(b"\xff\xfe") || self.head.starts_with(b"\xfe\xff") {
            return refuse("is UTF-16 text", "convert it to UTF-8");
        }
        if let Some((_, what, remedy)) = BINARY.iter().find(|(magic, ..)| self.head.starts_with(magic)) {
            return refuse(what, remedy);
        }
        if memchr::memchr(0, &self.head).is_some() {
            return refuse("looks like a binary file", "pass the ratings as text, one a line");
        }
        Ok(())
    }

    /// The crate's error for a read that failed.
    pub(super) fn failure(&self, error: io::Error) -> Error {
        unpack::failure(self.path, self.packing, error)
    }
}

/// The reader, counted where somebody wants to know.
fn metered<'a>(input: &Input, reader: impl Read + Send + 'a) -> Box<dyn Read + Send + 'a> {
    match input.meter() {
        Some(meter) => Box::new(Metered { reader, meter: meter.clone() }),
        None => Box::new(reader),
    }
}

/// Why [`Source::fill`] could not fill its buffer.
#[derive(Debug)]
pub(super) enum End {
    /// There is no more.
    Input,
    /// Reading failed; what was read before is good.
    Failed(io::Error),
}

/// A reader whose bytes somebody looks at.
struct Watched<R, W> {
    reader: R,
    watch: W,
}

impl<R: Read, W: FnMut(&[u8])> Read for Watched<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        (self.watch)(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Fails once, if at all, then ends.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Reads until there is a line that says something, and no more than what came with it.
fn first_line(reader: &mut dyn BufRead, head: &mut Vec<u8>) -> io::Result<()> {
    while (head.len() as u64) < HEAD {
        let bytes = match reader.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let room = (HEAD as usize).saturating_sub(head.len());
        let (taken, _) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        let length = taken.len();
        head.extend_from_slice(taken);
        reader.consume(length);
        let whole = head.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines = head.get(..whole).unwrap_or_default();
        let lines = lines.strip_prefix(UTF8_BOM).unwrap_or(lines);
        if !lines.trim_ascii().is_empty() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
