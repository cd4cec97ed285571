//! Processes of a job that `mpirun` or `srun` started: what the Message Passing Interface carries.

use std::fmt;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::collective::CommunicatorCollectives;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::point_to_point::{Destination, Source};
use mpi::request::{Request, Scope};
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::Root;

use super::{Beats, Local, PIECE, World};
use crate::error::{Error, Result};

/// This process among those of its job.
///
/// Dropped, it ends MPI, for which it waits for the others. Who ends in an error must not wait for
/// them, but calls [`abort`].
pub struct Mpi {
    process: usize,
    processes: usize,
    local: Local,
    beats: Beats,
    sent: AtomicU64,
    /// Whether this process has work while its messages are under way.
    busy: AtomicBool,
    /// Last, since it ends MPI when it is dropped.
    _universe: Universe,
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of {}", self.process(), self.processes())
    }
}

impl Mpi {
    /// Joins the job; without a launcher, a job of one. Once in a program.
    ///
    /// # Errors
    /// [`Error::Internal`] if it was called before, [`Error::Usage`] if the MPI library does not let
    /// threads call it at once: sums go on while kernels run, and [`abort`] comes from any thread.
    pub fn start() -> Result<Self> {
        let again = || Error::Internal("MPI was started before".to_owned());
        let (universe, threading) = mpi::initialize_with_threading(Threading::Multiple).ok_or_else(again)?;
        if threading != Threading::Multiple {
            return Err(Error::usage(
                format!("this MPI library is for one thread ({threading:?})"),
                "install one that provides MPI_THREAD_MULTIPLE, as Open MPI and MPICH do by default",
            ));
        }
        let world = universe.world();
        let local = local(&world.split_shared(world.rank()));
        Ok(Self {
            process: world.rank() as usize,
            processes: world.size() as usize,
            local,
            beats: Beats::default(),
            sent: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            _universe: universe,
        })
    }

    fn count(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    fn others(&self) -> usize {
        self.processes - 1
    }

    /// Broadcasts pieces, which are not counted.
    fn spread(&self, from: usize, bytes: &mut [u8]) {
        let world = SimpleCommunicator::world();
        let root = world.process_at_rank(rank(from));
        for piece in bytes.chunks_mut(PIECE) {
            root.broadcast_into(piece);
            self.beats.beat();
        }
    }

    /// Sends to one process while it receives from another, piece by piece; nothing is counted.
    fn swap(&self, to: usize, out: &[u8], from: usize, into: &mut [u8]) {
        let world = SimpleCommunicator::world();
        let (to, from) = (world.process_at_rank(rank(to)), world.process_at_rank(rank(from)));
        let (mut outgoing, mut incoming) = (out.chunks(PIECE), into.chunks_mut(PIECE));
        loop {
            let (out, into) = (outgoing.next(), incoming.next());
            if out.is_none() && into.is_none() {
                return;
            }
            mpi::request::scope(|scope| {
                let into = into.map(|piece| from.immediate_receive_into(scope, piece));
                let out = out.map(|piece| to.immediate_send(scope, piece));
                out.into_iter().for_each(|request| wait(&self.busy, request));
                into.into_iter().for_each(|request| wait(&self.busy, request));
            });
            self.beats.beat();
        }
    }

    /// A number of each process.
    fn numbers(&self, mine: u64) -> Vec<u64> {
        let mut all = vec![0_u64; self.processes()];
        SimpleCommunicator::world().all_gather_into(&mine, &mut all[..]);
        self.beats.beat();
        all
    }
}

/// For so long a wait only lets others have the core between two looks: each link of a chain waits for the
/// one before, and a nap takes longer than asked for.
const EAGER: Duration = Duration::from_millis(10);

/// After that it takes naps, and none longer than this.
const LONGEST_NAP: Duration = Duration::from_millis(1);

/// Waits for what was begun, and leaves the core to kernels that run meanwhile and to the processes that are
/// waited for: MPI's own waits keep it busy.
fn wait<'a, D: ?Sized, S: Scope<'a>>(busy: &AtomicBool, mut request: Request<'a, D, S>) {
    let began = Instant::now();
    while let Err(unfinished) = request.test() {
        request = unfinished;
        let waited = began.elapsed();
        if waited < EAGER && !busy.load(Relaxed) {
            thread::yield_now();
        } else {
            thread::sleep((waited / 256).min(LONGEST_NAP));
        }
    }
}

/// A program that panics does not wait for the others.
impl Drop for Mpi {
    fn drop(&mut self) {
        if thread::panicking() {
            abort(1);
        }
    }
}

/// Ends all processes of the job at once, from any thread; launchers exit with this code as far as
/// they pass it on.
pub fn abort(code: u8) -> ! {
    if mpi::environment::is_initialized() && !mpi::environment::is_finalized() {
        SimpleCommunicator::world().abort(code.into());
    }
    process::exit(code.into())
}

/// MPI's number for a process; there are never more than it can count.
fn rank(process: usize) -> i32 {
    i32::try_from(process).unwrap_or(i32::MAX)
}

/// What the processes of this computer share.
fn local(shared: &SimpleCommunicator) -> Local {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mine = affinity();
    let mut all = vec![0_u8; mine.len() * shared.size() as usize];
    shared.all_gather_into(&mine[..], &mut all[..]);
    let affinities: Vec<Vec<u8>> = all.chunks(mine.len()).map(<[u8]>::to_vec).collect();
    Local::new(shared.rank() as usize, &affinities, cores)
}

/// Bits of a set of cores.
const CORES: usize = 1024;

/// The cores on which this process may run, a bit each. Where the system does not tell: all of them.
fn affinity() -> [u8; CORES / 8] {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        let mut bits = [0; CORES / 8];
        for core in (0..CORES.min(rustix::thread::CpuSet::MAX_CPU)).filter(|&core| set.is_set(core)) {
            bits[core / 8] |= 1 << (core % 8);
        }
        return bits;
    }
    [u8::MAX; CORES / 8]
}

