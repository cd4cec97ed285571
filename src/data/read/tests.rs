use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::data::ratings::tests::ratings;

fn with<T>(bytes: impl AsRef<[u8]>, read: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.csv");
    fs::write(&path, bytes).unwrap();
    read(&path)
}

fn read(bytes: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Ratings> {
    with(bytes, |path| read_ratings([path], options))
}

fn auto(text: &str) -> Ratings {
    read(text, &ReadOptions::default()).unwrap()
}

/// The message behind the folder's name, for a file that must be refused with exit code 65.
fn refused(bytes: impl AsRef<[u8]>, options: &ReadOptions) -> String {
    let error = read(bytes, options).unwrap_err();
    assert_eq!(error.exit_code(), 65, "{error}");
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text[text.find("r.csv").unwrap()..].to_owned()
}

fn columns(text: &str) -> ReadOptions {
    ReadOptions { columns: Some(text.parse().unwrap()), ..ReadOptions::default() }
}

#[test]
fn one_data_set_in_every_dress_reads_the_same() {
    let expected = ratings(&[("1", "Ö", 4.5), ("007", "é 2", 3.0), ("1", "é 2", -1.0)]);
    let plain = "1,Ö,4.5\n007,é 2,3\n1,é 2,-1\n";
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(plain.as_bytes()).unwrap();
    assert_eq!(read(packed.finish().unwrap(), &ReadOptions::default()).unwrap(), expected);
    for text in [
        plain,
        "userId,movieId,rating\n1,Ö,4.5\n007,é 2,3\n1,é 2,-1",
        "\u{feff}userId,movieId,rating,timestamp\r\n1,Ö,4.5,9\r\n\r\n007,é 2,3,9\r\n1,é 2,-1,9\r\n",
        "\u{feff}1,Ö,4.5\n007,é 2,3\n1,é 2,-1",
        "Rating;User-ID;Item\n4.5;1;Ö\n3;007;é 2\n-1;1;é 2\n",
        "\"1\",\"Ö\",\"4.5\"\n\"007\",\"é 2\",\"3\"\n\"1\",\"é 2\",\"-1\"\n",
        "1::Ö::4.5::978300760\n007::é 2::3::978300760\n1::é 2::-1::978300760\n",
        "1\tÖ\t 4.5\n007\té 2\t3 \n1\té 2\t-1\n",
        "1|Ö|4.5\n007|é 2|3\n1|é 2|-1\n",
        "1 Ö 4.5\n007 \"é 2\" 3\n1   \"é 2\" -1\n",
    ] {
        let read = auto(text);
        assert_eq!(read, expected, "{text:?}");
        assert_eq!(read.hash(), expected.hash());
    }
}

#[test]
fn ids_are_kept_byte_for_byte() {
    let long = "x".repeat(300);
    let ids = ["007", "7", " 7", "7 ", "a\"b", "Zoë", "'", "NaN", &long];
    let text: String = ids.iter().map(|id| format!("u,{id},1\n")).collect();
    let read = auto(&text);
    assert!(read.items.iter().eq(ids.iter().map(|id| id.as_bytes())));
    let latin1 = self::read(b"u,Am\xe9lie,1\n", &ReadOptions::default()).unwrap();
    assert_eq!(latin1.items.get(0), b"Am\xe9lie");
}

#[test]
fn bad_ratings_name_their_line_and_text() {
    let options = ReadOptions::default();
    for (text, message) in [
        ("1,2,abc\n1,3,4\n", "r.csv:1: rating \"abc\" is not a number; correct it"),
        ("1,2,3\n\n1,3,nan\n", "r.csv:3: rating \"nan\" is not finite; "),
        ("user,item,rating\n1,2,inf", "r.csv:2: rating \"inf\" is not finite; "),
        ("1,2,nan\n", "r.csv:1: rating \"nan\" is not finite; "),
        ("1,2,1e39\n", "r.csv:1: rating \"1e39\" is too large for a 32-bit float; "),
        ("1,2,3\n1,3,\n", "r.csv:2: the rating is empty; "),
        ("1;2;3\n1;3;3,5\n", "r.csv:2: rating \"3,5\" is not a number; write 3.5, with a point"),
        ("1,2,3\n1,4\n", "r.csv:2: has 2 columns, column 3 (rating) is missing; "),
        ("1\n", "r.csv:1: has 1 column, column 2 (item) is missing; "),
        ("user,item\n1,2\n", "r.csv:1: has 2 columns, column 3 (rating) is missing; "),
        ("1,2,3\n,4,5\n", "r.csv:2: the user id is empty; "),
        ("1,2,3\n1,\"\",5\n", "r.csv:2: the item id is empty; "),
        ("1,2,3\n1,\"3,5\n1,4,5\n", "r.csv:2: a quote opens on this line and is not closed; "),
        ("1,2,3,\"a\nb\"\n1,3,x,\n", "r.csv:3: rating \"x\" is not a number; "),
    ] {
        let found = refused(text, &options);
        assert!(found.starts_with(message), "{text:?}: {found}");
    }
    let found = refused(format!("1,2,3\n1,3,{}\n", "9x".repeat(500)), &options);
    assert!(found.len() < 200 && found.contains('…'), "{found}");
}

#[test]
fn files_without_ratings_say_so() {
    let options = ReadOptions::default();
    for text in ["", "\n\r\n", "\u{feff}"] {
        assert!(refused(text, &options).starts_with("r.csv: is empty; "), "{text:?}");
    }
    for text in ["user,item,rating", "user,item,rating\r\n\r\n", "who,what,how\n"] {
        assert!(refused(text, &options).starts_with("r.csv: has a header but no ratings; "), "{text:?}");
    }
}

#[test]
fn binary_files_and_utf_16_are_refused() {
    let options = ReadOptions::default();
    assert!(refused(b"1,2,3\n\0\x01\x02", &options).starts_with("r.csv: looks like a binary file; "));
    assert!(refused(b"\xff\xfe1\0,\0", &options).contains("UTF-16 text; convert it to UTF-8"));
    assert!(refused(b"\x1f\x8b\x08\0\0\0", &options).contains("gzip stream ends early; download it again"));
}

#[test]
fn a_flipped_bit_is_not_taken_for_a_wrong_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.csv.gz");
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    let lines: String = (0..5_000).map(|n| format!("{},{},{}\n", n / 50, n % 50, n % 5)).collect();
    packed.write_all(lines.as_bytes()).unwrap();
    let mut packed = packed.finish().unwrap();
    let refused = |packed: &[u8]| {
        fs::write(&path, packed).unwrap();
        read_ratings([&path], &ReadOptions::default()).unwrap_err().to_string()
    };
    // Stored as it is, a comma that becomes a line break is a wrong line, and damage.
    let comma = 20_000 + packed[20_000..].iter().position(|&byte| byte == b',').unwrap();
    packed[comma] = b'\n';
    assert!(refused(&packed).contains("gzip stream is damaged"), "{}", refused(&packed));
    // What is whole and wrong is a wrong line.
    let mut whole = GzEncoder::new(Vec::new(), Compression::fast());
    whole.write_all(format!("{lines}1,2,x\n").as_bytes()).unwrap();
    let line = refused(&whole.finish().unwrap());
    assert!(line.contains("r.csv.gz:5001: rating \"x\" is not a number"), "{line}");
}

