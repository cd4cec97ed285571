//! Numbers that begin where a cache line does.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

/// What a cache loads at once, and the widest vector. A vector that lies in two lines takes two loads, and an
/// allocator's large blocks begin just behind a boundary, so that there all of them would.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Lines that are worth a thread of their own: 64 KiB, 16 pages.
const MIN_LINES: usize = 1 << 10;

/// Elements of a fixed number, from a cache line's begin on.
pub(crate) struct Aligned<T> {
    lines: Box<[Line]>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Aligned<T> {
    /// So many zeros; `None` if the system has no memory for them. All threads write them, since pages that
    /// are touched for the first time take the system longer than anything that is done with them.
    pub(crate) fn try_zeros(len: usize) -> Option<Self> {
        let count = len.checked_mul(size_of::<T>())?.div_ceil(size_of::<Line>());
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        let zeros = (0..count).into_par_iter().with_min_len(MIN_LINES).map(|_| Line::zeroed());
        zeros.collect_into_vec(&mut lines);
        Some(Self { lines: lines.into_boxed_slice(), len, element: PhantomData })
    }
}

impl Aligned<f32> {
    /// So many zeros: a few rows' worth, for which there is memory.
    pub(crate) fn zeros(len: usize) -> Self {
        let lines = vec![Line::zeroed(); (4 * len).div_ceil(size_of::<Line>())];
        Self { lines: lines.into_boxed_slice(), len, element: PhantomData }
    }
}

impl<T: Pod> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl<T: Pod> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl<T> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        Self { lines: self.lines.clone(), ..*self }
    }
}

impl<T> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} elements", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_begin_with_a_cache_line() {
        for len in [0, 1, 15, 16, 17, 100_000] {
            let mut numbers = Aligned::<f32>::zeros(len);
            let mut words = Aligned::<u32>::try_zeros(len).unwrap();
            assert_eq!((numbers.len(), words.len()), (len, len));
            assert_eq!((numbers.as_ptr() as usize % 64, words.as_ptr() as usize % 64), (0, 0));
            assert!(numbers.iter().all(|&x| x == 0.0) && words.iter().all(|&x| x == 0));
            numbers.fill(1.5);
            words.fill(7);
            assert_eq!(numbers.clone().iter().sum::<f32>(), 1.5 * len as f32);
            assert_eq!(words.iter().sum::<u32>(), 7 * len as u32);
        }
        assert!(Aligned::<u32>::try_zeros(usize::MAX).is_none());
        assert!(Aligned::<u32>::try_zeros(usize::MAX / 8).is_none());
    }
}
