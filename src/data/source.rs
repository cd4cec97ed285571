//! An open input: a file or standard input, unpacked if it is gzip.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

/// Bytes that are looked at before a format is chosen.
const HEAD: u64 = 8 << 10;
const BUFFER: usize = 256 << 10;

const GZIP: &[u8] = b"\x1f\x8b";
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// Files that are often passed by mistake: how they begin, what they are, what to do.
const BINARY: [(&[u8], &str, &str); 7] = [
    (b"PK\x03\x04", "is a zip archive", "unzip it and pass the file with the ratings"),
    (b"\xfd7zXZ\0", "is packed with xz", "unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd", "unpack it, or pack it with gzip"),
    (b"BZh", "is packed with bzip2", "unpack it, or pack it with gzip"),
    (b"PAR1", "is a Parquet file", "write the ratings as CSV"),
    (b"\x93NUMPY", "is a NumPy array", "write the ratings as CSV"),
    (b"SQLite format 3\0", "is an SQLite database", "write the ratings as CSV"),
];

/// An open input whose first bytes are known.
pub(super) struct Source<'a> {
    path: &'a Path,
    head: Vec<u8>,
    reader: Box<dyn BufRead + 'a>,
    gzip: bool,
    /// The file itself, where it can be sought in.
    #[allow(dead_code, reason = "for formats that seek")]
    file: Option<File>,
}

impl<'a> Source<'a> {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        let missing = |source| Error::NoInput { path: path.to_owned(), source };
        if path == Path::new("-") {
            return Self::new(path, Box::new(io::stdin().lock()));
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
        Ok(Self { file: again, ..Self::new(path, Box::new(file))? })
    }