#[test]
fn the_header_can_be_forced() {
    let header = |header| ReadOptions { header: Some(header), ..ReadOptions::default() };
    assert_eq!(read("1,2,3\n4,5,6\n", &header(true)).unwrap(), ratings(&[("4", "5", 6.0)]));
    assert_eq!(read("rating,user,item\n1,2,3\n", &header(true)).unwrap(), ratings(&[("2", "3", 1.0)]));
    let found = refused("user,item,rating\n1,2,3\n", &header(false));
    assert!(found.starts_with("r.csv:1: rating \"rating\" is not a number; "), "{found}");
}

#[test]
fn columns_by_number_and_by_name() {
    let text = "ts,stars,film,who\n9,4,Alien,Ann\n9,5,Brazil,Ben\n";
    let expected = ratings(&[("Ann", "Alien", 4.0), ("Ben", "Brazil", 5.0)]);
    assert_eq!(read(text, &columns("who,film,stars")).unwrap(), expected);
    assert_eq!(read(text, &columns("WHO, Film,stars")).unwrap(), expected);
    assert_eq!(read(text, &columns("4,3,2")).unwrap(), expected);
    assert_eq!(read("9,4,Alien,Ann\n9,5,Brazil,Ben\n", &columns("4,3,2")).unwrap(), expected);
    let found = refused(text, &columns("who,movie,stars"));
    assert!(
        found.starts_with("r.csv:1: no column is called \"movie\"; there are \"ts\", \"stars\""),
        "{found}"
    );
    let found = refused("9,4,Alien,Ann\n", &columns("who,film,stars"));
    assert!(found.starts_with("r.csv:1: there is no header, so no column is called \"who\"; "), "{found}");
    let found = refused(text, &columns("4,3,5"));
    assert!(found.starts_with("r.csv:1: has 4 columns, column 5 (rating) is missing; "), "{found}");
    assert_eq!(read(text, &columns("4,3")).unwrap_err().exit_code(), 2);
    // The separator is found with the columns asked for in mind.
    assert_eq!(read("a b,c,d,4\n", &columns("1,2,4")).unwrap(), ratings(&[("a b", "c", 4.0)]));
}

