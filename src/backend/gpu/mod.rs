//! The GPU backend: Vulkan, Metal or DX12 through wgpu.
//!
//! A recording is encoded as one compute pass and submitted together with the
//! reads that follow it, or when the next recording comes: one submit an epoch.
//! What would keep the device busy for long is cut into several, since systems
//! reset a GPU that does nothing else for seconds.

mod device;
mod limits;
mod pages;
mod pipeline;

use std::collections::VecDeque;

pub use device::{GpuOptions, enumerate};

use self::device::Device;
use self::pages::{Pages, Piece};
use self::pipeline::{Pipelines, Ready};
use super::{Backend, Buffer, DeviceMemory};
use crate::error::{Error, Result};
use crate::kernel::template::{Mapping, Rows, Variant};
use crate::kernel::{Dispatch, Element};

/// Submissions that may wait on the device before the host waits for the oldest.
const IN_FLIGHT: usize = 3;

/// What every buffer is for.
const USAGES: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST).union(wgpu::BufferUsages::COPY_SRC);

/// Runs kernels' WGSL on an adapter.
#[derive(Debug)]
pub struct GpuBackend {
    device: Device,
    pipelines: Pipelines,
    /// By number; of what stays on the host, its page.
    buffers: Vec<wgpu::Buffer>,
    pages: Pages,
    /// Commands that are recorded and not yet submitted.
    open: Option<wgpu::CommandEncoder>,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    staging: Option<wgpu::Buffer>,
    submissions: u64,
    /// How lanes share the rows of a fused kernel.
    mapping: Mapping,
}

impl GpuBackend {
    /// Opens an adapter.
    ///
    /// # Errors
    /// [`Error::Device`] with the driver's reason.
    pub fn new(adapter: &wgpu::Adapter, options: &GpuOptions) -> Result<Self> {
        let device = Device::open(adapter, options)?;
        let pipelines = Pipelines::new(&device)?;
        Ok(Self {
            mapping: device.mapping,
            device,
            pipelines,
            buffers: Vec::new(),
            pages: Pages::default(),
            open: None,
            in_flight: VecDeque::new(),
            staging: None,
            submissions: 0,
        })
    }

    /// Command submissions so far: one an epoch is the aim, where that is not too much at once.
    pub fn submissions(&self) -> u64 {
        self.submissions
    }

    /// Loses the device, as a driver's reset does: for tests.
    #[doc(hidden)]
    pub fn lose_device(&self) {
        self.device.device.destroy();
        // The loss is told once the queue is empty.
        let _ = self.device.wait(None);
    }

    /// Submits the open commands, and waits while too many are in flight.
    fn flush(&mut self) -> Result<()> {
        let Some(encoder) = self.open.take() else { return Ok(()) };
        let index = self.device.checked("submit", |d| d.queue.submit([encoder.finish()]))?;
        self.submissions += 1;
        self.in_flight.push_back(index);
        while self.in_flight.len() > IN_FLIGHT {
            let oldest = self.in_flight.pop_front();
            self.device.wait(oldest)?;
        }
        Ok(())
    }

    fn staging(&mut self, bytes: u64) -> Result<wgpu::Buffer> {
        if let Some(buffer) = self.staging.as_ref().filter(|b| b.size() >= bytes) {
            return Ok(buffer.clone());
        }
        self.forget_staging();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let buffer = self.device.buffer("staging", bytes, usage)?;
        self.staging = Some(buffer.clone());
        Ok(buffer)
    }

    fn forget_staging(&mut self) {
        if let Some(buffer) = self.staging.take() {
            self.device.let_go(&buffer);
        }
    }

