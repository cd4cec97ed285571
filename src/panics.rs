//! Panics of other people's crates, which must not end the program for bad input or a bad driver.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

use crate::data::text::one_line;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Runs another crate's code; what it says if it panics.
///
/// What the closure has touched must not be used after that. Only for crates that are known to
/// panic on damaged input or lost devices: a panic of this crate is a bug, and has to be seen.
///
/// # Errors
/// The panic's message, on one line.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let before = CATCHING.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(call));
    CATCHING.set(before);
    done.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        one_line(&text.unwrap_or("a panic without a message"))
    })
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
    fn a_panic_becomes_its_message() {
        assert_eq!(caught(|| 3), Ok(3));
        assert_eq!(caught(|| panic!("two\nlines")), Err::<(), _>("two lines".to_owned()));
        let index = std::hint::black_box(7);
        assert!(caught(|| [1, 2, 3][index]).unwrap_err().contains("out of bounds"));
        assert!(!CATCHING.get());
    }
}
