//! NumPy's `.npz`: a zip archive of `.npy` arrays, stored uncompressed as `np.savez` does.
//!
//! Entries carry no clock, so the same arrays give the same bytes, and all
//! sizes are 64-bit. Written as a stream: nothing seeks back.
//!
//! Layouts: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>,
//! PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5.

use std::io::{self, Write};

use flate2::Crc;

/// The zip version that knows 64-bit sizes.
const VERSION: u16 = 45;
/// 1 January 1980, the epoch of zip.
const DATE: u16 = 0x21;
/// "See the 64-bit field".
const WIDE: u32 = u32::MAX;

struct Entry {
    name: String,
    crc: u32,
    size: u64,
    start: u64,
}

/// An archive that is being written.
pub(super) struct Npz<W> {
    out: Counted<W>,
    entries: Vec<Entry>,
}

impl<W: Write> Npz<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out: Counted { out, count: 0 }, entries: Vec::new() }
    }

    /// Adds a row-major array. `name` is ASCII; `descr` is NumPy's name of the element type,
    /// little-endian; `shape` is `[]` for a scalar. `data` writes the elements and is called
    /// twice, first to learn their size and checksum; it must write the same both times.
    pub(super) fn array(
        &mut self,
        name: &str,
        descr: &str,
        shape: &[usize],
        data: impl Fn(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let header = npy_header(descr, shape);
        let mut checksum = Checksum(Counted { out: io::sink(), count: 0 }, Crc::new());
        checksum.write_all(&header)?;
        data(&mut checksum)?;
        let Checksum(Counted { count: size, .. }, crc) = checksum;
        let entry = Entry { name: format!("{name}.npy"), crc: crc.sum(), size, start: self.out.count };

        let mut local = Record::new(0x0403_4b50);
        local.u16(VERSION);
        entry.common(&mut local, 20);
        local.bytes(entry.name.as_bytes());
        local.u16(1).u16(16).u64(size).u64(size);
        self.out.write_all(&local.0)?;

        let before = self.out.count;
        self.out.write_all(&header)?;
        data(&mut self.out)?;
        if self.out.count - before != size {
            return Err(io::Error::other("an array changed while it was written"));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Writes the directory and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let start = self.out.count;
        for entry in &self.entries {
            let mut central = Record::new(0x0201_4b50);
            central.u16(VERSION).u16(VERSION);
            entry.common(&mut central, 28);
            // No comment, first disk, no attributes.
            central.u16(0).u16(0).u16(0).u32(0).u32(WIDE).bytes(entry.name.as_bytes());
            central.u16(1).u16(24).u64(entry.size).u64(entry.size).u64(entry.start);
            self.out.write_all(&central.0)?;
        }
        let (end, count) = (self.out.count, self.entries.len() as u64);
        let mut tail = Record::new(0x0606_4b50);
        tail.u64(44)
            .u16(VERSION)
            .u16(VERSION)
            .u32(0)
            .u32(0)
            .u64(count)
            .u64(count)
            .u64(end - start)
            .u64(start);
        tail.u32(0x0706_4b50).u32(0).u64(end).u32(1);
        tail.u32(0x0605_4b50).u16(0).u16(0).u16(u16::MAX).u16(u16::MAX).u32(WIDE).u32(WIDE).u16(0);
        self.out.write_all(&tail.0)?;
        Ok(self.out.out)
    }
}

impl Entry {
    /// The fields that both of an entry's headers have, from its flags to the length of its extra field.
    fn common(&self, record: &mut Record, extra: u16) {
        // No flags, stored, midnight.
        record.u16(0).u16(0).u16(0).u16(DATE).u32(self.crc).u32(WIDE).u32(WIDE);
        record.u16(self.name.len() as u16).u16(extra);
    }
}

/// A `.npy` header, format 1.0, padded so that the numbers start at a multiple of 64.
fn npy_header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let shape: String = shape.iter().map(|n| format!("{n},")).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((length as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header.resize(10 + length - 1, b' ');
    header.push(b'\n');
    header
}

/// Little-endian fields, one after the other.
struct Record(Vec<u8>);

impl Record {
    fn new(signature: u32) -> Self {
        Self(signature.to_le_bytes().to_vec())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
}

struct Counted<W> {
    out: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct Checksum(Counted<io::Sink>, Crc);

impl Write for Checksum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.update(bytes);
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
