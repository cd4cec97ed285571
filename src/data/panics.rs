//! Panics of other people's decoders, which must not end the program for bad input.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder on untrusted bytes; `None` if it panics.
///
/// What the closure has touched must not be used after that. Only for crates that are known to
/// panic on damaged input: a panic of this crate is a bug, and has to be seen.
pub(super) fn caught<T>(decode: impl FnOnce() -> T) -> Option<T> {
    let before = CATCHING.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(decode));
    CATCHING.set(before);
    done.ok()
}

/// Whether a panic on this thread is going to be caught, so that nobody need be told.
#[cfg(feature = "cli")]
pub(crate) fn are_caught() -> bool {
    CATCHING.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_none() {
        assert_eq!(caught(|| 3), Some(3));
        let index = std::hint::black_box(7);
        assert_eq!(caught(|| [1, 2, 3][index]), None);
        assert!(!CATCHING.get());
    }
}
