//! What a block is parsed into, and the ids that were met before.

use super::super::ids::{IdMap, Ids};

/// Ids below this that are plain numbers are found without a hash, where there are enough of them.
const DIRECT: usize = 1 << 24;
/// Places for plain numbers that need no reason.
const FEW: usize = 1 << 12;
/// Places for plain numbers for each id.
const SPARSE: usize = 16;

/// No number: ids are fewer.
const NONE: u32 = u32::MAX;

/// Where blocks are parsed, one after the other.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) users: Numbers,
    pub(super) items: Numbers,
    pub(super) columns: Columns,
}

/// The records of a block. All have as many elements, but for `runs`; `time` may have none.
#[derive(Default)]
pub(super) struct Columns {
    /// By the slot's own numbers.
    pub(super) user: Vec<u32>,
    /// By the slot's own numbers.
    pub(super) item: Vec<u32>,
    pub(super) value: Vec<f32>,
    pub(super) time: Vec<i64>,
    /// Each record that is not on the line behind the one before it, and the first: its number, and
    /// the lines of the block before it.
    pub(super) runs: Vec<(usize, u64)>,
}

impl Columns {
    /// Makes room for the next block.
    pub(super) fn clear(&mut self) {
        self.user.clear();
        self.item.clear();
        self.value.clear();
        self.time.clear();
        self.runs.clear();
    }
}

/// The ids of one side that a slot has met, by numbers of its own.
#[derive(Default)]
pub(super) struct Numbers {
    ids: IdMap,
    /// The number of an id that is written as this index is, or [`NONE`] if it has to be looked up.
    direct: Vec<u32>,
    /// Among all ids, for those that were joined.
    pub(super) of_all: Vec<u32>,
}

impl Numbers {
    /// The number of an id. `None` if there are too many.
    pub(super) fn number(&mut self, id: &[u8]) -> Option<u32> {
        let Some(plain) = plain(id) else {
            return self.ids.get_or_insert(id);
        };
        match self.direct.get(plain) {
            Some(&number) if number != NONE => Some(number),
            _ => self.learn(plain, id),
        }
    }

    #[cold]
    fn learn(&mut self, plain: usize, id: &[u8]) -> Option<u32> {
        let number = self.ids.get_or_insert(id)?;
        // As many places as ids bear: a number far from all others costs no memory.
        let most = (SPARSE * self.ids.len() + FEW).min(DIRECT);
        if plain < most && plain >= self.direct.len() {
            self.direct.resize((plain + 1).next_power_of_two(), NONE);
        }
        if let Some(place) = self.direct.get_mut(plain) {
            *place = number;
        }
        Some(number)
    }

    /// All ids that were met.
    pub(super) fn ids(&self) -> &Ids {
        self.ids.ids()
    }
}

/// The number that an id is written as: digits, the first of which is a zero only alone.
fn plain(id: &[u8]) -> Option<usize> {
    if id.len() > 8 || (id.first() == Some(&b'0') && id.len() > 1) {
        return None;
    }
    let mut number = 0;
    for &byte in id {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = 10 * number + usize::from(digit);
    }
    (!id.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_written_in_one_way() {
        for (text, number) in [("0", 0), ("7", 7), ("10", 10), ("99999999", 99_999_999)] {
            assert_eq!(plain(text.as_bytes()), Some(number));
        }
        for text in ["", "007", "00", "-1", "+1", "1.0", " 1", "1 ", "a", "1e3", "100000000", "/", ":"] {
            assert_eq!(plain(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn ids_have_one_number_whatever_they_look_like_and_whenever_they_come() {
        let mut numbers = Numbers::default();
        // 5,000 has no place of its own until there are more ids.
        let ids = ["5000", "007", "7", "x", "0", "99999999", "5000", "7", "007"];
        let found: Vec<u32> = ids.iter().map(|id| numbers.number(id.as_bytes()).unwrap()).collect();
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 0, 2, 1]);
        assert!(numbers.direct.len() < 2 * FEW);
        for id in 1_000..2_000 {
            numbers.number(id.to_string().as_bytes()).unwrap();
        }
        assert_eq!(numbers.number(b"5000"), Some(0));
        assert_eq!(numbers.direct.get(5_000), Some(&0));
        assert_eq!(numbers.number(b"99999999"), Some(5));
        assert!(numbers.direct.len() <= 1 << 15, "one large number takes no memory");
        assert_eq!((numbers.ids().len(), numbers.ids().get(1)), (1_006, &b"007"[..]));
    }
}
