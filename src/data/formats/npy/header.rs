//! What stands before the numbers of a `.npy` array: a Python dictionary of
//! type, order and shape. Parsed here and not by a parser of Python literals:
//! those recurse, and an untrusted header could exhaust the stack.
//!
//! Layout: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::io::{self, Read};

use super::super::super::text::quoted;
use super::super::Wrong;
use super::element::Dtype;

/// How every array begins.
pub(in super::super) const MAGIC: &[u8] = b"\x93NUMPY";
/// NumPy itself reads no header above 10,000 bytes unasked; version 1 can't say more than this.
const LONGEST: u32 = 65_535;

const DAMAGED: &str = "it is damaged: write it anew with numpy.save";

/// Why an array can't be read.
#[derive(Debug)]
pub(in super::super) enum Fault {
    /// The bytes end early, are damaged, or the disk fails.
    Io(io::Error),
    /// What stands there, and what to do.
    Wrong(Wrong),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        Fault::Wrong(wrong)
    }
}

/// An array's type and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Header {
    /// The type of its elements.
    pub(in super::super) dtype: Dtype,
    /// Whether the first index runs fastest.
    pub(in super::super) fortran: bool,
    /// Its lengths; empty for a scalar.
    pub(in super::super) shape: Vec<u64>,
    /// Bytes from the array's begin to its first element.
    pub(in super::super) length: u64,
}

impl Header {
    /// Reads a header and leaves the reader at the first element.
    pub(in super::super) fn read(reader: &mut impl Read) -> Result<Self, Fault> {
        let mut magic = [0; 8];
        reader.read_exact(&mut magic)?;
        let (length, before) = match (&magic[..6] == MAGIC, magic[6]) {
            (false, _) => return Err(wrong("is not a NumPy array").into()),
            (true, 1) => {
                let mut length = [0; 2];
                reader.read_exact(&mut length)?;
                (u32::from(u16::from_le_bytes(length)), 10)
            }
            (true, 2 | 3) => {
                let mut length = [0; 4];
                reader.read_exact(&mut length)?;
                (u32::from_le_bytes(length), 12)
            }
            (true, version) => {
                let what = format!("is a NumPy array of format {version}, which does not exist yet");
                return Err((what, "update deltav, or write it with numpy.save".to_owned()).into());
            }
        };
        if length > LONGEST {
            return Err(wrong(&format!("has a header of {length} bytes")).into());
        }
        let mut text = vec![0; length as usize];
        reader.read_exact(&mut text)?;
        Ok(Self::parse(&text, before + u64::from(length))?)
    }

    fn parse(text: &[u8], length: u64) -> Result<Self, Wrong> {
        let unreadable = || wrong(&format!("has a header that can't be read: {}", quoted(text.trim_ascii())));
        let mut text = Text(text);
        let (mut dtype, mut fortran, mut shape) = (None, None, None);
        text.token(b"{").ok_or_else(unreadable)?;
        while text.token(b"}").is_none() {
            let key = text.string().ok_or_else(unreadable)?;
            text.token(b":").ok_or_else(unreadable)?;
            match key {
                b"descr" if text.peek() == Some(b'[') => {
                    return Err((
                        "holds records of several fields, not numbers".to_owned(),
                        "save its fields as 1-D arrays user, item, rating with numpy.savez".to_owned(),
                    ));
                }
                b"descr" => dtype = Some(Dtype::parse(text.string().ok_or_else(unreadable)?)?),
                b"fortran_order" => fortran = Some(text.truth().ok_or_else(unreadable)?),
                b"shape" => shape = Some(text.lengths().ok_or_else(unreadable)?),
                _ => return Err(unreadable()),
            }
            if text.token(b",").is_none() && text.peek() != Some(b'}') {
                return Err(unreadable());
            }
        }
        match (dtype, fortran, shape) {
            (Some(dtype), Some(fortran), Some(shape)) if text.peek().is_none() => {
                Ok(Self { dtype, fortran, shape, length })
            }
            _ => Err(unreadable()),
        }
    }

