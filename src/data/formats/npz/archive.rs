//! The arrays of a `.npz` archive, each read as a stream.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use zip::read::ZipFile;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::super::npy::{Fault, Header};
use crate::data::text::{one_line, quoted};
use crate::error::{Error, Result};

/// What an archive may unpack to beyond its own size: far above what ratings can be packed to,
/// since ids differ, and far below what a bomb does.
const MOST_RATIO: u64 = 200;
const ALWAYS: u64 = 64 << 20;
/// More arrays than a ratings file can have.
const MOST_ARRAYS: usize = 1_000;

const DAMAGED: &str = "it is cut short or damaged: copy it again";
const RESAVE: &str = "save it with scipy.sparse.save_npz";

/// Bytes that a reader takes from the file at a time.
const HELD: u64 = 16 << 10;

/// A file with several readers, each at a place of its own.
#[derive(Clone)]
pub(super) struct Shared {
    file: Rc<RefCell<File>>,
    position: u64,
    length: u64,
    /// Bytes of the file from `held_from` on: headers are read a few bytes at a time.
    held: Vec<u8>,
    held_from: u64,
}

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let within = |held: &[u8], from: u64| {
            (from..from + held.len() as u64).contains(&self.position).then(|| (self.position - from) as usize)
        };
        let at = match within(&self.held, self.held_from) {
            Some(at) => at,
            None => {
                let mut file = self.file.borrow_mut();
                file.seek(SeekFrom::Start(self.position))?;
                self.held.clear();
                (&mut *file).take(HELD).read_to_end(&mut self.held)?;
                self.held_from = self.position;
                0
            }
        };
        let read = self.held.get(at..).unwrap_or_default().read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = place.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// An open archive. A clone has readers of its own.
#[derive(Clone)]
pub(super) struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<Shared>,
}

impl<'a> Archive<'a> {
    pub(super) fn open(path: &'a Path, file: File) -> Result<Self> {
        let length = file.metadata().map_err(|source| Error::Io { path: path.to_owned(), source })?.len();
        let shared =
            Shared { file: Rc::new(RefCell::new(file)), position: 0, length, held: Vec::new(), held_from: 0 };
        let zip = ZipArchive::new(shared).map_err(|error| failure(path, "", error))?;
        let archive = Self { path, zip };
        if archive.zip.len() > MOST_ARRAYS {
            let what = format!("is an archive of {} files", archive.zip.len());
            return Err(Error::data(path, what, RESAVE));
        }
        let mut unpacked = 0_u64;
        for index in 0..archive.zip.len() {
            let entry = archive.zip.by_index_data(index).map_err(|error| failure(path, "", error))?;
            unpacked = unpacked.saturating_add(entry.size());
        }
        if unpacked > length.saturating_mul(MOST_RATIO).saturating_add(ALWAYS) {
            return Err(Error::data(
                path,
                format!("would unpack from {length} bytes to {unpacked}, more than ratings can be packed"),
                "unpack it, look what it is, and save it with numpy.savez, uncompressed",
            ));
        }
        Ok(archive)
    }

    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// The names of the arrays.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.zip.file_names_raw().filter_map(|name| name.strip_suffix(b".npy"));
        names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name_raw(format!("{name}.npy").as_bytes()).is_some()
    }

    /// Opens an array for reading.
    pub(super) fn array(&mut self, name: &str) -> Result<Array<'_>> {
        let path = self.path;
        let index = self.zip.index_for_name_raw(format!("{name}.npy").as_bytes());
        let index = index.ok_or_else(|| Error::data(path, format!("has no array {name}"), RESAVE))?;
        let entry = self.zip.by_index(index).map_err(|error| failure(path, name, error))?;
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            let what = format!("array {} is neither stored nor deflated", quoted(name.as_bytes()));
            return Err(Error::data(path, what, RESAVE));
        }
        let size = entry.size();
        let mut reader = BufReader::with_capacity(64 << 10, entry);
        let header = Header::read(&mut reader).map_err(|fault| match fault {
            Fault::Io(error) => failure(path, name, error.into()),
            Fault::Wrong((what, remedy)) => {
                Error::data(path, format!("array {} {what}", quoted(name.as_bytes())), remedy)
            }
        })?;
        let found = size.saturating_sub(header.length);
        if header.size() != Some(found) {
            let declared = header.size().map_or("too many".to_owned(), |size| size.to_string());
            return Err(Error::data(
                path,
                format!(
                    "array {} holds {found} bytes of numbers where its header says {declared}",
                    quoted(name.as_bytes())
                ),
                DAMAGED,
            ));
        }
        let element = vec![0; header.dtype.size];
        Ok(Array { path, name: name.to_owned(), header, reader, element })
    }
}

