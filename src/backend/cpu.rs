//! The CPU backend: buffers are vectors, a dispatch runs the kernel's twin at
//! once on a pool of threads. The bits do not depend on the number of threads.

use std::fmt::Display;
use std::ops::{Deref, DerefMut};
use std::thread;

use rayon::prelude::*;

use super::{Backend, Buffer, MAX_BUFFER_BYTES};
use crate::aligned::Aligned;
use crate::error::{Error, Result};
use crate::kernel::{Access, Dispatch, Element, Slot, simd};

/// More threads than any machine has cores: a typing error, and one that would
/// bring the machine to a halt.
pub const MAX_THREADS: usize = 1024;

/// Elements that are worth a thread of their own to copy.
const MIN_COPY: usize = 1 << 14;

/// Of a thread's stack, unless `RUST_MIN_STACK` says otherwise.
const STACK_BYTES: u64 = 2 << 20;

/// A buffer's elements.
#[derive(Debug)]
enum Words {
    /// Rows to gather, and what is written.
    Own(Aligned<u32>),
    /// What only streams.
    Adopted(Vec<u32>),
}

impl Default for Words {
    fn default() -> Self {
        Words::Adopted(Vec::new())
    }
}

impl Deref for Words {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Words::Own(words) => words,
            Words::Adopted(words) => words,
        }
    }
}

impl DerefMut for Words {
    fn deref_mut(&mut self) -> &mut [u32] {
        match self {
            Words::Own(words) => words,
            Words::Adopted(words) => words,
        }
    }
}

/// Runs kernels' twins on the CPU.
#[derive(Debug)]
pub struct CpuBackend {
    pool: rayon::ThreadPool,
    buffers: Vec<Words>,
    max_buffer_bytes: u64,
    description: String,
}

