//! Another backend, and what is asked of it.

use std::collections::BTreeMap;

use deltav::backend::{Backend, Buffer, DeviceMemory, Residence};
use deltav::kernel::template::Mapping;
use deltav::kernel::{Dispatch, Element};
use deltav::{Error, Result};

/// Bytes by purpose.
pub type Bytes = BTreeMap<String, u64>;

/// Counts the bytes that are asked for, and forgets none when it gives them back.
pub struct Counting {
    inner: Box<dyn Backend>,
    /// Of buffers on the device.
    pub taken: Bytes,
    /// Of those that are streamed.
    pub streamed: Bytes,
    /// Bytes of each buffer that is not given back.
    held: Vec<u64>,
    /// Bytes that it has, of which it tells nothing.
    pub has: Option<u64>,
}

impl Counting {
    pub fn new(inner: Box<dyn Backend>) -> Self {
        Self { inner, taken: Bytes::new(), streamed: Bytes::new(), held: Vec::new(), has: None }
    }

    fn take(&mut self, purpose: &str, len: usize) -> Result<()> {
        let bytes = len as u64 * 4;
        if self.has.is_some_and(|has| self.held.iter().sum::<u64>() + bytes > has) {
            return Err(Error::OutOfMemory {
                what: format!("no memory for {purpose}"),
                needed: bytes,
                available: "less".to_owned(),
                remedy: "pass a smaller --rank".to_owned(),
            });
        }
        self.held.push(bytes);
        *self.taken.entry(purpose.to_owned()).or_default() += bytes;
        Ok(())
    }
}

impl Backend for Counting {
    fn describe(&self) -> &str {
        self.inner.describe()
    }
    fn max_buffer_bytes(&self) -> u64 {
        self.inner.max_buffer_bytes()
    }
    fn max_loop(&self) -> u64 {
        self.inner.max_loop()
    }
    fn max_work(&self) -> u64 {
        self.inner.max_work()
    }
    fn lanes(&self) -> usize {
        self.inner.lanes()
    }
    fn long_row(&self) -> usize {
        self.inner.long_row()
    }
    fn max_row(&self, lanes: usize) -> u64 {
        self.inner.max_row(lanes)
    }
    fn set_mapping(&mut self, mapping: Option<Mapping>) {
        self.inner.set_mapping(mapping);
    }
    fn halves(&self) -> bool {
        self.inner.halves()
    }
    fn fuses(&self) -> bool {
        self.inner.fuses()
    }
    fn memory(&self) -> DeviceMemory {
        match self.has {
            Some(_) => DeviceMemory { residence: Residence::Device, available: None },
            None => self.inner.memory(),
        }
    }
    fn transfer_bytes(&self, largest: u64, steps: usize) -> u64 {
        self.inner.transfer_bytes(largest, steps)
    }
    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        self.take(purpose, len)?;
        self.inner.alloc(purpose, element, len)
    }
    fn adopt(&mut self, purpose: &str, element: Element, words: Vec<u32>) -> Result<Buffer> {
        self.take(purpose, words.len())?;
        self.inner.adopt(purpose, element, words)
    }
    fn stream(&mut self, purpose: &str, element: Element, words: Vec<u32>) -> Result<Buffer> {
        self.held.push(0);
        *self.streamed.entry(purpose.to_owned()).or_default() += words.len() as u64 * 4;
        self.inner.stream(purpose, element, words)
    }
    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        self.inner.write(buffer, words)
    }
    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        self.inner.read(buffer, words)
    }
    fn allocated(&self) -> u32 {
        self.inner.allocated()
    }
    fn release(&mut self, first: u32) {
        self.held.truncate(first as usize);
        self.inner.release(first);
    }
    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        self.inner.dispatch(recording)
    }
}
