//! How much has been read, for whoever shows progress.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes that are read of the inputs that have it, as they stand in the files: packed ones
/// packed. Its clones are the same meter, so that another thread can look at it.
///
/// Formats that seek in their files (NumPy, Parquet) count only their first bytes.
///
/// ```
/// use deltav::data::{Input, Meter, ReadOptions, read_ratings};
///
/// let meter = Meter::default();
/// let text = Input::bytes("ratings.csv", *b"user,item,rating\nAnn,Alien,5\n").metered(&meter);
/// read_ratings([text], &ReadOptions::default())?;
/// assert_eq!(meter.bytes(), 29);
/// # Ok::<(), deltav::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The same meter is equal.
impl PartialEq for Meter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Meter {}

/// A reader whose bytes are counted.
pub(super) struct Metered<R> {
    pub(super) reader: R,
    pub(super) meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.meter.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::data::{Input, ReadOptions, read_ratings, stream_ratings};

    #[test]
    fn every_byte_of_every_file_is_counted_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..20_000).map(|n| format!("u{n},i{},3\n", n % 7)).collect();
        std::fs::write(folder.path().join("a.csv"), &text).unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.replace('u', "v").as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        assert!(packed.len() < text.len());
        std::fs::write(folder.path().join("b.csv.gz"), &packed).unwrap();

        let meter = Meter::default();
        let input = || [Input::from(folder.path()).metered(&meter)];
        read_ratings(input(), &ReadOptions::default()).unwrap();
        let all = (text.len() + packed.len()) as u64;
        assert_eq!(meter.bytes(), all);
        stream_ratings(input(), &ReadOptions::default(), |_| Ok(())).unwrap();
        assert_eq!(meter.bytes(), 2 * all);
        read_ratings([folder.path()], &ReadOptions::default()).unwrap();
        assert_eq!(meter.bytes(), 2 * all, "nobody asked");
    }
}