    /// Copies one piece of a buffer out, submitting whatever is recorded before it.
    fn read_piece(&mut self, source: &wgpu::Buffer, offset: u64, words: &mut [u32]) -> Result<()> {
        let bytes = words.len() as u64 * 4;
        let staging = self.staging(bytes)?;
        let open = self.open.take();
        self.open = Some(self.device.checked("read", |d| {
            let mut encoder = open.unwrap_or_else(|| d.encoder());
            encoder.copy_buffer_to_buffer(source, offset, &staging, 0, bytes);
            encoder
        })?);
        self.flush()?;
        let (sender, receiver) = std::sync::mpsc::channel();
        self.device.checked("map", |_| {
            staging.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
                // The receiver waits below; if it is gone, nobody needs the answer.
                let _ = sender.send(result);
            });
        })?;
        self.device.wait(None)?;
        self.in_flight.clear();
        let mapped = receiver.try_recv().map_err(|_| self.device.failed("a read never completed"))?;
        mapped.map_err(|e| self.device.failed(&format!("a read failed: {e}")))?;
        let copied = self.device.checked("read", |_| {
            let view = staging.slice(..bytes).get_mapped_range()?;
            bytemuck::cast_slice_mut::<u32, u8>(words).copy_from_slice(&view);
            drop(view);
            staging.unmap();
            Ok(())
        })?;
        copied.map_err(|e: wgpu::MapRangeError| self.device.failed(&format!("a read failed: {e}")))
    }

    /// Writes a buffer from its beginning on, before whatever is submitted next.
    fn upload(&self, target: &wgpu::Buffer, words: &[u32]) -> Result<()> {
        // wgpu keeps a queued write in memory of its own until it is submitted.
        let piece = (self.device.staging_bytes / 4) as usize;
        for (i, part) in words.chunks(piece).enumerate() {
            let offset = (i * piece * 4) as u64;
            let index = self.device.checked("write", |d| {
                d.queue.write_buffer(target, offset, bytemuck::cast_slice(part));
                (words.len() > piece).then(|| d.queue.submit([]))
            })?;
            if index.is_some() {
                self.device.wait(index)?;
            }
        }
        Ok(())
    }

    /// The number of a buffer that is asked for.
    fn next_id(&self, purpose: &str, len: usize) -> Result<u32> {
        if len == 0 {
            return Err(Error::Internal(format!("an empty buffer for {purpose}")));
        }
        if len as u64 * 4 > self.device.max_buffer_bytes {
            return Err(Error::OutOfMemory {
                what: format!("no buffer can hold {purpose}"),
                needed: len as u64 * 4,
                available: format!("{} a buffer", self.device.max_buffer_bytes),
                remedy: "pass a smaller --rank, or --device cpu without --max-buffer-bytes".to_owned(),
            });
        }
        u32::try_from(self.buffers.len()).map_err(|_| Error::Internal("too many buffers".into()))
    }

    /// Brings streamed buffers into their pages.
    fn load(&mut self, ids: &[u32]) -> Result<()> {
        for &id in ids {
            let Some((words, page)) = self.pages.words(id).zip(self.buffers.get(id as usize)) else {
                return Err(Error::Internal(format!("buffer {id} was released")));
            };
            self.upload(page, words)?;
        }
        Ok(())
    }

    /// Encodes steps, piece by piece; the last piece stays open.
    fn play(&mut self, pieces: &[Piece], ready: &[(Ready, (u32, u32))]) -> Result<()> {
        let stride = self.device.uniform_stride;
        for Piece { steps, loads } in pieces {
            // What was cut off before goes to the device; the last piece stays open.
            self.flush()?;
            self.load(loads)?;
            let params = self.pipelines.params_group();
            self.open = Some(self.device.checked("encode", |d| {
                let mut encoder = d.encoder();
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for (i, (step, (x, y))) in steps.clone().zip(&ready[steps.clone()]) {
                    if *x == 0 {
                        continue;
                    }
                    pass.set_pipeline(&step.pipeline);
                    pass.set_bind_group(0, params, &[(i * stride) as u32]);
                    pass.set_bind_group(1, &step.buffers, &[]);
                    pass.dispatch_workgroups(*x, *y, 1);
                }
                drop(pass);
                encoder
            })?);
        }
        Ok(())
    }

    /// What a kernel's template is filled in for.
    fn variant(&self, rows: &Rows) -> Variant {
        let wide = if self.device.subgroups { Mapping::Lanes } else { Mapping::SharedLanes };
        Variant::new(self.mapping, wide, self.device.max_invocations, rows)
    }

    /// The device's buffer behind a handle.
    fn buffer(&self, buffer: Buffer) -> Result<&wgpu::Buffer> {
        find(&self.buffers, buffer)
    }
}

/// The buffer behind a handle.
fn find(buffers: &[wgpu::Buffer], buffer: Buffer) -> Result<&wgpu::Buffer> {
    buffers
        .get(buffer.id as usize)
        .ok_or_else(|| Error::Internal(format!("buffer {} was released", buffer.id)))
}

impl Backend for GpuBackend {
    fn describe(&self) -> &str {
        &self.device.description
    }

    fn max_buffer_bytes(&self) -> u64 {
        self.device.max_buffer_bytes
    }

    fn max_loop(&self) -> u64 {
        self.device.max_loop
    }

    fn max_work(&self) -> u64 {
        self.device.max_work
    }

    fn memory(&self) -> DeviceMemory {
        self.device.memory()
    }

    fn transfer_bytes(&self, largest: u64, steps: usize) -> u64 {
        let params = (steps * self.device.uniform_stride).next_power_of_two() as u64;
        // Twice: where it grows, the old one goes after the new one came.
        largest.min(self.device.staging_bytes) + 2 * params
    }

    fn long_row(&self) -> usize {
        self.mapping.long_row()
    }

    fn max_row(&self, lanes: usize) -> u64 {
        // Those of a dispatch fit 32 bits.
        let lanes = u32::try_from(lanes).unwrap_or(u32::MAX);
        let rows = Rows { count: 0, long: 0, lanes, spread: true, half: false };
        limits::max_row(self.device.max_loop, self.variant(&rows).groups())
    }