impl World for Mpi {
    fn process(&self) -> usize {
        self.process
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn local(&self) -> Local {
        self.local
    }

    fn beats(&self) -> Beats {
        self.beats.clone()
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        self.swap(to, bytes, to, &mut []);
        self.count(bytes.len());
        Ok(())
    }

    fn receive(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        self.swap(from, &[], from, bytes);
        Ok(())
    }

    fn relay(&self, to: usize, bytes: &[u8], from: usize, next: &mut [u8]) -> Result<()> {
        self.swap(to, bytes, from, next);
        self.count(bytes.len());
        Ok(())
    }

    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        self.spread(from, bytes);
        if from == self.process() {
            self.count(bytes.len() * self.others());
        }
        Ok(())
    }

    fn all_gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        let lengths: Vec<usize> = self.numbers(mine.len() as u64).into_iter().map(|n| n as usize).collect();
        self.count(mine.len() * self.others());
        let total: usize = lengths.iter().sum();
        if total > PIECE {
            // No count may exceed 32 bits: one after the other, in pieces.
            let mut all = Vec::with_capacity(lengths.len());
            for (from, &length) in lengths.iter().enumerate() {
                let mut bytes = if from == self.process() { mine.to_vec() } else { vec![0; length] };
                self.spread(from, &mut bytes);
                all.push(bytes);
            }
            return Ok(all);
        }
        if total == 0 {
            // Open MPI takes two slices of nothing, which stand at one address, for one buffer.
            return Ok(vec![Vec::new(); lengths.len()]);
        }
        let counts: Vec<i32> = lengths.iter().map(|&length| length as i32).collect();
        let places: Vec<i32> = starts(&lengths).into_iter().map(|place| place as i32).collect();
        let mut bytes = vec![0; total];
        // The address of nothing is 1 in Rust, which to Open MPI says that the data are in place.
        let mine = if mine.is_empty() { &NOTHING[..0] } else { mine };
        let mut parts = PartitionMut::new(&mut bytes[..], &counts[..], &places[..]);
        SimpleCommunicator::world().all_gather_varcount_into(mine, &mut parts);
        self.beats.beat();
        let all = starts(&lengths).into_iter().zip(&lengths);
        Ok(all.map(|(start, &length)| bytes[start..start + length].to_vec()).collect())
    }

    fn exchange(&self, mut parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let (me, processes) = (self.process(), self.processes());
        if parts.len() != processes {
            return Err(Error::Internal(format!("{} parts for {processes} processes", parts.len())));
        }
        let lengths: Vec<u64> = parts.iter().map(|part| part.len() as u64).collect();
        let mut coming = vec![0_u64; processes];
        SimpleCommunicator::world().all_to_all_into(&lengths[..], &mut coming[..]);
        self.beats.beat();
        let mut came: Vec<Vec<u8>> = vec![Vec::new(); processes];
        came[me] = std::mem::take(&mut parts[me]);
        // In step: everyone sends to the one so many places on, and hears of the one as many before.
        for step in 1..processes {
            let (to, from) = ((me + step) % processes, (me + processes - step) % processes);
            let (part, mut bytes) = (std::mem::take(&mut parts[to]), vec![0; coming[from] as usize]);
            self.count(part.len());
            self.swap(to, &part, from, &mut bytes);
            came[from] = bytes;
        }
        Ok(came)
    }

    fn busy(&self, busy: bool) {
        self.busy.store(busy, Relaxed);
    }

    fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

/// A place for no bytes.
static NOTHING: [u8; 1] = [0];

/// Where each part begins.
fn starts(lengths: &[usize]) -> Vec<usize> {
    let mut places = Vec::with_capacity(lengths.len());
    let mut at = 0;
    for length in lengths {
        places.push(at);
        at += length;
    }
    places
}