#[test]
fn a_line_with_more_columns_than_the_first_is_refused() {
    let expected = ratings(&[("1", "2", 3.0), ("1", "3", 4.0)]);
    for text in [
        "1,2,3\n1,3,4,\n",
        "1;2;3;\n1;3;4;;; ;\n",
        "1,2,3\n\"1\",3,4,\"\",\n",
        "1::2::3\n1::3::4::\n",
        "1 2 3\n1 3 4  \n",
    ] {
        assert_eq!(auto(text), expected, "separators alone are no columns: {text:?}");
    }
    let options = ReadOptions::default();
    for text in ["1,2,3\n1,3,4,5\n", "1,2,3\n1,\"3\",4,,5\n", "1::2::3\n1::3::4::5\n", "1 2 3\n1 3 4 5\n"] {
        let found = refused(text, &options);
        assert!(
            found.starts_with("r.csv:2: has more columns than the 3 of the first line; "),
            "{text:?}: {found}"
        );
    }
    // A title with a comma in it has moved the rating: 5 is not what was rated.
    let found = refused("user,title,rating,ts\na,Alien,4,9\nb,Ready, 5,1,9\n", &columns("user,title,rating"));
    assert!(found.starts_with("r.csv:3: has more columns than the 4 "), "{found}");
}

#[test]
fn a_name_that_two_columns_have_is_refused_where_it_is_read() {
    let text = "user,item,stars,stars,note,note\n1,2,3,4,,\n";
    let found = refused(text, &columns("user,item,stars"));
    assert!(found.starts_with("r.csv:1: more than one column is called \"stars\"; "), "{found}");
    assert_eq!(read(text, &columns("1,2,4")).unwrap(), ratings(&[("1", "2", 4.0)]));
    // Letter by letter they differ, so a name that is given is clear; one that is known is not.
    let text = "user,item,rating,Rating\n1,2,3,4\n";
    assert_eq!(read(text, &columns("user,item,Rating")).unwrap(), ratings(&[("1", "2", 4.0)]));
    assert!(refused(text, &ReadOptions::default()).contains("more than one column is called \"rating\""));
}

