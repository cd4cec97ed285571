//! Days when the ratings are to blame.

use super::{Day, Here, Tests, bad_ratings, predicted, trains};

/// In the order of the docs.
pub(super) const DAYS: &[Day] = &[
    Day {
        case: "NaN, inf, 1e39 (infinite as f32), text where a number belongs, a missing column",
        behaviour: "`file:line`: what stands there and what was expected",
        codes: "65",
        proof: Here(|folder| {
            for rating in ["NaN", "inf", "-inf", "1e39", "good", "3,5"] {
                let text = format!("user;item;rating\na;x;4\nb;y;{rating}\n");
                bad_ratings(folder, text, &["error: bad.csv:3: "]);
            }
            bad_ratings(folder, "user,item,rating\na,x,4\nb,y\n", &["error: bad.csv:3: "]);
            bad_ratings(folder, "user,item\na,x\n", &["error: bad.csv:1: "]);
        }),
    },
    Day {
        case: "an empty file; a header and nothing else",
        behaviour: "says so",
        codes: "65",
        proof: Here(|folder| {
            bad_ratings(folder, "", &["bad.csv", "; "]);
            bad_ratings(folder, "user,item,rating\n", &["bad.csv", "; "]);
            bad_ratings(folder, "\n\n\r\n", &["bad.csv", "; "]);
        }),
    },
    Day {
        case: "the same user and item twice",
        behaviour: "names both lines; `--duplicates first`, `last` or `mean` takes them",
        codes: "65",
        proof: Here(|folder| {
            let twice = "user,item,rating\na,x,4\nb,y,1\na,x,5\n";
            bad_ratings(folder, twice, &["error: bad.csv:4: ", "line 2", "--duplicates"]);
            trains(folder, twice, &["--duplicates", "mean"]);
        }),
    },
    Day {
        case: "ids such as 007, with quotes, spaces, in Unicode or 300 bytes long",
        behaviour: "opaque bytes, kept as they are",
        codes: "0",
        proof: Here(|folder| {
            let long = "x".repeat(300);
            let text = format!("user,item,rating\n007,\"a, \"\"b\"\"\",1\n7, c d ,2\n☃é,{long},3\n");
            trains(folder, &text, &[]);
            let card = &folder.json(&["inspect", "new", "--json"])[0];
            assert_eq!((&card["data"]["users"], &card["data"]["items"]), (&3.into(), &3.into()));
            let answers = predicted(folder, &format!("user,item\n007,\"a, \"\"b\"\"\"\n☃é,{long}\n"));
            assert!(answers.contains("007,\"a, \"\"b\"\"\",") && answers.contains(&format!("☃é,{long},")));
        }),
    },
    Day {
        case: "a byte order mark, CRLF, no final newline, all mixed",
        behaviour: "read like any other file",
        codes: "0",
        proof: Here(|folder| {
            let plain = "user,item,rating\na,x,1\nb,y,2\na,y,3\n";
            trains(folder, plain, &[]);
            let model = folder.read("new");
            trains(folder, "\u{feff}user,item,rating\r\na,x,1\nb,y,2\r\na,y,3", &[]);
            assert!(folder.read("new") == model);
        }),
    },
    Day {
        case: "a quote that is never closed",
        behaviour: "the line where it opened, not a silent end of the file",
        codes: "65",
        proof: Here(|folder| {
            bad_ratings(
                folder,
                "user,item,rating\na,x,1\nb,\"y,2\nc,z,3\n",
                &["error: bad.csv:3: ", "quote"],
            );
        }),
    },
    Day {
        case: "a gzip file that is cut short or damaged; one of several members",
        behaviour: "refused; all members are read",
        codes: "65; 0",
        proof: Tests(&[
            "broken::delimited",
            "data::source::tests::gzip_is_known_by_its_content_and_all_members_are_read",
        ]),
    },
    Day {
        case: "users × items above 2³²; more than 2³² ratings",
        behaviour: "counts and offsets have 64 bits; what a device numbers with 32 is cut into tiles",
        codes: "0",
        proof: Here(|folder| {
            let ratings: String =
                (0..70_000).map(|p| format!("u{p},i{},{}\n", p * 3 % 70_000, p % 5)).collect();
            trains(folder, format!("user,item,rating\n{ratings}"), &["--optimizer", "als", "--epochs", "1"]);
            let data = &folder.json(&["inspect", "new", "--json"])[0]["data"];
            assert_eq!((&data["users"], &data["items"]), (&70_000.into(), &70_000.into()));
            assert!(predicted(folder, "user,item\nu69999,i69997\n").contains("u69999,i69997,"));
            let deltav::data::Compressed { offsets, .. } = deltav::data::Compressed::default();
            let _: Vec<u64> = offsets;
        }),
    },
    Day {
        case: "one rating; a user with none left to train on; all ratings equal",
        behaviour: "trains; predicts the mean, and says so",
        codes: "0",
        proof: Here(|folder| {
            trains(folder, "user,item,rating\na,x,3\n", &[]);
            assert!(predicted(folder, "user,item\na,x\nb,x\n").matches(",3").count() == 2);
            let said = trains(folder, "user,item,rating\na,x,3\nb,y,3\na,y,3\nc,x,3\n", &[]);
            assert!(said.contains("all ratings are 3"), "{said}");
            let ratings: String = (0..30).map(|p| format!("u{},i{},{}\n", p % 10, p % 7, p % 5)).collect();
            let said = trains(folder, format!("user,item,rating\n{ratings}"), &["--holdout", "0.8"]);
            assert!(said.contains("without a training rating"), "{said}");
        }),
    },
    Day {
        case: "a rank above the number of users or items",
        behaviour: "trains, with a notice",
        codes: "0",
        proof: Here(|folder| {
            let said = trains(folder, "user,item,rating\na,x,1\nb,y,2\na,y,3\n", &[]);
            assert!(!said.contains("exceeds"), "{said}");
            folder.write("small.csv", "user,item,rating\na,x,1\nb,y,2\na,y,3\n");
            let outcome = folder.run(&["train", "small.csv", "--rank", "8", "--device", "cpu"]);
            assert!(outcome.code == Some(0) && outcome.stderr.contains("rank 8 exceeds"), "{outcome:?}");
        }),
    },
    Day {
        case: "ratings from 1e-30 to 1e30, or near the end of f32",
        behaviour: "trains with the same factors as in other units; `--model plain`, which has no unit, is \
                    refused with what to pass; NaN in no answer",
        codes: "0; 2",
        proof: Tests(&[
            "magnitudes::ratings_of_any_size_train_or_are_refused_in_one_line",
            "magnitudes::a_gpu_trains_ratings_of_any_size",
            "magnitudes::other_units_give_the_same_factors",
        ]),
    },
];
