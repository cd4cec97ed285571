use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut source = Source::new(Path::new("a.csv"), Box::new(bytes))?;
    let mut all = Vec::new();
    while source.read_until(b'\n', 1 << 20, &mut all)? > 0 {}
    Ok(all)
}

fn text_error(bytes: &[u8]) -> String {
    let source = Source::new(Path::new("a.csv"), Box::new(bytes)).unwrap();
    source.check_text().unwrap_err().to_string()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b' ' + (state >> 25) as u8 % 90
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn gzip_is_known_by_its_content_and_all_members_are_read() {
    let (one, two) = (noise(30_000), noise(100));
    assert_eq!(read(&gzip(&one)).unwrap(), one);
    let members = [gzip(&one), gzip(b""), gzip(&two)].concat();
    assert_eq!(read(&members).unwrap(), [one, two].concat());
}

#[test]
fn gzip_cut_anywhere_is_an_error() {
    let whole = gzip(&noise(20_000));
    for length in (2..60).chain((60..whole.len()).step_by(97)).chain(whole.len() - 12..whole.len()) {
        let error = read(&whole[..length]).unwrap_err();
        assert_eq!(error.to_string(), "a.csv: gzip stream ends early; download it again", "{length} bytes");
        assert_eq!(error.exit_code(), 65);
    }
}

#[test]
fn damaged_gzip_and_garbage_after_it_are_errors() {
    let whole = gzip(&noise(20_000));
    let mut flipped = whole.clone();
    flipped[9_000] ^= 0x10;
    for bytes in [flipped, [&whole[..], b"not another member"].concat(), [&whole[..], &[0; 20]].concat()] {
        let error = read(&bytes).unwrap_err();
        assert!(error.to_string().starts_with("a.csv: gzip stream is damaged ("), "{error}");
        assert_eq!(error.exit_code(), 65);
    }
}

#[test]
fn a_byte_order_mark_is_dropped() {
    assert_eq!(read(b"\xef\xbb\xbfuser").unwrap(), b"user");
    assert_eq!(read(&gzip(b"\xef\xbb\xbfuser")).unwrap(), b"user");
    assert_eq!(read(b"\xef\xbb").unwrap(), b"\xef\xbb");
}

#[test]
fn what_is_not_text_is_named() {
    assert!(text_error(b"\xff\xfe1\0,\0").contains("is UTF-16 text; convert it to UTF-8"));
    assert!(text_error(b"\xfe\xff\0").contains("UTF-16"));
    assert!(text_error(b"PK\x03\x04...").contains("zip archive"));
    assert!(text_error(&gzip(b"1,2\0")).contains("looks like a binary file"));
    let late = [vec![b'1'; 4_000], vec![0]].concat();
    assert!(text_error(&late).contains("looks like a binary file"));
    let latin1 = Source::new(Path::new("a"), Box::new(&b"Le Fabuleux destin d'Am\xe9lie"[..])).unwrap();
    assert!(latin1.check_text().is_ok());
}

#[test]
fn a_read_that_fails_half_way_is_an_io_error() {
    struct Broken(u32);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the disk is gone"));
            }
            self.0 -= 1;
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    for reads in [0, 1, 3] {
        let mut buffer = Vec::new();
        let error = Source::new(Path::new("a"), Box::new(Broken(reads)))
            .and_then(|mut source| source.read_until(b'\n', u64::MAX, &mut buffer))
            .unwrap_err();
        assert_eq!(error.exit_code(), 74, "{error}");
        assert!(error.to_string().contains("the disk is gone"));
    }
}

#[test]
fn a_file_to_seek_in_is_the_file_or_its_unpacked_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(600_000);
    for (name, packed) in [("plain", bytes.clone()), ("packed", gzip(&bytes)), ("empty", Vec::new())] {
        let path = folder.path().join(name);
        fs::write(&path, &packed).unwrap();
        let mut file = Source::open(&path.into()).unwrap().into_file().unwrap();
        let mut all = Vec::new();
        file.read_to_end(&mut all).unwrap();
        assert!(all == if name == "empty" { Vec::new() } else { bytes.clone() }, "{name}");
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut again = Vec::new();
        file.read_to_end(&mut again).unwrap();
        assert!(all == again, "{name}");
    }
    let mut piped = Vec::new();
    let source = Source::new(Path::new("-"), Box::new(&bytes[..])).unwrap();
    source.into_file().unwrap().read_to_end(&mut piped).unwrap();
    assert!(piped == bytes);
    let cut = &gzip(&bytes)[..300_000];
    let error = Source::new(Path::new("a.gz"), Box::new(cut)).unwrap().into_file().unwrap_err();
    assert_eq!(error.to_string(), "a.gz: gzip stream ends early; download it again");
}

