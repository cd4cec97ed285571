//! Types of array elements, and their values.

use super::super::super::text::quoted;
use super::super::Wrong;

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Dtype {
    kind: Kind,
    big_endian: bool,
    /// Bytes of one element.
    pub(in super::super) size: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Signed,
    Unsigned,
    /// Of fixed length, padded with zeros.
    Bytes,
    /// As bytes, four a character.
    Text,
}

/// The longest text of a fixed length.
const LONGEST_TEXT: usize = 1 << 20;

impl Dtype {
    /// From NumPy's name, such as `<f8`.
    pub(super) fn parse(name: &[u8]) -> Result<Self, Wrong> {
        let refused = |what: &str, remedy: &str| Err((what.to_owned(), remedy.to_owned()));
        let (order, kind, size) = match name {
            [order, kind, size @ ..] => (*order, *kind, size),
            _ => (0, 0, name),
        };
        let kind = match (kind, size) {
            (b'f', b"2" | b"4" | b"8") => Kind::Float,
            (b'i', b"1" | b"2" | b"4" | b"8") => Kind::Signed,
            (b'u', b"1" | b"2" | b"4" | b"8") => Kind::Unsigned,
            (b'S' | b'a', _) => Kind::Bytes,
            (b'U', _) => Kind::Text,
            (b'O', _) => {
                return refused(
                    "holds Python objects, which only Python can unpickle and which may be code",
                    "write it as numbers, such as numpy.save(file, array.astype(float))",
                );
            }
            (b'b', _) => {
                return refused(
                    "holds booleans, which say who rated, not how",
                    "write it as numbers, such as array.astype('int8')",
                );
            }
            _ => {
                return refused(
                    &format!("holds elements of type {}, which are no ratings", quoted(name)),
                    "write it as float or integer numbers, such as array.astype(float)",
                );
            }
        };
        let count = std::str::from_utf8(size).ok().and_then(|size| size.parse::<usize>().ok());
        let width = if kind == Kind::Text { 4 } else { 1 };
        match count.filter(|&count| count <= LONGEST_TEXT) {
            Some(count) if matches!(order, b'<' | b'>' | b'|' | b'=') => {
                Ok(Self { kind, big_endian: order == b'>', size: count * width })
            }
            _ => refused(
                &format!("holds elements of type {}, which does not exist", quoted(name)),
                "it is damaged: write it anew with numpy.save",
            ),
        }
    }

    /// NumPy's name without the order of bytes.
    pub(in super::super) fn name(self) -> String {
        let bits = self.size * 8;
        match self.kind {
            Kind::Float => format!("float{bits}"),
            Kind::Signed => format!("int{bits}"),
            Kind::Unsigned => format!("uint{bits}"),
            Kind::Bytes => format!("S{}", self.size),
            Kind::Text => format!("U{}", self.size / 4),
        }
    }

    /// Whether the elements are numbers.
    pub(in super::super) fn is_number(self) -> bool {
        !matches!(self.kind, Kind::Bytes | Kind::Text)
    }

    /// Whether the elements are whole numbers.
    pub(in super::super) fn is_integer(self) -> bool {
        matches!(self.kind, Kind::Signed | Kind::Unsigned)
    }

