//! Ratings that are written in any format are the same when they are read.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use deltav::data::formats::Format;
use deltav::data::{Input, ReadOptions, read_ratings};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

type Triple<T> = (T, T, f32);

/// Triples with ids of this kind, each pair once.
fn any_triples<T: Clone + Ord + std::fmt::Debug + 'static>(
    id: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<Triple<T>>> {
    (vec(id, 1..12), vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), finite()), 1..60))
        .prop_map(|(ids, picks)| {
            let mut seen = BTreeSet::new();
            let all = picks
                .into_iter()
                .map(|(user, item, value)| (user.get(&ids).clone(), item.get(&ids).clone(), value));
            all.filter(|(user, item, _)| seen.insert((user.clone(), item.clone()))).collect()
        })
}

fn read(name: &str, format: Option<&str>, bytes: &[u8]) -> Ratings {
    let format = format.map(|name| Format::by_name(name).unwrap());
    let options = ReadOptions { format, ..ReadOptions::default() };
    read_ratings([Input::bytes(name, bytes)], &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Ratings of whole numbers, as their decimal text.
fn numbered(triples: &[Triple<u32>]) -> Ratings {
    let text: Vec<_> = triples.iter().map(|(u, i, r)| (u.to_string(), i.to_string(), *r)).collect();
    ratings(&text)
}

/// A cell in quotes, those within doubled.
fn quoted(id: &[u8]) -> Vec<u8> {
    let doubled = id.iter().flat_map(|&byte| if byte == b'"' { vec![b'"'; 2] } else { vec![byte] });
    [b'"'].into_iter().chain(doubled).chain([b'"']).collect()
}

/// An array as NumPy writes it: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>
fn npy(descr: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (head.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], head.as_bytes(), bytes].concat()
}

fn vector<const N: usize>(descr: &str, elements: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    let bytes: Vec<u8> = elements.flatten().collect();
    npy(descr, &format!("({},)", bytes.len() / N), &bytes)
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn quoted_cells_hold_any_bytes_but_zeros(
        triples in any_triples(vec(1..=u8::MAX, 1..20)),
        separator in prop::sample::select(b",;\t|".to_vec()),
        crlf in any::<bool>(),
    ) {
        let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
        let mut text = [b"userId", &[separator][..], b"itemId", &[separator], b"rating", end].concat();
        for (user, item, rating) in &triples {
            let cells = [quoted(user), quoted(item), rating.to_string().into_bytes()];
            text.extend(cells.join(&separator));
            text.extend(end);
        }
        prop_assert_eq!(read("a.csv", None, &text), ratings(&triples));
    }

    #[test]
    fn json_lines_hold_any_text(triples in any_triples(vec(any::<char>(), 1..12).prop_map(String::from_iter))) {
        let mut text = String::new();
        for (user, item, rating) in &triples {
            let (user, item) = (serde_json::to_string(user).unwrap(), serde_json::to_string(item).unwrap());
            writeln!(text, "{{\"user\":{user},\"rating\":{rating:e},\"item\":{item}}}").unwrap();
        }
        prop_assert_eq!(read("a.jsonl", None, text.as_bytes()), ratings(&triples));
    }

    #[test]
    fn whole_numbers_are_the_same_in_every_format(triples in any_triples(1..=u32::MAX)) {
        let expected = numbered(&triples);
        let lines = |separator: &str| {
            let line = |(u, i, r): &Triple<u32>| format!("{u}{separator}{i}{separator}{r}\n");
            triples.iter().map(line).collect::<String>()
        };
        prop_assert_eq!(&read("a.dat", None, lines("::").as_bytes()), &expected);
        prop_assert_eq!(&read("a.txt", Some("libmf"), lines(" ").as_bytes()), &expected);
        let most = u32::MAX;
        let head = format!("%%MatrixMarket matrix coordinate real general\n{most} {most} {}\n", triples.len());
        prop_assert_eq!(&read("a.mtx", None, (head + &lines(" ")).as_bytes()), &expected);

        let users = || triples.iter().map(|one| i64::from(one.0).to_le_bytes());
        let items = || triples.iter().map(|one| one.1.to_be_bytes());
        let values = || triples.iter().map(|one| one.2.to_le_bytes());
        let columns = npz(&[
            ("user", vector("<i8", users())),
            ("item", vector(">u4", items())),
            ("rating", vector("<f4", values())),
        ]);
        prop_assert_eq!(&read("a.npz", None, &columns), &expected);
        let least = |number: u32| (number - 1).to_le_bytes(); // a shape of 2³² is none
        let sparse = npz(&[
            ("format", npy("|S3", "()", b"coo")),
            ("shape", vector("<u4", [most.to_le_bytes(); 2].into_iter())),
            ("row", vector("<u4", triples.iter().map(|one| least(one.0)))),
            ("col", vector("<u4", triples.iter().map(|one| least(one.1)))),
            ("data", vector("<f8", triples.iter().map(|one| f64::from(one.2).to_le_bytes()))),
        ]);
        let below: Vec<_> = triples.iter().map(|&(u, i, r)| (u - 1, i - 1, r)).collect();
        prop_assert_eq!(&read("b.npz", None, &sparse), &numbered(&below));
    }
}