    /// Takes bytes from anywhere; `path` is for messages.
    pub(super) fn new(path: &'a Path, mut raw: Box<dyn Read + 'a>) -> Result<Self> {
        let failed = |source| Error::Io { path: path.to_owned(), source };
        let mut magic = Vec::new();
        (&mut raw).take(GZIP.len() as u64).read_to_end(&mut magic).map_err(failed)?;
        // By content, not by name: a packed file may be called anything.
        let gzip = magic == GZIP;
        let raw = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(raw));
        let mut reader: Box<dyn BufRead + 'a> = if gzip {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        let mut head = Vec::new();
        let read = (&mut reader).take(HEAD).read_to_end(&mut head);
        let mut source = Self { path, head: Vec::new(), reader: Box::new(io::empty()), gzip, file: None };
        read.map_err(|error| source.failure(error))?;
        if head.starts_with(UTF8_BOM) {
            head.drain(..UTF8_BOM.len());
        }
        source.reader = Box::new(Cursor::new(head.clone()).chain(reader));
        source.head = head;
        Ok(source)
    }

    /// The input as the user named it.
    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// The first bytes, unpacked and without a byte order mark; less than 8 KiB only if there is no more.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The input as a file that can be sought in, at its begin: the very file if it was not
    /// packed, else its unpacked bytes in an anonymous temporary one, never all in memory.
    ///
    /// # Errors
    /// [`Error::Data`] where what is packed is damaged, [`Error::Io`] where reading or
    /// spooling breaks off.
    #[allow(dead_code, reason = "for formats that seek")]
    pub(super) fn into_file(mut self) -> Result<File> {
        let spooled = |source| Error::Io { path: std::env::temp_dir(), source };
        if let Some(mut file) = self.file.take().filter(|_| !self.gzip) {
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

    fn failure(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if self.gzip => {
                Error::data(self.path, "gzip stream ends early", "download it again")
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.gzip => {
                Error::data(self.path, format!("gzip stream is damaged ({error})"), "download it again")
            }
            _ => Error::Io { path: self.path.to_owned(), source: error },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>> {
        let mut source = Source::new(Path::new("a.csv"), Box::new(bytes))?;
        let mut all = Vec::new();
        while source.read_until(b'\n', 1 << 20, &mut all)? > 0 {}
        Ok(all)
    }

    fn text_error(bytes: &[u8]) -> String {
        let source = Source::new(Path::new("a.csv"), Box::new(bytes)).unwrap();
        source.check_text().unwrap_err().to_string()
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b' ' + (state >> 25) as u8 % 90
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn gzip_is_known_by_its_content_and_all_members_are_read() {
        let (one, two) = (noise(30_000), noise(100));
        assert_eq!(read(&gzip(&one)).unwrap(), one);
        let members = [gzip(&one), gzip(b""), gzip(&two)].concat();
        assert_eq!(read(&members).unwrap(), [one, two].concat());
    }

    #[test]
    fn gzip_cut_anywhere_is_an_error() {
        let whole = gzip(&noise(20_000));
        for length in (2..60).chain((60..whole.len()).step_by(97)).chain(whole.len() - 12..whole.len()) {
            let error = read(&whole[..length]).unwrap_err();
            assert_eq!(
                error.to_string(),
                "a.csv: gzip stream ends early; download it again",
                "{length} bytes"
            );
            assert_eq!(error.exit_code(), 65);
        }
    }

    #[test]
    fn damaged_gzip_and_garbage_after_it_are_errors() {
        let whole = gzip(&noise(20_000));
        let mut flipped = whole.clone();
        flipped[9_000] ^= 0x10;
        for bytes in [flipped, [&whole[..], b"not another member"].concat(), [&whole[..], &[0; 20]].concat()]
        {
            let error = read(&bytes).unwrap_err();
            assert!(error.to_string().starts_with("a.csv: gzip stream is damaged ("), "{error}");
            assert_eq!(error.exit_code(), 65);
        }
    }

    #[test]
    fn a_byte_order_mark_is_dropped() {
        assert_eq!(read(b"\xef\xbb\xbfuser").unwrap(), b"user");
        assert_eq!(read(&gzip(b"\xef\xbb\xbfuser")).unwrap(), b"user");
        assert_eq!(read(b"\xef\xbb").unwrap(), b"\xef\xbb");
    }

    #[test]
    fn what_is_not_text_is_named() {
        assert!(text_error(b"\xff\xfe1\0,\0").contains("is UTF-16 text; convert it to UTF-8"));
        assert!(text_error(b"\xfe\xff\0").contains("UTF-16"));
        assert!(text_error(b"PK\x03\x04...").contains("zip archive"));
        assert!(text_error(&gzip(b"1,2\0")).contains("looks like a binary file"));
        let late = [vec![b'1'; 4_000], vec![0]].concat();
        assert!(text_error(&late).contains("looks like a binary file"));
        let latin1 = Source::new(Path::new("a"), Box::new(&b"Le Fabuleux destin d'Am\xe9lie"[..])).unwrap();
        assert!(latin1.check_text().is_ok());
    }

    #[test]
    fn a_read_that_fails_half_way_is_an_io_error() {
        struct Broken(u32);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.0 == 0 {
                    return Err(io::Error::other("the disk is gone"));
                }
                self.0 -= 1;
                buffer.fill(b'x');
                Ok(buffer.len())
            }
        }
        for reads in [0, 1, 3] {
            let mut buffer = Vec::new();
            let error = Source::new(Path::new("a"), Box::new(Broken(reads)))
                .and_then(|mut source| source.read_until(b'\n', u64::MAX, &mut buffer))
                .unwrap_err();
            assert_eq!(error.exit_code(), 74, "{error}");
            assert!(error.to_string().contains("the disk is gone"));
        }
    }

    #[test]
    fn a_file_to_seek_in_is_the_file_or_its_unpacked_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = noise(600_000);
        for (name, packed) in [("plain", bytes.clone()), ("packed", gzip(&bytes)), ("empty", Vec::new())] {
            let path = folder.path().join(name);
            fs::write(&path, &packed).unwrap();
            let mut file = Source::open(&path).unwrap().into_file().unwrap();
            let mut all = Vec::new();
            file.read_to_end(&mut all).unwrap();
            assert!(all == if name == "empty" { Vec::new() } else { bytes.clone() }, "{name}");
            file.seek(io::SeekFrom::Start(0)).unwrap();
            let mut again = Vec::new();
            file.read_to_end(&mut again).unwrap();
            assert!(all == again, "{name}");
        }
        let mut piped = Vec::new();
        let source = Source::new(Path::new("-"), Box::new(&bytes[..])).unwrap();
        source.into_file().unwrap().read_to_end(&mut piped).unwrap();
        assert!(piped == bytes);
        let cut = &gzip(&bytes)[..300_000];
        let error = Source::new(Path::new("a.gz"), Box::new(cut)).unwrap().into_file().unwrap_err();
        assert_eq!(error.to_string(), "a.gz: gzip stream ends early; download it again");
    }

    #[test]
    fn a_missing_file_and_a_directory_are_no_input() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("none.csv"), folder.path().to_owned()] {
            let error = Source::open(&path).err().unwrap();
            assert_eq!(error.exit_code(), 66, "{error}");
            assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        }
    }
}
