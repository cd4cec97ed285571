//! A CPU backend that fails on demand: what a lost device, or one whose memory
//! is full, looks like to whoever uses it.

use deltav::backend::cpu::CpuBackend;
use deltav::backend::{Backend, Buffer};
use deltav::kernel::{Dispatch, Element};
use deltav::{Error, Result};

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// As a device that is lost: every later verb fails, too.
    Lost,
    /// As memory that is full for once: later verbs work again.
    OutOfMemory,
}

impl Fault {
    pub const ALL: [Fault; 2] = [Fault::Lost, Fault::OutOfMemory];

    pub fn exit_code(self) -> u8 {
        self.error(0).exit_code()
    }

    fn error(self, verb: u64) -> Error {
        match self {
            Fault::Lost => Error::device(format!("the device was lost at verb {verb}"), "pass --device cpu"),
            Fault::OutOfMemory => Error::OutOfMemory {
                what: format!("no memory at verb {verb}"),
                needed: 4,
                available: "none there".to_owned(),
                remedy: "pass a smaller --rank".to_owned(),
            },
        }
    }
}

/// Counts the verbs alloc, write, read and dispatch, and fails at one of them.
#[derive(Debug)]
pub struct Faulty {
    inner: CpuBackend,
    verbs: u64,
    fails: Option<(u64, Fault)>,
    lost: bool,
}

impl Faulty {
    /// Never fails: for counting.
    pub fn healthy(inner: CpuBackend) -> Self {
        Self { inner, verbs: 0, fails: None, lost: false }
    }

    /// Fails at the `n`-th verb from now, counted from 1.
    pub fn fail_at(&mut self, n: u64, fault: Fault) {
        self.recover();
        self.fails = Some((n, fault));
    }

    /// Well again, with all counts at 0.
    pub fn recover(&mut self) {
        (self.verbs, self.fails, self.lost) = (0, None, false);
    }

    /// Verbs so far, the failed ones included.
    pub fn verbs(&self) -> u64 {
        self.verbs
    }

    fn verb(&mut self) -> Result<()> {
        self.verbs += 1;
        match self.fails {
            Some((at, fault)) if self.verbs == at || (self.lost && fault == Fault::Lost) => {
                self.lost = true;
                Err(fault.error(self.verbs))
            }
            _ => Ok(()),
        }
    }
}

impl Backend for Faulty {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    fn max_buffer_bytes(&self) -> u64 {
        self.inner.max_buffer_bytes()
    }

    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        self.verb()?;
        self.inner.alloc(purpose, element, len)
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        self.verb()?;
        self.inner.write(buffer, words)
    }

    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        self.verb()?;
        self.inner.read(buffer, words)
    }

    fn allocated(&self) -> u32 {
        self.inner.allocated()
    }

    fn release(&mut self, first: u32) {
        self.inner.release(first);
    }

    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        self.verb()?;
        self.inner.dispatch(recording)
    }
}
