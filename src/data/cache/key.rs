//! What stands for a list of inputs and the way in which they are read.

use std::fs::File;
use std::io;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::super::formats;
use super::super::input::Input;
use super::super::read::ReadOptions;
use super::super::source::Source;
use super::super::text::hex;

/// Bytes that are hashed at a time, on one thread.
const CHUNK: usize = 1 << 20;

/// A SHA-256 of all that decides what is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u8; 32]);

impl Key {
    /// The key of these files; `None` if one of them is no regular file.
    ///
    /// # Errors
    /// As they are opened and read, in whatever words.
    pub(super) fn of(files: &[Input], options: &ReadOptions) -> Result<Option<Self>, String> {
        // Duplicates are handled behind the cache. Whatever else there is, takes part.
        let ReadOptions { format, columns, separator, header, duplicates: _, rating_range, time } = options;
        let format = format.map(|format| format.name);
        let way = format!("{format:?} {columns:?} {separator:?} {header:?} {rating_range:?} {time}");
        let mut key = Sha256::new();
        for text in ["deltav cache", env!("CARGO_PKG_VERSION"), &way] {
            key.update((text.len() as u64).to_le_bytes());
            key.update(text);
        }
        for input in files {
            let said = |error: io::Error| error.to_string();
            if input.in_memory().is_some() || input.is_stdin() {
                return Ok(None);
            }
            let file = File::open(input.path()).map_err(said)?;
            let metadata = file.metadata().map_err(said)?;
            if !metadata.is_file() {
                return Ok(None);
            }
            // The name of a file takes part only in finding out its format.
            let source = Source::open(input).map_err(|error| error.to_string())?;
            let format = formats::format_of(&source, options.format).name;
            key.update((format.len() as u64).to_le_bytes());
            key.update(format);
            key.update(metadata.len().to_le_bytes());
            key.update(content(&At::new(file), metadata.len()).map_err(said)?);
        }
        Ok(Some(Self(key.finalize().into())))
    }

    /// The name of its file in a cache.
    pub(super) fn name(&self) -> String {
        format!("{}.ratings", hex(&self.0))
    }
}

/// SHA-256 of the SHA-256 of each chunk of a file of so many bytes.
fn content(file: &At, length: u64) -> io::Result<[u8; 32]> {
    let chunks = length.div_ceil(CHUNK as u64);
    let digest = |buffer: &mut Vec<u8>, chunk: u64| -> io::Result<[u8; 32]> {
        let start = chunk * CHUNK as u64;
        buffer.resize((length - start).min(CHUNK as u64) as usize, 0);
        file.read_exact(buffer, start)?;
        Ok(Sha256::digest(buffer).into())
    };
    let digests: Vec<[u8; 32]> =
        (0..chunks).into_par_iter().map_init(Vec::new, digest).collect::<io::Result<_>>()?;
    Ok(Sha256::digest(digests.as_flattened()).into())
}

/// A file that is read at many places at a time.
#[derive(Debug)]
pub(super) struct At {
    /// Where a place is sought before it is read.
    #[cfg(not(unix))]
    alone: std::sync::Mutex<()>,
    file: File,
}

impl At {
    pub(super) fn new(file: File) -> Self {
        Self {
            #[cfg(not(unix))]
            alone: std::sync::Mutex::new(()),
            file,
        }
    }

    /// Fills `buffer` with what stands from `start` on.
    #[cfg(unix)]
    pub(super) fn read_exact(&self, buffer: &mut [u8], start: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, start)
    }

    /// Fills `buffer` with what stands from `start` on.
    #[cfg(not(unix))]
    pub(super) fn read_exact(&self, buffer: &mut [u8], start: u64) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let _alone = self.alone.lock();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(buffer)
    }
}
