//! Where kernels run. A [`Backend`] has four verbs: alloc (and release), write,
//! read and dispatch. It knows buffers of 4-byte elements and kernels as values, and
//! nothing of matrices or epochs.

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
mod ledger;
mod select;
mod together;

use crate::error::Result;
use crate::kernel::template::Mapping;
use crate::kernel::{Dispatch, Element};
use crate::world::{Alone, World};

pub use ledger::{Entry, Ledger};
pub use select::{Adapter, AdapterKind, DeviceChoice, OpenOptions, Opened, adapters, open, pick};
pub use together::Together;
pub(crate) use together::exchange_bytes;

/// The largest buffer that any backend is asked for: 2³⁰ elements, so that the
/// kernels' 32-bit indices always reach.
pub const MAX_BUFFER_BYTES: u64 = 4 << 30;

/// A handle to elements that live on a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Buffer {
    id: u32,
    len: usize,
    element: Element,
}

impl Buffer {
    /// Its number on its backend.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Elements.
    #[expect(clippy::len_without_is_empty, reason = "a backend refuses to allocate an empty buffer")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Type of the elements.
    pub fn element(&self) -> Element {
        self.element
    }
}

/// Whose memory a device's buffers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residence {
    /// The process's: they are vectors.
    Process,
    /// The computer's, beside the process's.
    Computer,
    /// The device's own.
    Device,
}

/// A device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// Whose it is.
    pub residence: Residence,
    /// Bytes that are free of it, or that may be used, where somebody tells.
    pub available: Option<u64>,
}

/// A device that holds buffers and runs kernels.
///
/// Elements travel as 4-byte words; `bytemuck::cast_slice` makes them of f32.
/// Dispatches take effect in order, and before any later read or write.
pub trait Backend {
    /// The device in words, for people and for the model's metadata.
    fn describe(&self) -> &str;

    /// The processes that train together, of whose devices this is one.
    fn world(&self) -> &dyn World {
        &Alone
    }

    /// The largest buffer in bytes that a kernel can bind.
    fn max_buffer_bytes(&self) -> u64;

    /// Loop iterations, nested ones included, that one invocation of a kernel
    /// may run. Software adapters end a longer loop without an error, so longer
    /// rows must be cut.
    fn max_loop(&self) -> u64 {
        u64::MAX
    }

    /// The [work](Dispatch::work) that a device should be kept busy with at a time: data are cut
    /// into tiles such that no dispatch has more, and recordings into submissions. Systems reset
    /// a GPU that does nothing else for seconds; a CPU is free to.
    fn max_work(&self) -> u64 {
        u64::MAX
    }

    /// Elements that its kernels load at once: packed rows are whole multiples of it.
    fn lanes(&self) -> usize {
        4
    }

    /// Cells from which a row's walk is worth more than one lane or thread's time to the fused
    /// kernels: such rows come first, and their number goes into each call.
    fn long_row(&self) -> usize {
        usize::MAX
    }

    /// The most cells of a row that a fused kernel walks over, where packed rows have so many lanes.
    fn max_row(&self, _lanes: usize) -> u64 {
        u64::MAX
    }

    /// Gives the fused kernels another mapping than the one that suits the device; `None`: that one.
    fn set_mapping(&mut self, _mapping: Option<Mapping>) {}

    /// Whether the fused kernels gather f16.
    fn halves(&self) -> bool {
        false
    }

    /// Whether the fused kernels are faster here than those that they fuse.
    fn fuses(&self) -> bool {
        true
    }

    /// Where its buffers are, and how much more of them it can hold.
    fn memory(&self) -> DeviceMemory {
        DeviceMemory { residence: Residence::Process, available: None }
    }

    /// Bytes that it needs beside the buffers: to move the `largest` of them to the host, and to
    /// play a recording of so many steps.
    fn transfer_bytes(&self, largest: u64, steps: usize) -> u64 {
        let _ = (largest, steps);
        0
    }

    /// A buffer of `len` ≥ 1 zeros.
    ///
    /// `purpose` names it in errors.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) with the bytes asked for.
    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer>;

    /// A buffer that starts with these elements, which may become the buffer itself.
    ///
    /// # Errors
    /// As [`Backend::alloc`] and [`Backend::write`].
    fn adopt(&mut self, purpose: &str, element: Element, words: Vec<u32>) -> Result<Buffer> {
        let buffer = self.alloc(purpose, element, words.len())?;
        self.write(buffer, &words)?;
        Ok(buffer)
    }

    /// As [`Backend::adopt`], where the device may have no room for it: kernels only read it, and it
    /// may stay on the host and be brought in before each dispatch that does, into one of two pages
    /// that all such buffers share. A dispatch reads one of them.
    ///
    /// # Errors
    /// As [`Backend::adopt`].
    fn stream(&mut self, purpose: &str, element: Element, words: Vec<u32>) -> Result<Buffer> {
        self.adopt(purpose, element, words)
    }

    /// Replaces the buffer's elements. `words` has its length.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device is lost.
    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()>;

    /// Copies the buffer's elements out. `words` has its length.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device is lost.
    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()>;

    /// Buffers allocated and not yet released.
    fn allocated(&self) -> u32;

    /// Gives back every buffer but the `first` ones. Handles to them must not be used again.
    fn release(&mut self, first: u32);

    /// Plays a recording, in order. A GPU submits it as one piece, together
    /// with the reads that follow, or as several where it exceeds [`Backend::max_work`].
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device is lost.
    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()>;
}

/// A buffer that starts with these elements.
///
/// # Errors
/// As [`Backend::alloc`] and [`Backend::write`].
pub fn alloc_f32(backend: &mut dyn Backend, purpose: &str, elements: &[f32]) -> Result<Buffer> {
    let buffer = backend.alloc(purpose, Element::F32, elements.len())?;
    backend.write(buffer, bytemuck::cast_slice(elements))?;
    Ok(buffer)
}

/// A buffer that starts with these elements.
///
/// # Errors
/// As [`Backend::alloc`] and [`Backend::write`].
pub fn alloc_u32(backend: &mut dyn Backend, purpose: &str, elements: &[u32]) -> Result<Buffer> {
    let buffer = backend.alloc(purpose, Element::U32, elements.len())?;
    backend.write(buffer, elements)?;
    Ok(buffer)
}

/// The elements of an f32 buffer.
///
/// # Errors
/// As [`Backend::read`].
pub fn read_f32(backend: &mut dyn Backend, buffer: Buffer) -> Result<Vec<f32>> {
    let mut elements = vec![0.0f32; buffer.len()];
    backend.read(buffer, bytemuck::cast_slice_mut(&mut elements))?;
    Ok(elements)
}
