//! What a block is parsed into, and the ids that were met before.

use std::sync::{Mutex, PoisonError};

use super::super::ids::{IdMap, Ids};

/// Ids below this that are plain numbers are found without a hash, where there are enough of them.
const DIRECT: usize = 1 << 24;
/// Places for plain numbers that need no reason.
const FEW: usize = 1 << 12;
/// Places for plain numbers for each id.
const SPARSE: usize = 16;

/// No number: ids are fewer.
const NONE: u32 = u32::MAX;

/// Slots without a block: as many are made as blocks are parsed at a time, and the one that was used
/// last, whose ids are in some core's cache, is used next.
#[derive(Default)]
pub(super) struct Slots(Mutex<(Vec<Slot>, usize)>);

impl Slots {
    /// A slot for a block. It has met no later one: those of a slot are joined in their order.
    pub(super) fn take(&self, block: usize) -> Slot {
        let (free, made) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match free.iter().rposition(|slot| slot.before <= block) {
            Some(at) => Slot { before: block + 1, ..free.remove(at) },
            None => {
                *made += 1;
                Slot { number: *made - 1, before: block + 1, ..Slot::default() }
            }
        }
    }

    /// Takes a slot back.
    pub(super) fn free(&self, slot: Slot) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push(slot);
    }
}

/// The ids that were met in some of the blocks.
#[derive(Default)]
pub(super) struct Slot {
    /// Among the slots.
    pub(super) number: usize,
    /// The blocks that it met are before this one.
    before: usize,
    pub(super) users: Numbers,
    pub(super) items: Numbers,
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
}

impl Numbers {
    /// The number of the id that is the first `length` bytes of `text`. `None` if there are too many.
    pub(super) fn number(&mut self, text: &[u8], length: usize) -> Option<u32> {
        match text.first_chunk().and_then(|&first| plain(u64::from_le_bytes(first), length)) {
            None => self.ids.get_or_insert(text.get(..length)?),
            Some(plain) => match self.direct.get(plain) {
                Some(&number) if number != NONE => Some(number),
                _ => self.learn(plain, text.get(..length)?),
            },
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

/// The number that the first `length` bytes of a word are: at most seven digits, the first of which is
/// a zero only alone. All at once, since how long an id is no processor can foresee. (Lemire, *Quickly
/// parsing eight digits*, 2018.)
fn plain(word: u64, length: usize) -> Option<usize> {
    if !(1..8).contains(&length) {
        return None;
    }
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let bits = 8 * length as u32;
    // Zeros in front of the digits; the first is the lowest byte.
    let digits = (word << (64 - bits)) | (ZEROS >> bits);
    let high = 0xf0f0_f0f0_f0f0_f0f0;
    let carried = digits.wrapping_add(0x0606_0606_0606_0606);
    let all = (digits & high) == ZEROS && (carried & high) == ZEROS;
    let leading = word as u8 == b'0' && length > 1;
    let values = digits.wrapping_sub(ZEROS);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let upper = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    let number = low.wrapping_add(upper) >> 32;
    (all && !leading).then_some(number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<usize> {
        let mut bytes = *b"1234,\xff,x";
        let length = text.len();
        bytes.get_mut(..length)?.copy_from_slice(text.as_bytes());
        plain(u64::from_le_bytes(*bytes.first_chunk().unwrap()), length)
    }

    #[test]
    fn plain_numbers_are_written_in_one_way() {
        for number in (0..3_000).chain((3_000..10_000_000).step_by(997)).chain([9_999_999]) {
            assert_eq!(read(&number.to_string()), Some(number));
        }
        for text in
            ["", "007", "00", "-1", "+1", "1.0", " 1", "1 ", "a", "1e3", "10000000", "/", ":", "1:", "?0"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        for byte in 0..=255_u8 {
            let word = u64::from_le_bytes([b'1', byte, b'2', 0, 0, 0, 0, 0]);
            assert_eq!(plain(word, 3).is_some(), byte.is_ascii_digit(), "{byte}");
        }
    }

    #[test]
    fn ids_have_one_number_whatever_they_look_like_and_whenever_they_come() {
        let mut numbers = Numbers::default();
        // 5,000 has no place of its own until there are more ids.
        let ids = ["5000", "007", "7", "x", "0", "9999999", "5000", "7", "007"];
        let mut number = |id: &str| {
            let alone = numbers.number(id.as_bytes(), id.len());
            assert_eq!(numbers.number(format!("{id},1,2\n1,2").as_bytes(), id.len()), alone);
            (alone.unwrap(), numbers.direct.len(), numbers.direct.get(5_000).copied())
        };
        let found: Vec<u32> = ids.iter().map(|id| number(id).0).collect();
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 0, 2, 1]);
        assert!(number("7").1 <= FEW);
        for id in 1_000..2_000 {
            number(&id.to_string());
        }
        assert_eq!(number("5000"), (0, 8_192, Some(0)));
        assert_eq!(number("9999999"), (5, 8_192, Some(0)), "one large number takes no memory");
        assert_eq!((numbers.ids().len(), numbers.ids().get(1)), (1_006, &b"007"[..]));
    }

    #[test]
    fn a_slot_that_met_a_later_block_is_not_used_for_an_earlier_one() {
        let slots = Slots::default();
        let (first, third) = (slots.take(0), slots.take(2));
        assert_eq!((first.number, third.number), (0, 1));
        slots.free(third);
        assert_eq!(slots.take(1).number, 2);
        slots.free(first);
        assert_eq!((slots.take(3).number, slots.take(4).number), (0, 1));
    }
}
