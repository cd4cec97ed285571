//! Safetensors files: a header that names each tensor's type, shape and place,
//! then the numbers, little-endian. Written as a stream; read with every size
//! checked against the file's length before anything is allocated for it.
//!
//! A file of ours also has a tensor [`CHECKSUM`], which lies last: four bytes with
//! the CRC-32 of every byte before them, little-endian.
//!
//! Layout: <https://github.com/huggingface/safetensors#format>
//! CRC-32: ISO 3309, as in gzip (RFC 1952) and Python's `zlib.crc32`.

// Bytes of others flow through here: nothing may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod write;

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::data::text::one_line;
use crate::error::{Error, Result};
use crate::memory::room_for;

pub(crate) use self::write::{
    Plan, Sink, Tensor, little_endian_bytes, write, write_checked, write_checked_from,
};

/// The one key under `__metadata__`. More than one would be written in random order.
const DOCUMENT_KEY: &str = "deltav";
/// What the reference implementation accepts as a header.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// What the parser makes a hundred bytes of: far more than any model or checkpoint has.
pub(crate) const MAX_HEADER_VALUES: usize = 100_000;
const REMEDY: &str = "pass a file that deltav wrote";
const REMEDY_FOR_TEXT: &str = "pass what `deltav train` saved";
const COPY_AGAIN: &str = "it is cut short or damaged: copy it again";
/// The tensor that holds the checksum.
pub(crate) const CHECKSUM: &str = "checksum";
const CHECKSUM_BYTES: usize = 4;
/// Bytes that are read at a time to be checked.
const CHUNK_BYTES: u64 = 1 << 18;

/// A number type that tensors hold.
pub(crate) trait Element: Pod {
    /// The type's name in the file.
    const DTYPE: Dtype;
    /// The same value with its bytes in the file's order, and back.
    fn little_endian(self) -> Self;
}

macro_rules! element {
    ($type:ty, $dtype:expr) => {
        impl Element for $type {
            const DTYPE: Dtype = $dtype;
            fn little_endian(self) -> Self {
                Self::from_ne_bytes(self.to_le_bytes())
            }
        }
    };
}
element!(u8, Dtype::U8);
element!(u32, Dtype::U32);
element!(u64, Dtype::U64);
element!(f32, Dtype::F32);
element!(f64, Dtype::F64);

/// How many commas, of which each parts two values, stand outside of strings in JSON.
pub(crate) fn values(json: &[u8]) -> usize {
    let (mut quoted, mut escaped, mut count) = (false, false, 0);
    for &byte in json {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b',' if !quoted => count += 1,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    count
}

/// A file, or the bytes of one.
trait Random: Read + Seek {}

impl<T: Read + Seek> Random for T {}

/// A safetensors file open for reading. Its header is checked, and its checksum if it has one;
/// its tensors are not yet read.
pub(crate) struct TensorFile<'a> {
    path: PathBuf,
    file: Box<dyn Random + 'a>,
    data_start: u64,
    header: Metadata,
    has_checksum: bool,
}