    /// An element's bytes as an unsigned number.
    fn bits(self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    /// The value of a whole number. `bytes`: [`Dtype::size`] of them.
    pub(in super::super) fn integer(self, bytes: &[u8]) -> i128 {
        let bits = self.bits(bytes);
        let unused = 64 - 8 * self.size.min(8) as u32;
        match self.kind {
            // From the top and back: the sign is copied on the way.
            Kind::Signed => i128::from((bits << unused) as i64 >> unused),
            _ => i128::from(bits),
        }
    }

    /// The value of a number. `bytes`: [`Dtype::size`] of them.
    pub(in super::super) fn number(self, bytes: &[u8]) -> f64 {
        match (self.kind, self.size) {
            (Kind::Float, 2) => half(self.bits(bytes) as u16),
            (Kind::Float, 4) => f64::from(f32::from_bits(self.bits(bytes) as u32)),
            (Kind::Float, _) => f64::from_bits(self.bits(bytes)),
            _ => self.integer(bytes) as f64,
        }
    }

    /// Appends an element as an id: a whole number in decimal, a text without its padding.
    /// `None` if a character does not exist, or the type has no ids.
    pub(in super::super) fn id(self, bytes: &[u8], id: &mut Vec<u8>) -> Option<()> {
        match self.kind {
            Kind::Float => return None,
            Kind::Signed | Kind::Unsigned => id.extend(self.integer(bytes).to_string().bytes()),
            Kind::Bytes => {
                let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                id.extend(bytes.get(..end)?);
            }
            Kind::Text => {
                let mut characters: Vec<u32> =
                    bytes.chunks_exact(4).map(|character| self.bits(character) as u32).collect();
                let end = characters.iter().rposition(|&c| c != 0).map_or(0, |last| last + 1);
                characters.truncate(end);
                for character in characters {
                    id.extend(char::from_u32(character)?.encode_utf8(&mut [0; 4]).bytes());
                }
            }
        }
        Some(())
    }
}

/// The value of an IEEE 754 half-precision number.
pub(in super::super) fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dtype(name: &str) -> Dtype {
        Dtype::parse(name.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_of_every_type_and_order() {
        for value in [0_i64, 1, -1, 100, -128] {
            assert_eq!(dtype("|i1").integer(&(value as i8).to_le_bytes()), i128::from(value));
            assert_eq!(dtype("<i2").integer(&(value as i16).to_le_bytes()), i128::from(value));
            assert_eq!(dtype(">i4").integer(&(value as i32).to_be_bytes()), i128::from(value));
            assert_eq!(dtype("<i8").number(&value.to_le_bytes()), value as f64);
            assert_eq!(dtype(">f4").number(&(value as f32).to_be_bytes()), value as f64);
            assert_eq!(dtype("<f8").number(&(value as f64).to_le_bytes()), value as f64);
        }
        assert_eq!(dtype("<u8").integer(&u64::MAX.to_le_bytes()), i128::from(u64::MAX));
        assert_eq!(dtype("|u1").integer(&[255]), 255);
        assert_eq!(dtype("<i8").integer(&i64::MIN.to_le_bytes()), i128::from(i64::MIN));
    }

    #[test]
    fn halves_are_as_the_standard_has_them() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_953_125),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x03ff, 6.097_555_160_522_461e-5),
            (0x0400, 6.103_515_625e-5),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan() && half(0xfc01).is_nan());
        assert!(half(0x8000) == 0.0 && half(0x8000).is_sign_negative());
    }

    #[test]
    fn ids_lose_their_padding_only() {
        let id = |name: &str, bytes: &[u8]| {
            let mut id = Vec::new();
            dtype(name).id(bytes, &mut id).map(|()| String::from_utf8(id).unwrap())
        };
        assert_eq!(id("|S4", b"ab\0\0").as_deref(), Some("ab"));
        assert_eq!(id("|S4", b"a\0b\0").as_deref(), Some("a\0b"));
        assert_eq!(id("<U3", b"Z\0\0\0\xeb\0\0\0\0\0\0\0").as_deref(), Some("Zë"));
        assert_eq!(id(">U1", b"\0\x01\xf9\x80").as_deref(), Some("🦀"));
        assert_eq!(id("<U1", b"\0\xd8\0\0"), None, "half of a pair");
        assert_eq!(id("<i2", b"\xff\xff").as_deref(), Some("-1"));
        assert_eq!(id("<f4", b"\0\0\0\0"), None);
    }

    #[test]
    fn what_holds_no_ratings_is_refused() {
        for (name, what) in [
            ("|O", "holds Python objects, which only Python can unpickle and which may be code"),
            ("|b1", "holds booleans, which say who rated, not how"),
            ("<c8", "holds elements of type \"<c8\", which are no ratings"),
            ("<f16", "holds elements of type \"<f16\", which are no ratings"),
            ("<M8[s]", "holds elements of type \"<M8[s]\", which are no ratings"),
            ("", "holds elements of type \"\", which are no ratings"),
            ("?f8", "holds elements of type \"?f8\", which does not exist"),
            ("<U", "holds elements of type \"<U\", which does not exist"),
            ("<U9999999999", "holds elements of type \"<U9999999999\", which does not exist"),
        ] {
            assert_eq!(Dtype::parse(name.as_bytes()).unwrap_err().0, what);
        }
    }
}
