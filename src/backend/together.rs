//! A device of a process among several that train together: dispatches that add up over all of
//! them do so.

use super::{Backend, Buffer, DeviceMemory};
use crate::error::Result;
use crate::kernel::template::Mapping;
use crate::kernel::{Dispatch, Element, Exchange};
use crate::world::World;
use crate::world::together::running_sum_into;

/// A process's own device, and the other processes.
///
/// All play the same recordings, each on its own device; where a dispatch has an [`Exchange`], they
/// wait for each other.
#[derive(Debug)]
pub struct Together<'a> {
    device: &'a mut dyn Backend,
    world: &'a dyn World,
    /// Room for parts and for their sum, which is kept: fresh memory would be cleared each time.
    room: [Vec<f32>; 2],
}

/// The first elements of a vector that may have to grow.
fn first(room: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if room.len() < len {
        room.resize(len, 0.0);
    }
    &mut room[..len]
}

// `Backend` is no `Debug`, and its name says enough.
impl std::fmt::Debug for dyn Backend + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.describe())
    }
}

impl<'a> Together<'a> {
    /// This process's device, in its world.
    pub fn new(device: &'a mut dyn Backend, world: &'a dyn World) -> Self {
        Self { device, world, room: [Vec::new(), Vec::new()] }
    }

    fn exchange(&mut self, dispatch: &Dispatch, exchange: &Exchange) -> Result<()> {
        match exchange {
            Exchange::Sum { .. } if self.world.processes() == 1 => {
                self.device.dispatch(std::slice::from_ref(dispatch))
            }
            Exchange::Sum { parts, sum, place } => {
                let [own, all] = &mut self.room;
                let (own, all) = (first(own, parts.len()), first(all, sum.len()));
                self.device.read(*parts, bytemuck::cast_slice_mut(own))?;
                running_sum_into(self.world, own, all)?;
                self.device.write(*sum, bytemuck::cast_slice(all))?;
                self.device.dispatch(std::slice::from_ref(place))
            }
            Exchange::Gather { buffer, bounds } => {
                self.device.dispatch(std::slice::from_ref(dispatch))?;
                self.gather(*buffer, bounds)
            }
        }
    }

    fn gather(&mut self, buffer: Buffer, bounds: &[usize]) -> Result<()> {
        if self.world.processes() == 1 {
            return Ok(());
        }
        let mut words = vec![0u32; buffer.len()];
        self.device.read(buffer, &mut words)?;
        let own = bounds[self.world.process()]..bounds[self.world.process() + 1];
        let all = self.world.all_gather(bytemuck::cast_slice(&words[own]))?;
        for (bounds, part) in bounds.windows(2).zip(&all) {
            bytemuck::cast_slice_mut(&mut words[bounds[0]..bounds[1]]).copy_from_slice(part);
        }
        self.device.write(buffer, &words)
    }
}

impl Backend for Together<'_> {
    fn describe(&self) -> &str {
        self.device.describe()
    }

    fn world(&self) -> &dyn World {
        self.world
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

    fn set_mapping(&mut self, mapping: Option<Mapping>) {
        self.device.set_mapping(mapping);
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
        self.device.alloc(purpose, element, len)
    }

    fn adopt(&mut self, purpose: &str, element: Element, words: Vec<u32>) -> Result<Buffer> {
        self.device.adopt(purpose, element, words)
    }

    fn stream(&mut self, purpose: &str, element: Element, words: Vec<u32>) -> Result<Buffer> {
        self.device.stream(purpose, element, words)
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        self.device.write(buffer, words)
    }

    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        self.device.read(buffer, words)
    }

    fn allocated(&self) -> u32 {
        self.device.allocated()
    }

    fn release(&mut self, first: u32) {
        self.device.release(first);
    }

    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        // What needs nobody else is played in one go.
        for steps in recording.chunk_by(|a, b| a.exchange().is_none() && b.exchange().is_none()) {
            match steps {
                [step] if let Some(exchange) = step.exchange() => self.exchange(step, exchange)?,
                _ => self.device.dispatch(steps)?,
            }
        }
        Ok(())
    }
}