impl<'a> TensorFile<'a> {
    /// Opens the file, reads its header and compares its checksum.
    ///
    /// # Errors
    /// [`Error::NoInput`] if it can't be opened, [`Error::Data`] if it is not a
    /// safetensors file, shorter or longer than its header says, or damaged.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let no_input = |source| Error::NoInput { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(no_input)?;
        if !metadata.is_file() {
            return Err(Error::data(path, "is not a regular file", REMEDY));
        }
        let file = BufReader::new(File::open(path).map_err(no_input)?);
        Self::new(path, metadata.len(), Box::new(file))
    }

    /// As [`TensorFile::open`], for a file's bytes; `path` is for messages.
    pub(crate) fn from_bytes(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        Self::new(path, bytes.len() as u64, Box::new(Cursor::new(bytes)))
    }

    /// As [`TensorFile::from_bytes`], for bytes that it keeps.
    pub(crate) fn from_owned(path: &Path, bytes: Vec<u8>) -> Result<TensorFile<'static>> {
        TensorFile::new(path, bytes.len() as u64, Box::new(Cursor::new(bytes)))
    }

    fn new(path: &Path, length: u64, mut file: Box<dyn Random + 'a>) -> Result<Self> {
        let bad = |what: String| Error::data(path, what, REMEDY);
        if length < 8 {
            return Err(bad("is not a safetensors file: it has fewer than 8 bytes".to_owned()));
        }
        let mut size = [0; 8];
        fill(path, &mut file, &mut size)?;
        // Ratings in the place of a model: a header of so many bytes would be longer than any file.
        if size.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) {
            return Err(Error::data(path, "is text, not a safetensors file", REMEDY_FOR_TEXT));
        }
        let size = u64::from_le_bytes(size);
        if size > length - 8 || size > MAX_HEADER_BYTES {
            return Err(
                bad("is not a safetensors file, or is cut short: its header does not fit".to_owned()),
            );
        }
        let mut header = vec![0; size as usize];
        fill(path, &mut file, &mut header)?;
        if values(&header) > MAX_HEADER_VALUES {
            return Err(
                bad("is not a model: its header names more tensors or sizes than one has".to_owned()),
            );
        }
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|e| bad(format!("is not a safetensors file: {}", one_line(&e))))?;
        let data_start = 8 + size;
        let (found, declared) = (length - data_start, header.data_len() as u64);
        if found != declared {
            let what = format!("holds {found} bytes of numbers where its header says {declared}");
            return Err(Error::data(path, what, COPY_AGAIN));
        }
        let has_checksum = header.info(CHECKSUM).is_some();
        let mut file = Self { path: path.to_owned(), file, data_start, header, has_checksum };
        if has_checksum {
            file.compare_checksum(length)?;
        }
        Ok(file)
    }

    /// Reads the whole file, of so many bytes, in search of damage.
    fn compare_checksum(&mut self, length: u64) -> Result<()> {
        let stored: [u8; CHECKSUM_BYTES] =
            match self.read::<u8>(CHECKSUM, &[Some(CHECKSUM_BYTES)])?.try_into() {
                Ok(stored) => stored,
                Err(_) => return Err(self.bad("has a checksum of another length")),
            };
        let is_last = |info: &TensorInfo| info.data_offsets.1 == self.header.data_len();
        if !self.header.info(CHECKSUM).is_some_and(is_last) {
            return Err(self.bad("has a checksum that does not lie last"));
        }
        let mut left = length - CHECKSUM_BYTES as u64;
        let mut chunk = vec![0; left.min(CHUNK_BYTES) as usize];
        let mut computed = crc32fast::Hasher::new();
        self.seek(0)?;
        while left > 0 {
            let length = left.min(chunk.len() as u64) as usize;
            let (part, _) = chunk.split_at_mut(length);
            fill(&self.path, &mut self.file, part)?;
            computed.update(part);
            left -= part.len() as u64;
        }
        let (stored, computed) = (u32::from_le_bytes(stored), computed.finalize());
        if stored != computed {
            let what = format!("has checksum {stored:08x} where its bytes give {computed:08x}");
            return Err(Error::data(&self.path, what, COPY_AGAIN));
        }
        Ok(())
    }

    /// Refuses a file that should have a checksum and has none.
    ///
    /// # Errors
    /// [`Error::Data`], then.
    pub(crate) fn require_checksum(&self) -> Result<()> {
        if self.has_checksum { Ok(()) } else { Err(Error::data(&self.path, "has no checksum", COPY_AGAIN)) }
    }

    fn seek(&mut self, place: u64) -> Result<()> {
        let sought = self.file.seek(SeekFrom::Start(place));
        sought.map(|_| ()).map_err(|source| Error::Io { path: self.path.clone(), source })
    }

    /// The file's JSON document, if it has one.
    pub(crate) fn document(&self) -> Option<&str> {
        self.header.metadata().as_ref()?.get(DOCUMENT_KEY).map(String::as_str)
    }

    /// Whether there is a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// [`Error::Data`] about this file.
    pub(crate) fn bad(&self, what: impl Into<String>) -> Error {
        Error::data(&self.path, what, REMEDY)
    }

    /// Reads a tensor of the given shape; `None` stands for any length.
    ///
    /// # Errors
    /// [`Error::Data`] if it is missing or has another type or shape, [`Error::OutOfMemory`]
    /// if there is no room for it.
    pub(crate) fn read<T: Element>(&mut self, name: &str, shape: &[Option<usize>]) -> Result<Vec<T>> {
        let Some(info) = self.header.info(name) else {
            return Err(self.bad(format!("has no tensor {name}")));
        };
        if info.dtype != T::DTYPE {
            return Err(self.bad(format!(
                "tensor {name} holds {} where {} is expected",
                info.dtype,
                T::DTYPE
            )));
        }
        let fits = info.shape.len() == shape.len()
            && info.shape.iter().zip(shape).all(|(found, expected)| expected.is_none_or(|e| e == *found));
        if !fits {
            let expected: Vec<_> =
                shape.iter().map(|n| n.map_or("any".to_owned(), |n| n.to_string())).collect();
            let shape = one_line(&format!("{:?}", info.shape));
            let what = format!("tensor {name} has shape {shape}, expected [{}]", expected.join(", "));
            return Err(self.bad(what));
        }
        // The header's own check: offsets lie within the file and agree with shape and type.
        let (start, end) = info.data_offsets;
        let count = (end - start) / size_of::<T>();
        let mut values: Vec<T> = room_for(count).ok_or_else(|| Error::OutOfMemory {
            what: format!("no memory for tensor {name} of {}", self.path.display()),
            needed: (end - start) as u64,
            available: "the system refuses them".to_owned(),
            remedy: "use a machine with more memory".to_owned(),
        })?;
        values.resize(count, T::zeroed());
        self.seek(self.data_start + start as u64)?;
        fill(&self.path, &mut self.file, bytemuck::cast_slice_mut(&mut values))?;
        if cfg!(target_endian = "big") {
            values.iter_mut().for_each(|value| *value = value.little_endian());
        }
        Ok(values)
    }
}

fn fill(path: &Path, file: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    file.read_exact(bytes).map_err(|source| match source.kind() {
        ErrorKind::UnexpectedEof => Error::data(path, "became shorter while it was read", "try again"),
        _ => Error::Io { path: path.to_owned(), source },
    })
}
