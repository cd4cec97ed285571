//! Memory: how much there is, and asking for it where it may be refused and the code can say what for.

mod available;

use std::cell::Cell;

pub(crate) use available::available;
#[cfg(feature = "cli")]
pub(crate) use available::peak;

thread_local! {
    static FALLIBLE: Cell<bool> = const { Cell::new(false) };
}

/// An empty vector with room for exactly `len` elements; `None` if the system refuses it.
pub(crate) fn room_for<T>(len: usize) -> Option<Vec<T>> {
    let mut room = Vec::new();
    let before = FALLIBLE.replace(true);
    let done = room.try_reserve_exact(len);
    FALLIBLE.set(before);
    done.is_ok().then_some(room)
}

/// Whether a refusal on this thread is minded by who asked. Allocates nothing.
#[cfg(feature = "cli")]
pub(crate) fn is_minded() -> bool {
    FALLIBLE.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_none() {
        assert_eq!(room_for::<u64>(3).map(|room| room.capacity() >= 3), Some(true));
        assert!(room_for::<u64>(isize::MAX as usize / 8).is_none());
        assert!(room_for::<u64>(usize::MAX).is_none());
        assert!(!FALLIBLE.get());
    }
}
