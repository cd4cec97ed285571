//! The GPU backend: Vulkan, Metal or DX12 through wgpu.
//!
//! A recording is encoded as one compute pass and submitted together with the
//! reads that follow it, or when the next recording comes: one submit an epoch.
//! What would keep the device busy for long is cut into several, since systems
//! reset a GPU that does nothing else for seconds.

mod device;
mod limits;
mod pipeline;

use std::collections::VecDeque;
use std::ops::Range;

pub use device::{GpuOptions, enumerate};

use self::device::Device;
use self::pipeline::Pipelines;
use super::{Backend, Buffer};
use crate::error::{Error, Result};
use crate::kernel::template::{Mapping, Rows, Variant};
use crate::kernel::{Dispatch, Element};

/// Submissions that may wait on the device before the host waits for the oldest.
const IN_FLIGHT: usize = 3;

/// Runs kernels' WGSL on an adapter.
#[derive(Debug)]
pub struct GpuBackend {
    device: Device,
    pipelines: Pipelines,
    buffers: Vec<wgpu::Buffer>,
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
        let bytes = len as u64 * 4;
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
        let id = u32::try_from(self.buffers.len()).map_err(|_| Error::Internal("too many buffers".into()))?;
        let usages =
            wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let buffer = self.device.buffer(purpose, bytes, usages)?;
        self.buffers.push(buffer);
        Ok(Buffer { id, len, element })
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        if words.len() != buffer.len {
            return Err(Error::Internal(format!("{} words for a buffer of {}", words.len(), buffer.len)));
        }
        // A queued write takes effect before the open commands: those go first.
        self.flush()?;
        let target = self.buffer(buffer)?;
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

    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        if words.len() != buffer.len {
            return Err(Error::Internal(format!("{} words for a buffer of {}", words.len(), buffer.len)));
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
        for buffer in self.buffers.drain((first as usize).min(self.buffers.len())..) {
            self.device.let_go(&buffer);
        }
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
        for steps in cut(recording, self.device.max_work) {
            // What was cut off before goes to the device; the last piece stays open.
            self.flush()?;
            let params = self.pipelines.params_group();
            self.open = Some(self.device.checked("encode", |d| {
                let mut encoder = d.encoder();
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for (i, (step, (x, y))) in steps.clone().zip(&ready[steps]) {
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
}

/// Cuts a recording into pieces of at most `most` work each, a submission each: as few as can
/// be, and none without a step.
fn cut(recording: &[Dispatch], most: u64) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut first, mut sum) = (0, 0u64);
    for (i, step) in recording.iter().enumerate() {
        sum = sum.saturating_add(step.work());
        if sum > most && i > first {
            pieces.push(first..i);
            (first, sum) = (i, step.work());
        }
    }
    pieces.push(first..recording.len());
    pieces
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
