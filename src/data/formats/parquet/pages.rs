//! What a Parquet file says of itself is checked here before the decoder believes it,
//! since the decoder allocates what it is told.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnDescPtr;

/// What a page may unpack to beyond ten times the file. Writers make pages of about a megabyte.
const ALWAYS: u64 = 64 << 20;

/// The last bytes of a file: the length of its footer, and `PAR1`.
const END: u64 = 8;

fn wrong(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// A file of which no more is read than there is.
pub(super) struct Bounded {
    pub(super) file: File,
    pub(super) length: u64,
}

impl Length for Bounded {
    fn len(&self) -> u64 {
        self.length
    }
}

/// Reads a file whose end is an error: the decoder would pass over billions of values behind it.
pub(super) struct Endless(BufReader<File>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}

impl ChunkReader for Bounded {
    type T = Endless;

    /// The decoder asks for a reader only to read the header of a page, and the file's last bytes.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        let mut head = Vec::new();
        (&mut file).take(24).read_to_end(&mut head)?;
        let end = start >= self.length.saturating_sub(END);
        let size = if end { Some(0) } else { unpacked_size(&head) };
        let size = size.ok_or_else(|| wrong("a page's header is damaged"))?;
        if size > ALWAYS.saturating_add(self.length.saturating_mul(10)) {
            return Err(wrong("a page would unpack to more than a page of ratings can hold"));
        }
        file.seek(SeekFrom::Start(start))?;
        Ok(Endless(BufReader::new(file)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(wrong("a page ends behind the file"));
        }
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// The unpacked size that a page's header states: in Thrift's compact protocol, its second field.
/// The first three are required numbers, which every writer puts first and in their order.
fn unpacked_size(head: &[u8]) -> Option<u64> {
    const NEXT_I32: u8 = 0x15;
    let mut rest = head;
    let mut field = || {
        rest = rest.strip_prefix(&[NEXT_I32])?;
        varint(&mut rest)
    };
    field()?;
    field().map(|zigzag| zigzag >> 1)
}

/// A number of seven bits a byte, the lowest first.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The pages of a column, each of which holds as many values as it says.
pub(super) struct Pages {
    pub(super) pages: Box<dyn PageReader>,
    pub(super) column: ColumnDescPtr,
}

impl Pages {
    fn check(&self, page: &Page) -> Result<()> {
        match page {
            Page::DictionaryPage { buf, num_values, .. } => {
                let width = match self.column.physical_type() {
                    Type::BOOLEAN => return Err(wrong("a dictionary of booleans")),
                    // Each has its length before it.
                    Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
                    Type::INT64 | Type::DOUBLE => 8,
                    Type::INT96 => 12,
                    Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(self.column.type_length()).unwrap_or(0),
                };
                if width == 0 || u64::from(*num_values) * width > buf.len() as u64 {
                    return Err(wrong("a dictionary is shorter than it says"));
                }
                Ok(())
            }
            Page::DataPage { buf, num_values, encoding, .. } => {
                let levels = if self.column.max_def_level() > 0 {
                    let length = buf.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
                    4_usize.saturating_add(length as usize)
                } else {
                    0
                };
                check_delta(*encoding, buf.get(levels..).unwrap_or(&[]), *num_values)
            }
            Page::DataPageV2 {
                buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len, ..
            } => {
                let levels = (*def_levels_byte_len as usize).saturating_add(*rep_levels_byte_len as usize);
                check_delta(*encoding, buf.get(levels..).unwrap_or(&[]), *num_values)
            }
        }
    }
}

/// The encoding of lengths has a count of its own, for which the decoder makes room.
fn check_delta(encoding: Encoding, mut values: &[u8], count: u32) -> Result<()> {
    match encoding {
        // Each text is a part of the one before and more: a few bytes can make gigabytes.
        Encoding::DELTA_BYTE_ARRAY => Err(wrong(
            "texts are encoded by DELTA_BYTE_ARRAY, which is not read: write them as PLAIN or by a dictionary",
        )),
        Encoding::DELTA_LENGTH_BYTE_ARRAY => {
            let numbers = [(); 3].map(|()| varint(&mut values)); // block, its parts, count
            match numbers {
                [Some(_), Some(_), Some(stated)] if stated <= u64::from(count) => Ok(()),
                _ => Err(wrong("a page has more lengths than values")),
            }
        }
        _ => Ok(()),
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_page_is_read_from_its_header() {
        // type 0, 3,000,000 bytes unpacked, 17 packed.
        assert_eq!(unpacked_size(b"\x15\x00\x15\x80\x9b\xee\x02\x15\x22"), Some(3_000_000));
        assert_eq!(unpacked_size(b"\x15\x00\x15"), None);
        assert_eq!(unpacked_size(b"\x25\x00\x15\x02"), None);
        assert_eq!(varint(&mut &[0xff; 12][..]), None);
        assert_eq!(varint(&mut &b"\xac\x02"[..]), Some(300));
    }

    #[test]
    fn a_page_has_no_more_lengths_than_values() {
        let of = |values: &[u8]| check_delta(Encoding::DELTA_LENGTH_BYTE_ARRAY, values, 5).is_ok();
        assert!(of(b"\x80\x01\x04\x05\x00"));
        assert!(!of(b"\x80\x01\x04\x06\x00"));
        assert!(!of(b"\x80\x01\x04\xff\xff\xff\xff\xff\xff\xff\x7f"));
        assert!(!of(b""));
        assert!(check_delta(Encoding::DELTA_BYTE_ARRAY, b"", 5).is_err());
        assert!(check_delta(Encoding::PLAIN, b"", 5).is_ok());
    }
}