impl CpuBackend {
    /// A backend with this many threads; `None` takes one a core.
    ///
    /// # Errors
    /// [`Error::Usage`] for 0 threads or too many, [`Error::OutOfMemory`] if the system refuses them.
    pub fn new(threads: Option<usize>) -> Result<Self> {
        if let Some(count) = threads
            && !(1..=MAX_THREADS).contains(&count)
        {
            return Err(Error::usage(
                format!("{count} threads can't train"),
                format!("pass 1 to {MAX_THREADS}, or leave --threads out"),
            ));
        }
        // Before any thread runs: those that find nothing left while others start end the program.
        let count = threads.or(thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        let stacks = Vec::<u8>::new().try_reserve_exact(count * STACK_BYTES as usize);
        stacks.map_err(|refusal| no_threads(count, &refusal))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        let pool = pool.map_err(|refusal| no_threads(count, &refusal))?;
        Ok(Self {
            pool,
            buffers: Vec::new(),
            max_buffer_bytes: MAX_BUFFER_BYTES,
            description: "CPU".to_owned(),
        })
    }

    /// The same with smaller buffers, so that data are sharded as on a small GPU.
    pub fn with_max_buffer_bytes(mut self, bytes: u64) -> Self {
        self.max_buffer_bytes = bytes.min(MAX_BUFFER_BYTES);
        self
    }

    /// Threads that run the twins.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Whether a buffer may have this length.
    fn check(&self, purpose: &str, len: usize) -> Result<()> {
        if len == 0 {
            return Err(Error::Internal(format!("an empty buffer for {purpose}")));
        }
        if len as u64 * 4 > self.max_buffer_bytes {
            return Err(Error::OutOfMemory {
                what: format!("no buffer can hold {purpose}"),
                needed: len as u64 * 4,
                available: format!("{} a buffer", self.max_buffer_bytes),
                remedy: "pass a smaller --rank, or --device cpu without --max-buffer-bytes".to_owned(),
            });
        }
        Ok(())
    }

    fn keep(&mut self, purpose: &str, element: Element, words: Words) -> Result<Buffer> {
        let len = words.len();
        let id =
            u32::try_from(self.buffers.len()).map_err(|_| no_memory(purpose, len, "too many buffers"))?;
        self.buffers.push(words);
        Ok(Buffer { id, len, element })
    }
}

/// Copies equally many elements, large buffers on all threads: who reads has mostly just asked for the memory,
/// and the system's pages are what takes time.
fn copy(pool: &rayon::ThreadPool, from: &[u32], to: &mut [u32]) {
    assert_eq!(from.len(), to.len(), "as long as the buffer");
    if from.len() <= MIN_COPY {
        return to.copy_from_slice(from);
    }
    let pieces = to.par_chunks_mut(MIN_COPY).zip(from.par_chunks(MIN_COPY));
    pool.install(|| pieces.for_each(|(to, from)| to.copy_from_slice(from)));
}

fn no_memory(purpose: &str, len: usize, available: &str) -> Error {
    Error::OutOfMemory {
        what: format!("no memory for {purpose}"),
        needed: len as u64 * 4,
        available: available.to_owned(),
        remedy: "pass a smaller rank or fewer ratings".to_owned(),
    }
}

/// Lends the step's buffers to the twin: the written ones are taken out for the call.
fn play(buffers: &mut [Words], step: &Dispatch) {
    let kernel = step.kernel();
    let places = || step.buffers().iter().map(|buffer| buffer.id as usize);
    let bound = kernel.bindings.iter().zip(places());
    let mut written: Vec<Option<Words>> = bound
        .map(|(binding, at)| (binding.access == Access::ReadWrite).then(|| std::mem::take(&mut buffers[at])))
        .collect();
    let mut slots: Vec<Slot<'_>> = written
        .iter_mut()
        .zip(places())
        .map(|(taken, at)| match taken {
            Some(words) => Slot::Write(words),
            None => Slot::Read(&buffers[at]),
        })
        .collect();
    (kernel.twin)(step.params(), &mut slots);
    drop(slots);
    for (taken, at) in written.into_iter().zip(places()) {
        if let Some(words) = taken {
            buffers[at] = words;
        }
    }
}

fn no_threads(count: usize, refusal: &dyn Display) -> Error {
    Error::OutOfMemory {
        what: format!("no memory for {count} threads"),
        needed: count as u64 * STACK_BYTES,
        available: format!("the system refuses them ({refusal})"),
        remedy: "pass a smaller --threads".to_owned(),
    }
}

impl Backend for CpuBackend {
    fn describe(&self) -> &str {
        &self.description
    }

    fn max_buffer_bytes(&self) -> u64 {
        self.max_buffer_bytes
    }

    fn lanes(&self) -> usize {
        simd::LANES
    }

    fn fuses(&self) -> bool {
        simd::fast()
    }

    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        self.check(purpose, len)?;
        let words = self.pool.install(|| Aligned::try_zeros(len));
        let words = words.ok_or_else(|| no_memory(purpose, len, "the system refuses them"))?;
        self.keep(purpose, element, Words::Own(words))
    }

    fn adopt(&mut self, purpose: &str, element: Element, words: Vec<u32>) -> Result<Buffer> {
        self.check(purpose, words.len())?;
        self.keep(purpose, element, Words::Adopted(words))
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        let Self { pool, buffers, .. } = self;
        copy(pool, words, &mut buffers[buffer.id as usize]);
        Ok(())
    }

    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        let Self { pool, buffers, .. } = self;
        copy(pool, &buffers[buffer.id as usize], words);
        Ok(())
    }

    fn allocated(&self) -> u32 {
        self.buffers.len() as u32 // fits: it numbers them
    }

    fn release(&mut self, first: u32) {
        self.buffers.truncate(first as usize);
    }

    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        // One way into the pool for all steps, so that its threads are awake for the next.
        let Self { pool, buffers, .. } = self;
        pool.install(|| recording.iter().for_each(|step| play(buffers, step)));
        Ok(())
    }
}