#[test]
fn duplicates_are_refused_unless_a_rule_is_given() {
    let text = "user,item,rating\n1,a,1\n2,a,2\n\n1,a,4\n";
    let found = refused(text, &ReadOptions::default());
    assert!(found.starts_with("r.csv:5: user \"1\" rated item \"a\" on line 2 already; "), "{found}");
    for (duplicates, kept) in [
        (Duplicates::First, [("1", "a", 1.0), ("2", "a", 2.0)]),
        (Duplicates::Mean, [("1", "a", 2.5), ("2", "a", 2.0)]),
    ] {
        let options = ReadOptions { duplicates, ..ReadOptions::default() };
        assert_eq!(read(text, &options).unwrap(), ratings(&kept));
    }
    let options = ReadOptions { duplicates: Duplicates::Last, ..ReadOptions::default() };
    let last = read(text, &options).unwrap();
    assert_eq!((last.user, last.value), (vec![1, 0], vec![2.0, 4.0]));
    let triples = with(text, |path| read_triples([path], &ReadOptions::default())).unwrap();
    assert_eq!((triples.user, triples.value), (vec![0, 1, 0], vec![1.0, 2.0, 4.0]));
}

#[test]
fn timestamps_are_read_where_they_are_asked_for() {
    let timed = ReadOptions { time: true, ..ReadOptions::default() };
    let text = "timestamp,user,item,rating\n7,1,a,1\n2005-04-02,2,a,2\n-3,2,b,3\n";
    let with = read(text, &timed).unwrap();
    let without = auto(text);
    assert_eq!(with.time, Some(vec![7, 1_112_400_000, -3]));
    assert_eq!(without.time, None);
    assert_eq!(Ratings { time: None, ..with.clone() }, without);
    assert_eq!(with.hash(), without.hash(), "time changes no hash");
    let headless = read("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", &timed).unwrap();
    assert_eq!(headless.time, Some(vec![881_250_949, 891_717_742]));
    let named = ReadOptions { time: true, ..columns("who,what,stars,when") };
    assert_eq!(read("when,who,what,stars\n5,a,b,1\n", &named).unwrap().time, Some(vec![5]));
    // Of duplicates the time goes with the rating that stays.
    let twice = "1,a,1,10\n2,a,2,20\n1,a,4,30\n";
    for (duplicates, times) in
        [(Duplicates::First, [10, 20]), (Duplicates::Last, [20, 30]), (Duplicates::Mean, [10, 20])]
    {
        let options = ReadOptions { duplicates, ..timed.clone() };
        assert_eq!(read(twice, &options).unwrap().time, Some(times.to_vec()));
    }
    for (text, message) in [
        ("1,2,3,4\n1,3,3,soon\n", "r.csv:2: timestamp \"soon\" is neither seconds nor a date; "),
        ("1,2,3,4\n1,3,3,\n", "r.csv:2: the timestamp is empty; "),
        ("1,2,3,4\n1,3,3\n", "r.csv:2: has 3 columns, column 4 (timestamp) is missing; "),
        ("1,2,3\n", "r.csv:1: has no fourth column with a timestamp; "),
        ("user,item,rating\n1,2,3\n", "r.csv:1: no column is known to hold timestamps: "),
    ] {
        let found = refused(text, &timed);
        assert!(found.starts_with(message), "{text:?}: {found}");
        assert!(text.contains("\n1,3") || auto(text).time.is_none());
    }
}