    /// Bytes of all elements; `None` if they are more than 64 bits count.
    pub(in super::super) fn size(&self) -> Option<u64> {
        self.shape.iter().try_fold(self.dtype.size as u64, |size, &n| size.checked_mul(n))
    }

    /// Type and shape in NumPy's words, for messages.
    pub(in super::super) fn summary(&self) -> String {
        let lengths: Vec<String> = self.shape.iter().map(u64::to_string).collect();
        format!("{} {}", lengths.join("×"), self.dtype.name()).trim_start().to_owned()
    }
}

fn wrong(what: &str) -> Wrong {
    (what.to_owned(), DAMAGED.to_owned())
}

/// What is left of a header's text.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn peek(&mut self) -> Option<u8> {
        self.0 = self.0.trim_ascii_start();
        self.0.first().copied()
    }

    fn token(&mut self, token: &[u8]) -> Option<()> {
        self.peek();
        self.0 = self.0.strip_prefix(token)?;
        Some(())
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let (_, rest) = self.0.split_first()?;
        let (text, rest) = rest.split_at_checked(memchr::memchr(quote, rest)?)?;
        (_, self.0) = rest.split_first()?;
        Some(text)
    }

    fn truth(&mut self) -> Option<bool> {
        match (self.token(b"True"), self.token(b"False")) {
            (None, None) => None,
            (truth, _) => Some(truth.is_some()),
        }
    }

    /// Such as `(3, 4)`, `(3,)` and `()`; Python 2 wrote `(3L, 4L)`.
    fn lengths(&mut self) -> Option<Vec<u64>> {
        let mut lengths = Vec::new();
        self.token(b"(")?;
        while self.token(b")").is_none() {
            self.peek();
            let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (number, rest) = self.0.split_at(digits);
            lengths.push(std::str::from_utf8(number).ok()?.parse().ok()?);
            self.0 = rest.strip_prefix(b"L").unwrap_or(rest);
            if self.token(b",").is_none() && self.peek() != Some(b')') {
                return None;
            }
        }
        Some(lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<Header, String> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        Header::read(&mut &bytes[..]).map_err(|fault| match fault {
            Fault::Io(error) => error.to_string(),
            Fault::Wrong((what, _)) => what,
        })
    }

    #[test]
    fn headers_as_others_write_them_are_read() {
        let numpy = header("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   \n").unwrap();
        assert_eq!((numpy.fortran, &numpy.shape[..], numpy.size()), (false, &[3, 4][..], Some(96)));
        assert_eq!(numpy.length, 10 + 63);
        assert_eq!(numpy.summary(), "3×4 float64");
        for (text, shape) in [
            (r#"{"shape":(3L,4L),"fortran_order":True,"descr":">i2"}"#, &[3, 4][..]),
            ("{ 'fortran_order' : True , 'shape' : ( 7 , ) , 'descr' : '|S12' , } ", &[7]),
            ("{'descr':'<U3','fortran_order':True,'shape':()}", &[]),
        ] {
            let header = header(text).unwrap();
            assert!(header.fortran, "{text}");
            assert_eq!(header.shape, shape);
        }
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        for text in [
            "",
            "{",
            "}",
            "{}",
            "[]",
            "{'descr': '<f8', 'fortran_order': False}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)} x",
            "{'descr': '<f8', 'fortran_order': 0, 'shape': (3, 4)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 4)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3 4)}",
            "{'descr': '<f8' 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': ((((((3,",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'more': 1}",
        ] {
            let what = header(text).unwrap_err();
            assert!(what.starts_with("has a header that can't be read: \""), "{text}: {what}");
        }
        let records = header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,)}");
        assert_eq!(records.unwrap_err(), "holds records of several fields, not numbers");
        let mut long = b"\x93NUMPY\x02\x00".to_vec();
        long.extend(u32::MAX.to_le_bytes());
        assert!(matches!(Header::read(&mut &long[..]), Err(Fault::Wrong(_))));
        assert!(matches!(Header::read(&mut &long[..7]), Err(Fault::Io(_))));
        assert!(matches!(Header::read(&mut &b"\x93NUMPY\x09\x00"[..]), Err(Fault::Wrong(_))));
    }
}
