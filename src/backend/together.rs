//! A device of a process among several that train together: dispatches that add up over all of
//! them do so.

mod trial;

use self::trial::Trial;
use super::{Backend, Buffer, DeviceMemory};
use crate::error::Result;
use crate::kernel::template::Mapping;
use crate::kernel::{Dispatch, Element, Exchange};
use crate::world::World;
use crate::world::sums::{Room, Rooms, Sums, room_bytes};
use crate::world::together::running_sum_into;

/// A process's own device, and the other processes.
///
/// All play the same recordings, each on its own device; where a dispatch has an [`Exchange`], they
/// wait for each other: for a sum when something needs it, and dispatches that don't are played meanwhile.
#[derive(Debug)]
pub struct Together<'a> {
    device: &'a mut dyn Backend,
    world: &'a dyn World,
    rooms: Rooms,
    /// Room for the blocks and for the sum of those that are waited for.
    room: [Room; 2],
    /// Whether sums are faster waited for than made meanwhile: that depends on the network, and on whether
    /// there are cores to spare.
    trial: Trial,
}

/// Bytes that the host needs for the exchanges of a recording, about.
pub(crate) fn exchange_bytes(recording: &[Dispatch]) -> u64 {
    let (mut sums, mut gathers) = (0, 0);
    for exchange in recording.iter().filter_map(Dispatch::exchange) {
        match exchange {
            // A room of either kind is for those that are waited for.
            Exchange::Sum { parts, sum, .. } => {
                sums = sums.max(room_bytes(sum.len(), parts.len()) + 4 * (sum.len() + parts.len()) as u64);
            }
            // As they are here, as they come, and cut up by whom they came from.
            Exchange::Gather { buffer, .. } => gathers = gathers.max(12 * buffer.len() as u64),
        }
    }
    sums + gathers
}

/// What a sum is for: the buffer that receives it, and what is played then.
type Awaited<'a> = (Buffer, &'a Dispatch);

// `Backend` is no `Debug`, and its name says enough.
impl std::fmt::Debug for dyn Backend + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.describe())
    }
}

impl<'a> Together<'a> {
    /// This process's device, in its world.
    pub fn new(device: &'a mut dyn Backend, world: &'a dyn World) -> Self {
        Self { device, world, rooms: Rooms::default(), room: Default::default(), trial: Trial::default() }
    }

    /// Plays a recording, while the sums that something else can be done with meanwhile are made, if any.
    fn play<'b>(
        &mut self,
        recording: &'b [Dispatch],
        mut sums: Option<&mut Sums<'_, Awaited<'b>>>,
    ) -> Result<()> {
        // What needs nobody else is played in one go.
        let mut played = 0;
        for (number, step) in recording.iter().enumerate() {
            let waits = sums.as_deref().is_some_and(|sums| sums.tasks().any(|(_, place)| touch(place, step)));
            if step.exchange().is_none() && !waits {
                continue;
            }
            self.device.dispatch(&recording[played..number])?;
            played = number;
            match (step.exchange(), sums.as_deref_mut()) {
                // In its turn behind those under way, of which it needs none.
                (Some(Exchange::Sum { parts, sum, place }), Some(sums))
                    if sums.tasks().next().is_some() || hides(self.world, recording, number).is_some() =>
                {
                    debug_assert!(!sums.tasks().any(|(_, place)| place.buffers().contains(parts)));
                    while sums.full() {
                        self.end(sums)?;
                    }
                    let mut room = sums.room(parts.len())?;
                    self.device.read(*parts, bytemuck::cast_slice_mut(room.numbers()))?;
                    sums.begin(room, sum.len(), (*sum, place))?;
                    played = number + 1;
                }
                // It needs what those are for, or the other processes.
                (exchange, sums) => {
                    if let Some(sums) = sums {
                        self.end_all(sums)?;
                    }
                    if let Some(exchange) = exchange {
                        self.exchange(step, exchange)?;
                        played = number + 1;
                    }
                }
            }
        }
        self.device.dispatch(&recording[played..])?;
        sums.map_or(Ok(()), |sums| self.end_all(sums))
    }

    /// Waits for the first sum under way, and plays what it is for.
    fn end(&mut self, sums: &mut Sums<'_, Awaited<'_>>) -> Result<()> {
        sums.end(|(buffer, place), sum| {
            self.device.write(buffer, bytemuck::cast_slice(sum))?;
            self.device.dispatch(std::slice::from_ref(place))
        })
    }

    fn end_all(&mut self, sums: &mut Sums<'_, Awaited<'_>>) -> Result<()> {
        while sums.tasks().next().is_some() {
            self.end(sums)?;
        }
        Ok(())
    }

    /// Exchanges and waits for it.
    fn exchange(&mut self, dispatch: &Dispatch, exchange: &Exchange) -> Result<()> {
        match exchange {
            Exchange::Sum { parts, sum, place } => {
                let [own, all] = &mut self.room;
                let (own, all) = (own.of(parts.len()), all.of(sum.len()));
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
        if self.world.processes() == 1 || recording.iter().all(|step| step.exchange().is_none()) {
            return self.device.dispatch(recording);
        }
        let hidden: usize =
            (0..recording.len()).filter_map(|number| hides(self.world, recording, number)).sum();
        if hidden == 0 {
            return self.play(recording, None);
        }
        // Sums are as long when few factors are gathered as when all are.
        let summed = recording.iter().filter(|step| step.exchange().is_some());
        let kind = (hidden, summed.map(Dispatch::work).sum());
        let mut trial = std::mem::take(&mut self.trial);
        let played = trial.run(kind, |hide| {
            if !hide {
                return self.play(recording, None);
            }
            let mut rooms = std::mem::take(&mut self.rooms);
            let played = Sums::with(self.world, &mut rooms, |sums| self.play(recording, Some(sums)));
            self.rooms = rooms;
            played
        });
        self.trial = trial;
        played
    }
}

/// Whether a step reads or writes what another one does.
fn touch(one: &Dispatch, other: &Dispatch) -> bool {
    one.buffers().iter().any(|one| other.buffers().iter().any(|other| one.id() == other.id()))
}

/// The numbers of a step's sum, if it is worth making it meanwhile and something can be played meanwhile.
fn hides(world: &dyn World, recording: &[Dispatch], number: usize) -> Option<usize> {
    match (recording[number].exchange(), recording.get(number + 1)) {
        (Some(Exchange::Sum { sum, place, .. }), Some(next)) => {
            let free = next.exchange().is_none() && !touch(place, next);
            (free && 4 * sum.len() >= world.worth_hiding()).then_some(sum.len())
        }
        _ => None,
    }
}