#[test]
fn pairs_come_one_by_one_with_their_lines() {
    let pairs = |text: &str, options: &ReadOptions| {
        with(text, |path| {
            let mut pairs = Vec::new();
            let count = read_pairs([path], options, |pair| {
                pairs.push((
                    String::from_utf8_lossy(pair.user).into_owned(),
                    String::from_utf8_lossy(pair.item).into_owned(),
                    pair.place.number,
                ));
                Ok(())
            })?;
            assert_eq!(count as usize, pairs.len());
            Ok::<_, Error>(pairs)
        })
    };
    let pair = |user: &str, item: &str, line| (user.to_owned(), item.to_owned(), line);
    let auto = ReadOptions::default();
    assert_eq!(pairs("1,2\n\n1,2\n", &auto).unwrap(), [pair("1", "2", 1), pair("1", "2", 3)]);
    assert_eq!(pairs("user,item\n1,2\n", &auto).unwrap(), [pair("1", "2", 2)]);
    assert_eq!(pairs("item,user\n1,2\n", &auto).unwrap(), [pair("2", "1", 2)]);
    assert_eq!(pairs("Ann,Alien\nBen,Brazil\n", &auto).unwrap().len(), 2, "names are not a header");
    assert_eq!(pairs("1,2,not a rating\n", &auto).unwrap(), [pair("1", "2", 1)]);
    assert_eq!(pairs("1,2\n", &columns("2,1")).unwrap(), [pair("2", "1", 1)]);
    assert!(
        pairs("1,2\n3\n", &auto).unwrap_err().to_string().contains("r.csv:2: has 1 column, column 2 (item)")
    );
    assert!(pairs("", &auto).unwrap_err().to_string().contains("is empty"));

    let stopped = with("1,2\n3,4\n", |path| {
        read_pairs([path], &auto, |pair| Err(Error::usage(format!("stopped at {}", pair.place), "go on")))
    });
    assert_eq!(stopped.unwrap_err().to_string(), "stopped at line 1; go on");
}

#[test]
fn a_missing_file_is_no_input() {
    let error = read_ratings(["/nowhere/r.csv"], &ReadOptions::default()).unwrap_err();
    assert_eq!(error.exit_code(), 66);
    assert!(error.to_string().starts_with("/nowhere/r.csv: "), "{error}");
}

#[test]
fn separators_and_duplicates_are_parsed_by_name() {
    for (text, separator) in [
        ("auto", Separator::Auto),
        ("::", Separator::DoubleColon),
        ("tab", Separator::Byte(b'\t')),
        ("\\t", Separator::Byte(b'\t')),
        ("\t", Separator::Byte(b'\t')),
        ("comma", Separator::Byte(b',')),
        (";", Separator::Byte(b';')),
        ("^", Separator::Byte(b'^')),
        (" ", Separator::Byte(b' ')),
    ] {
        assert_eq!(text.parse::<Separator>().unwrap(), separator);
    }
    for text in ["", "a", "7", "\"", ".", "-", ",,", "é"] {
        assert_eq!(text.parse::<Separator>().unwrap_err().exit_code(), 2, "{text}");
    }
    for choice in Duplicates::ALL {
        assert_eq!(choice.name().parse::<Duplicates>().unwrap(), choice);
    }
    assert!(
        "frist".parse::<Duplicates>().unwrap_err().to_string().contains("pass error, first, last or mean")
    );
}

#[test]
fn no_input_makes_the_reader_panic() {
    const BYTES: &[u8] = b"\"\"\",,;|\t:: 12.-einfna\r\n\n\x1f\x8b\xff\xef\xbb\xbf\0";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.csv");
    let (mut read, mut refused) = (0, 0);
    for seed in 0..3_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = b"user,item,rating,note\n1,\"a\",3.5\r\n2,\"b\"\"c\",4,\"x\ny\"\n\n3,c,2\n".to_vec();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..3) {
                0 => bytes[at] = BYTES[rng.random_range(0..BYTES.len())],
                1 => bytes.insert(at, BYTES[rng.random_range(0..BYTES.len())]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        fs::write(&path, &bytes).unwrap();
        match read_ratings([&path], &ReadOptions::default()) {
            Ok(ratings) => {
                read += 1;
                assert!(!ratings.is_empty() && ratings.value.iter().all(|value| value.is_finite()));
                assert!(ratings.user.iter().all(|&user| (user as usize) < ratings.users.len()));
                assert!(ratings.item.iter().all(|&item| (item as usize) < ratings.items.len()));
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.exit_code(), 65, "{bytes:?}: {error}");
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
    assert!(read > 300 && refused > 300, "{read} read, {refused} refused");
}
