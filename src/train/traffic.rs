//! What processes that train together tell each other in an epoch.

use crate::kernel::{Dispatch, Exchange};

/// The bytes of an epoch between processes.
///
/// A sum of n numbers goes along the chain of processes, 4n bytes from each to the next, and back
/// the same way: in pieces, so that with P processes it takes about as long as to send 8n bytes once. What is
/// gathered goes from each process to all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Processes.
    pub processes: usize,
    /// Bytes that they send, all together.
    pub bytes: u64,
    /// Bytes that one of them sends or receives at most: what its network has to carry, each way.
    pub link: u64,
    /// Bytes that one gathers from its device's memory meanwhile, about.
    pub gathered: u64,
    /// Times that they wait for each other.
    pub exchanges: u64,
}

impl Traffic {
    /// The traffic of a recorded epoch, and of what the host loop asks after it where it saves nothing.
    pub(super) fn of(recording: &[Dispatch], processes: usize) -> Self {
        let others = processes.saturating_sub(1) as u64;
        let mut all = Self { processes, ..Self::default() };
        for dispatch in recording {
            all.gathered = all.gathered.saturating_add(dispatch.work());
            match dispatch.exchange() {
                None => {}
                Some(Exchange::Sum { sum, .. }) => {
                    let bytes = 4 * sum.len() as u64;
                    all.add(2 * bytes * others, 2 * bytes);
                }
                Some(Exchange::Gather { bounds, .. }) => {
                    let (first, last) = (bounds.first().copied(), bounds.last().copied());
                    let bytes = 4 * (last.unwrap_or(0) - first.unwrap_or(0)) as u64;
                    all.add(bytes * others, bytes);
                }
            }
        }
        // Whether to stop, which signal there was.
        all.add(8 * others, 8);
        all.add(processes as u64 * others, others);
        all
    }

    fn add(&mut self, bytes: u64, link: u64) {
        self.bytes += bytes;
        self.link += link;
        self.exchanges += 1;
    }

    /// Seconds of an epoch that a network of so many bits a second takes, if nothing else does.
    pub fn seconds(&self, bits: f64) -> f64 {
        if self.processes > 1 { 8.0 * self.link as f64 / bits } else { 0.0 }
    }

    /// Bytes a second that a device gathers if its epoch takes as long as that network's part.
    pub fn even(&self, bits: f64) -> f64 {
        self.gathered as f64 / self.seconds(bits)
    }
}
