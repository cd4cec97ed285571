//! Sums that processes make together while each goes on with something else.

use std::collections::VecDeque;
use std::panic;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use super::World;
use super::together::{add_along, hand_back};
use crate::error::{Error, Result};

/// Sums under way at most.
const UNDER_WAY: usize = 4;

/// Sets of blocks at most: one is filled while another one is added up.
const SETS: usize = 2;

/// Sums of f32, in the order in which they were begun, each as
/// [`running_sum_into`](super::together::running_sum_into) makes it, with what is to be done with it.
///
/// Two threads make them: one adds this process's blocks to what comes along the chain, the other one
/// passes on what comes back. So while a sum is on its way the chain's first processes begin the next.
#[derive(Debug)]
pub struct Sums<'a, T> {
    world: &'a dyn World,
    jobs: Sender<[Room; 2]>,
    done: Receiver<Room>,
    /// Rooms for blocks that nobody uses.
    blocks: Receiver<Room>,
    /// Rooms for sums that nobody uses.
    sums: Vec<Room>,
    /// What is to be done with those under way.
    tasks: VecDeque<T>,
}

/// Rooms for blocks, and for sums: kept, since fresh memory would be cleared each time.
pub type Rooms = [Vec<Room>; 2];

/// Numbers in a vector that may be longer.
#[derive(Debug, Default)]
pub struct Room {
    numbers: Vec<f32>,
    len: usize,
}

impl Room {
    /// Room for so many numbers, whatever they are.
    pub fn of(&mut self, len: usize) -> &mut [f32] {
        if self.numbers.len() < len {
            self.numbers.resize(len, 0.0);
        }
        self.len = len;
        self.numbers()
    }

    /// As many numbers as it has room for.
    pub fn numbers(&mut self) -> &mut [f32] {
        &mut self.numbers[..self.len]
    }
}

/// Bytes of the rooms for sums of so many numbers at most, and for as many numbers of this process's blocks.
pub fn room_bytes(sum: usize, blocks: usize) -> u64 {
    4 * (UNDER_WAY as u64 * sum as u64 + SETS as u64 * blocks as u64)
}

impl<'a, T> Sums<'a, T> {
    /// Calls a function that has sums made. Those that it does not ask for are lost.
    ///
    /// # Errors
    /// The function's, [`World::send`]'s, or [`Error::OutOfMemory`] if the system refuses threads.
    pub fn with<R>(
        world: &'a dyn World,
        rooms: &mut Rooms,
        function: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        thread::scope(|scope| {
            let ((jobs, coming), (forth, back)) = (channel::<[Room; 2]>(), channel::<Room>());
            let ((end, done), (unused, blocks)) = (channel(), channel());
            rooms[0].resize_with(SETS, Room::default);
            rooms[0].drain(..).for_each(|room| drop(unused.send(room)));
            let mut sums = std::mem::take(&mut rooms[1]);
            sums.resize_with(UNDER_WAY, Room::default);
            // Who finds that nobody listens goes on: why that is so is told where it happened.
            let adds = spawn(scope, "sums", move || {
                for [mut blocks, mut sum] in coming {
                    add_along(world, blocks.numbers(), sum.numbers())?;
                    let _ = (unused.send(blocks), forth.send(sum));
                }
                Ok(())
            })?;
            let returns = spawn(scope, "sums back", move || {
                for mut sum in back {
                    hand_back(world, sum.numbers())?;
                    let _ = end.send(sum);
                }
                Ok(())
            })?;
            let mut all = Self { world, jobs, done, blocks, sums, tasks: VecDeque::new() };
            let result = function(&mut all);
            let Self { jobs, blocks, sums, .. } = all;
            // No more will come.
            drop(jobs);
            world.busy(false);
            [adds, returns].into_iter().try_for_each(joined)?;
            *rooms = [blocks.try_iter().collect(), sums];
            result
        })
    }

    /// Room for so many numbers of this process's blocks, once there is one.
    ///
    /// # Errors
    /// As [`World::send`].
    pub fn room(&mut self, len: usize) -> Result<Room> {
        let mut room = self.awaited(&self.blocks)?;
        room.of(len);
        Ok(room)
    }

    /// The next of these rooms; whoever waits for it has nothing else to do.
    fn awaited(&self, rooms: &Receiver<Room>) -> Result<Room> {
        self.world.busy(false);
        let room = rooms.recv().map_err(gone);
        self.world.busy(!self.tasks.is_empty());
        room
    }

    /// Begins the sum, `[len]`, of all processes' blocks, `[blocks, len]`.
    ///
    /// # Errors
    /// [`Error::Internal`] if too many are [under way](Sums::full); as [`World::send`].
    pub fn begin(&mut self, blocks: Room, len: usize, task: T) -> Result<()> {
        let mut sum = self.sums.pop().ok_or_else(|| Error::Internal("too many sums at a time".to_owned()))?;
        sum.of(len);
        self.tasks.push_back(task);
        self.world.busy(true);
        self.jobs.send([blocks, sum]).map_err(gone)
    }

    /// Whether one must be [ended](Sums::end) before the next is begun.
    pub fn full(&self) -> bool {
        self.sums.is_empty()
    }

    /// What is to be done with those under way.
    pub fn tasks(&self) -> impl Iterator<Item = &T> {
        self.tasks.iter()
    }

    /// Waits for the first of those under way, if there is one, and calls a function with it.
    ///
    /// # Errors
    /// The function's, or as [`World::send`].
    pub fn end(&mut self, function: impl FnOnce(T, &[f32]) -> Result<()>) -> Result<()> {
        let Some(task) = self.tasks.pop_front() else { return Ok(()) };
        let mut sum = self.awaited(&self.done)?;
        function(task, sum.numbers())?;
        self.sums.push(sum);
        Ok(())
    }
}

fn gone<E>(_: E) -> Error {
    Error::Internal("sums are made no more".to_owned())
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    function: impl FnOnce() -> Result<()> + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, Result<()>>> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, function).map_err(|refusal| Error::OutOfMemory {
        what: "no memory for a thread that adds up".to_owned(),
        needed: 2 << 20,
        available: format!("the system refuses it ({refusal})"),
        remedy: "end other programs, or pass a smaller --threads".to_owned(),
    })
}

fn joined(thread: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}

#[cfg(test)]
mod tests;