    fn set_mapping(&mut self, mapping: Option<Mapping>) {
        self.mapping = match mapping {
            None => self.device.mapping,
            Some(Mapping::Lanes) if !self.device.subgroups => Mapping::SharedLanes,
            Some(mapping) => mapping,
        };
    }

    fn halves(&self) -> bool {
        self.device.halves
    }

    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        let id = self.next_id(purpose, len)?;
        let buffer = self.device.buffer(purpose, len as u64 * 4, USAGES)?;
        self.buffers.push(buffer);
        Ok(Buffer { id, len, element })
    }

    fn stream(&mut self, purpose: &str, element: Element, words: Vec<u32>) -> Result<Buffer> {
        let len = words.len();
        let id = self.next_id(purpose, len)?;
        let (page, outgrown) = self.pages.keep(id, purpose, words, &self.device, USAGES)?;
        for &id in &outgrown {
            self.buffers[id as usize] = page.clone();
        }
        if let Some(&first) = outgrown.iter().min() {
            self.pipelines.forget(first);
        }
        self.buffers.push(page);
        Ok(Buffer { id, len, element })
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        if words.len() != buffer.len {
            return Err(Error::Internal(format!("{} words for a buffer of {}", words.len(), buffer.len)));
        }
        if self.pages.holds(buffer.id) {
            return Err(Error::Internal(format!("buffer {} is streamed: nobody writes it", buffer.id)));
        }
        // A queued write takes effect before the open commands: those go first.
        self.flush()?;
        self.upload(self.buffer(buffer)?, words)
    }

    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        if words.len() != buffer.len {
            return Err(Error::Internal(format!("{} words for a buffer of {}", words.len(), buffer.len)));
        }
        if let Some(held) = self.pages.words(buffer.id) {
            words.copy_from_slice(held);
            return Ok(());
        }
        let source = self.buffer(buffer)?.clone();
        let piece = (self.device.staging_bytes / 4) as usize;
        for (i, part) in words.chunks_mut(piece).enumerate() {
            self.read_piece(&source, (i * piece * 4) as u64, part)?;
        }
        Ok(())
    }

    fn allocated(&self) -> u32 {
        self.buffers.len() as u32 // fits: it numbers them
    }

    fn release(&mut self, first: u32) {
        // What is in flight keeps its buffers until it is done.
        let kept = (first as usize).min(self.buffers.len());
        for (id, buffer) in self.buffers.drain(kept..).enumerate() {
            if !self.pages.holds((kept + id) as u32) {
                self.device.let_go(&buffer);
            }
        }
        self.pages.release(first, &self.device);
        self.pipelines.forget(first);
    }

    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        if recording.is_empty() {
            return Ok(());
        }
        self.flush()?;
        // Every step's parameters go into one uniform buffer, at aligned offsets.
        let stride = self.device.uniform_stride;
        let mut params = vec![0u8; recording.len() * stride];
        for (slot, step) in params.chunks_mut(stride).zip(recording) {
            slot[..step.params().len()].copy_from_slice(step.params());
        }
        self.pipelines.write_params(&self.device, &params)?;
        let mut ready = Vec::with_capacity(recording.len());
        for step in recording {
            let variant = step.rows().map(|rows| self.variant(rows));
            let workgroups = match (variant, step.rows()) {
                (Some(variant), Some(rows)) => variant.workgroups(rows),
                _ => step.workgroups(),
            };
            let grid = grid(workgroups, self.device.max_workgroups)
                .ok_or_else(|| Error::Internal(format!("{}: grid too large", step.kernel().name)))?;
            ready.push((self.pipelines.prepare(&self.device, step, variant, &self.buffers)?, grid));
        }
        let pieces = self.pages.cut(recording, self.device.max_work);
        let played = self.play(&pieces, &ready);
        if played.is_err() {
            // Nobody knows what was brought in.
            self.pages.forget();
        }
        played
    }
}

/// Spreads workgroups over two dimensions of at most `max` each: `x·y ≥ workgroups`.
fn grid(workgroups: u32, max: u32) -> Option<(u32, u32)> {
    if workgroups <= max {
        return Some((workgroups, 1));
    }
    let y = workgroups.div_ceil(max);
    (y <= max).then(|| (workgroups.div_ceil(y), y))
}

#[cfg(test)]
mod tests {
    use super::grid;

    #[test]
    fn a_grid_covers_every_workgroup_within_the_limit() {
        for max in [1u32, 2, 7, 65_535] {
            for workgroups in [0u32, 1, 2, 3, 4, 6, 7, 8, 48, 49, 50, 65_535, 65_536, 1_000_000, u32::MAX] {
                match grid(workgroups, max) {
                    Some((x, y)) => {
                        assert!(x <= max && y <= max, "{workgroups} within {max}");
                        assert!(u64::from(x) * u64::from(y) >= u64::from(workgroups));
                    }
                    None => assert!(u64::from(workgroups) > u64::from(max) * u64::from(max)),
                }
            }
        }
    }
}
