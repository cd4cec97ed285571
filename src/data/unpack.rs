//! Packed inputs: gzip and zstd, known by their first bytes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::Error;

/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;

/// What zstd needs for a stream of its usual settings, about: a window of 8 MiB at most.
const ZSTD_BYTES: u64 = 8 << 20;

/// Extensions of packed files. Only for names: what is packed is known by its content.
pub(super) const EXTENSIONS: &[&str] = &["gz", "zst"];

/// Bytes that tell whether something is packed.
const MAGIC: u64 = 4;

/// How an input is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Any number of members (RFC 1952).
    Gzip,
    /// Any number of frames (RFC 8878), skippable ones among them.
    Zstd,
}

impl Packing {
    fn recognize(magic: &[u8]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Packing::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        }
    }
}

/// The bytes of `raw`, unpacked if they are packed. What fails while they are read goes
/// through [`failure`].
pub(super) fn unpack<'a>(
    raw: impl Read + Send + 'a,
) -> io::Result<(Option<Packing>, Box<dyn BufRead + Send + 'a>)> {
    let mut raw = Watched(raw);
    let mut magic = Vec::new();
    (&mut raw).take(MAGIC).read_to_end(&mut magic)?;
    let packing = Packing::recognize(&magic);
    let raw = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(raw));
    let reader: Box<dyn BufRead + Send + 'a> = match packing {
        None => Box::new(raw),
        Some(Packing::Gzip) => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw))),
        Some(Packing::Zstd) => {
            let decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
    };
    Ok((packing, reader))
}

/// The crate's error for a read through [`unpack`] that failed.
pub(super) fn failure(path: &Path, packing: Option<Packing>, error: io::Error) -> Error {
    let error = match error.downcast::<ReadFailed>() {
        Ok(ReadFailed(source)) => return Error::Io { path: path.to_owned(), source },
        Err(error) => error,
    };
    if error.to_string().contains("not enough memory") {
        return Error::OutOfMemory {
            what: format!("no memory to unpack {}", path.display()),
            needed: ZSTD_BYTES,
            available: "the system refuses them".to_owned(),
            remedy: format!("unpack it first, with zstd -d {}", path.display()),
        };
    }
    let Some(name) = packing.map(Packing::name) else {
        return Error::Io { path: path.to_owned(), source: error };
    };
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Error::data(path, format!("{name} stream ends early"), "download it again");
    }
    let reason = error.to_string();
    if reason.contains("too much memory") {
        let what = format!("{name} needs more than 128 MiB of memory to unpack it");
        return Error::data(path, what, "unpack it first, with zstd -d --long=31");
    }
    Error::data(path, format!("{name} stream is damaged ({reason})"), "download it again")
}

/// Marks the errors of the input itself, so that they differ from those of a decoder.
struct Watched<R>(R);

#[derive(Debug)]
struct ReadFailed(io::Error);

impl fmt::Display for ReadFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ReadFailed {}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, ReadFailed(error)),
        })
    }
}
