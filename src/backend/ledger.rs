//! A backend that only counts: what would lie on a device, before any of it does.

use super::{Backend, Buffer, DeviceMemory};
use crate::error::{Error, Result};
use crate::kernel::{Dispatch, Element};

/// A buffer that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What for.
    pub purpose: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it stays on the host, see [`Backend::stream`].
    pub streamed: bool,
}

/// Notes the buffers that are asked for, with the limits of a real device. Nothing is held: what is
/// written is forgotten, what is read is 0, and no kernel runs.
pub struct Ledger<'a> {
    device: &'a dyn Backend,
    entries: Vec<Entry>,
    /// Whether lengths are estimates, so that one that is too great proves nothing.
    estimates: bool,
}

impl std::fmt::Debug for Ledger<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { device, entries, .. } = self;
        f.debug_struct("Ledger").field("device", &device.describe()).field("entries", entries).finish()
    }
}

impl<'a> Ledger<'a> {
    /// An empty one for a device.
    pub fn new(device: &'a dyn Backend) -> Self {
        Self { device, entries: Vec::new(), estimates: false }
    }

    /// The buffers, in the order in which they were asked for.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Says that lengths are estimates from now on: none is refused.
    pub fn estimates(&mut self) {
        self.estimates = true;
    }

    /// Notes a buffer of `len` elements that would be [streamed](Backend::stream).
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    pub fn streamed(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        let buffer = self.alloc(purpose, element, len)?;
        self.entries.iter_mut().last().into_iter().for_each(|entry| entry.streamed = true);
        Ok(buffer)
    }
}

impl Backend for Ledger<'_> {
    fn describe(&self) -> &str {
        self.device.describe()
    }

    fn max_buffer_bytes(&self) -> u64 {
        self.device.max_buffer_bytes()
    }

    fn max_loop(&self) -> u64 {
        self.device.max_loop()
    }

    fn max_work(&self) -> u64 {
        self.device.max_work()
    }

    fn lanes(&self) -> usize {
        self.device.lanes()
    }

    fn long_row(&self) -> usize {
        self.device.long_row()
    }

    fn max_row(&self, lanes: usize) -> u64 {
        self.device.max_row(lanes)
    }

    fn halves(&self) -> bool {
        self.device.halves()
    }

    fn fuses(&self) -> bool {
        self.device.fuses()
    }

    fn memory(&self) -> DeviceMemory {
        self.device.memory()
    }

    fn transfer_bytes(&self, largest: u64, steps: usize) -> u64 {
        self.device.transfer_bytes(largest, steps)
    }

    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        if len == 0 {
            return Err(Error::Internal(format!("an empty buffer for {purpose}")));
        }
        let bytes = len as u64 * 4;
        if bytes > self.max_buffer_bytes() && !self.estimates {
            return Err(Error::OutOfMemory {
                what: format!("no buffer can hold {purpose}"),
                needed: bytes,
                available: format!("{} a buffer", self.max_buffer_bytes()),
                remedy: "pass a smaller --rank, or --device cpu without --max-buffer-bytes".to_owned(),
            });
        }
        let id = u32::try_from(self.entries.len()).map_err(|_| Error::Internal("too many buffers".into()))?;
        self.entries.push(Entry { purpose: purpose.to_owned(), bytes, streamed: false });
        Ok(Buffer { id, len, element })
    }

    fn write(&mut self, _: Buffer, _: &[u32]) -> Result<()> {
        Ok(())
    }

    fn read(&mut self, _: Buffer, words: &mut [u32]) -> Result<()> {
        words.fill(0);
        Ok(())
    }

    fn allocated(&self) -> u32 {
        self.entries.len() as u32 // fits: it numbers them
    }

    fn release(&mut self, first: u32) {
        self.entries.truncate(first as usize);
    }

    fn dispatch(&mut self, _: &[Dispatch]) -> Result<()> {
        Ok(())
    }
}