#[test]
fn a_missing_file_and_a_directory_are_no_input() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("none.csv"), folder.path().to_owned()] {
        let error = Source::open(&path.clone().into()).err().unwrap();
        assert_eq!(error.exit_code(), 66, "{error}");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn zstd_is_known_by_its_content_and_all_frames_are_read() {
    let (one, two) = (noise(600_000), noise(100));
    assert!(read(&zstd(&one)).unwrap() == one);
    let skippable = [&b"\x53\x2a\x4d\x18\x03\0\0\0"[..], b"abc"].concat();
    let frames = [skippable.clone(), zstd(&one), skippable, zstd(b""), zstd(&two)].concat();
    assert!(read(&frames).unwrap() == [one, two].concat());
}

#[test]
fn zstd_cut_anywhere_is_an_error() {
    let whole = zstd(&noise(20_000));
    for length in (4..60).chain((60..whole.len()).step_by(97)).chain(whole.len() - 12..whole.len()) {
        let error = read(&whole[..length]).unwrap_err();
        assert_eq!(error.to_string(), "a.csv: zstd stream ends early; download it again", "{length} bytes");
        assert_eq!(error.exit_code(), 65);
    }
}

#[test]
fn damaged_zstd_and_garbage_after_it_are_errors() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&noise(20_000)).unwrap();
    let whole = encoder.finish().unwrap();
    let mut flipped = whole.clone();
    flipped[9_000] ^= 0x10;
    for bytes in [flipped, [&whole[..], b"not another frame"].concat()] {
        let error = read(&bytes).unwrap_err();
        assert!(error.to_string().starts_with("a.csv: zstd stream is damaged ("), "{error}");
        assert_eq!(error.exit_code(), 65);
    }
}

#[test]
fn a_zstd_window_that_needs_too_much_memory_is_refused() {
    // A frame header that asks for a window of 2 GiB, and one empty last block.
    let error = read(b"\x28\xb5\x2f\xfd\x00\xa8\x01\0\0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "a.csv: zstd needs more than 128 MiB of memory to unpack it; unpack it first, with zstd -d --long=31"
    );
}

#[test]
fn an_error_of_the_disk_is_not_one_of_the_packing() {
    struct Half(Vec<u8>, usize);
    impl Read for Half {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let left = &self.0[self.1..];
            if left.is_empty() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the disk is gone"));
            }
            let length = left.len().min(buffer.len());
            buffer[..length].copy_from_slice(&left[..length]);
            self.1 += length;
            Ok(length)
        }
    }
    for packed in [gzip(&noise(20_000)), zstd(&noise(20_000))] {
        let half = Half(packed[..packed.len() / 2].to_vec(), 0);
        let mut buffer = Vec::new();
        let error = Source::new(Path::new("a"), Box::new(half))
            .and_then(|mut source| source.read_until(b'\0', u64::MAX, &mut buffer))
            .unwrap_err();
        assert_eq!(error.exit_code(), 74, "{error}");
    }
}

#[test]
fn live_input_is_not_waited_for_beyond_its_first_line() {
    /// Hands out one piece a call, and fails when asked for more.
    struct Pieces(Vec<&'static [u8]>);
    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "this would wait");
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }
    let pieces = vec![&b"\xef\xbb\xbf"[..], b" ", b"\r\n", b"user,it", b"em,rating\na,"];
    let mut source = Source::begun(Path::new("-"), Box::new(Pieces(pieces)), true).unwrap();
    assert_eq!(source.head(), b" \r\nuser,item,rating\na,");
    let mut lines = Vec::new();
    for _ in 0..2 {
        source.read_until(b'\n', 1 << 20, &mut lines).unwrap();
    }
    assert_eq!(lines, b" \r\nuser,item,rating\n");
    // A line without an end is read to the end of the input.
    let source = Source::begun(Path::new("-"), Box::new(&b"a,b"[..]), true).unwrap();
    assert_eq!(source.head(), b"a,b");
    let long = vec![b'x'; 20_000];
    assert_eq!(Source::begun(Path::new("-"), Box::new(&long[..]), true).unwrap().head().len(), 8 << 10);
}
