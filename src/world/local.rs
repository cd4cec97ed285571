//! The processes of one computer, which share its cores and its adapters.

/// A process among those of its computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Its number among them, from 0.
    pub process: usize,
    /// How many they are, at least 1.
    pub processes: usize,
    /// The threads that are its share of the cores; `None`: whatever the system says.
    pub threads: Option<usize>,
}

/// A process that has its computer for itself.
impl Default for Local {
    fn default() -> Self {
        Self { process: 0, processes: 1, threads: None }
    }
}

impl Local {
    /// The share of `cores` cores that process `process` has, where `affinities`,
    /// `[processes]`, are the sets of cores on which each process of the computer may run, a bit a core.
    ///
    /// A launcher may have bound each process to cores of its own, which then are its alone. Cores that
    /// several may run on are divided among these.
    pub fn new(process: usize, affinities: &[Vec<u8>], cores: usize) -> Self {
        let mine = affinities.get(process).map_or(&[][..], Vec::as_slice);
        let meets = |other: &Vec<u8>| mine.iter().zip(other).any(|(a, b)| a & b != 0);
        let sharers: Vec<usize> =
            (0..affinities.len()).filter(|&other| other == process || meets(&affinities[other])).collect();
        let place = sharers.iter().position(|&sharer| sharer == process).unwrap_or(0);
        // Everyone's shares are all cores, where there are enough.
        let until = |place: usize| cores * place / sharers.len().max(1);
        let threads = (until(place + 1) - until(place)).max(1);
        Self { process, processes: affinities.len().max(1), threads: Some(threads) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(affinities: &[u8], cores: impl Fn(usize) -> usize) -> Vec<usize> {
        let sets: Vec<Vec<u8>> = affinities.iter().map(|&set| vec![0, set]).collect();
        (0..sets.len()).map(|process| Local::new(process, &sets, cores(process)).threads.unwrap()).collect()
    }

    #[test]
    fn shared_cores_are_divided_and_bound_ones_are_not() {
        assert_eq!(threads(&[0b1111; 4], |_| 4), [1, 1, 1, 1]);
        assert_eq!(threads(&[0b1111; 3], |_| 4), [1, 1, 2]);
        assert_eq!(threads(&[0b1111], |_| 4), [4]);
        assert_eq!(threads(&[0b1111; 5], |_| 4), [1; 5]);
        assert_eq!(threads(&[0b0001, 0b0010], |_| 1), [1, 1]);
        assert_eq!(threads(&[0b0011, 0b1100], |_| 2), [2, 2]);
        // Two on either half, as with a process a socket.
        assert_eq!(threads(&[0b0011, 0b1100, 0b0011, 0b1100], |_| 2), [1, 1, 1, 1]);
    }

    #[test]
    fn cores_that_are_not_known_are_one_s_own() {
        let local = Local::new(1, &[vec![], vec![], vec![]], 6);
        assert_eq!(local, Local { process: 1, processes: 3, threads: Some(6) });
        assert_eq!(Local::default().processes, 1);
    }
}