/// An array that is being read.
pub(super) struct Array<'a> {
    path: &'a Path,
    name: String,
    pub(super) header: Header,
    reader: BufReader<ZipFile<'a, Shared>>,
    element: Vec<u8>,
}

impl Array<'_> {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// [`Error::Data`] about this array.
    pub(super) fn bad(&self, what: &str) -> Error {
        Error::data(self.path, format!("array {} {what}", quoted(self.name.as_bytes())), RESAVE)
    }

    /// Refuses all but whole numbers.
    pub(super) fn integers(self) -> Result<Self> {
        if self.header.dtype.is_integer() {
            return Ok(self);
        }
        Err(self.bad(&format!("holds {} where whole numbers are expected", self.header.dtype.name())))
    }

    /// Refuses all but numbers.
    pub(super) fn numbers(self) -> Result<Self> {
        if self.header.dtype.is_number() {
            return Ok(self);
        }
        Err(self.bad(&format!("holds {} where numbers are expected", self.header.dtype.name())))
    }

    /// Refuses all but one dimension of this length; `None` is any. Returns the length.
    pub(super) fn vector(&self, length: Option<u64>) -> Result<u64> {
        match (&self.header.shape[..], length) {
            (&[found], None) => Ok(found),
            (&[found], Some(expected)) if found == expected => Ok(found),
            (&[found], Some(expected)) => {
                Err(self.bad(&format!("has length {found} where {expected} is expected")))
            }
            (shape, _) => Err(self.bad(&format!("has shape {shape:?} where one dimension is expected"))),
        }
    }

    fn advance(&mut self) -> Result<()> {
        let read = self.reader.read_exact(&mut self.element);
        read.map_err(|error| failure(self.path, &self.name, error.into()))
    }

    /// The next element of an array of whole numbers.
    pub(super) fn integer(&mut self) -> Result<i128> {
        self.advance()?;
        Ok(self.header.dtype.integer(&self.element))
    }

    /// The next element of an array of numbers.
    pub(super) fn number(&mut self) -> Result<f64> {
        self.advance()?;
        Ok(self.header.dtype.number(&self.element))
    }

    /// Appends the next element as text. `false` if it is none.
    pub(super) fn text(&mut self, text: &mut Vec<u8>) -> Result<bool> {
        self.advance()?;
        Ok(self.header.dtype.id(&self.element, text).is_some())
    }

    /// Reads the end, where the archive checks what was read.
    pub(super) fn finish(mut self) -> Result<()> {
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::data(self.path, format!("array {} is too long", self.name), DAMAGED)),
            Err(error) => Err(failure(self.path, &self.name, error.into())),
        }
    }
}

fn failure(path: &Path, array: &str, error: ZipError) -> Error {
    let of = if array.is_empty() { String::new() } else { format!("array {} ", quoted(array.as_bytes())) };
    let (what, remedy) = match error {
        // Only the system's own errors have a number: the rest is said of the bytes.
        ZipError::Io(source) if source.raw_os_error().is_some() => {
            return Error::Io { path: path.to_owned(), source };
        }
        ZipError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => ("ends early".to_owned(), DAMAGED),
        ZipError::Io(error) => (format!("is damaged ({})", one_line(&error)), DAMAGED),
        ZipError::UnsupportedArchive(why) => (format!("can't be unpacked ({why})"), RESAVE),
        error => (format!("is no whole zip archive ({})", one_line(&error)), DAMAGED),
    };
    Error::data(path, format!("{of}{what}"), remedy)
}
