use super::*;

fn decide(line: &str, columns: Option<&str>, header: Option<bool>, roles: usize) -> Result<Layout> {
    let cells: Vec<&[u8]> = line.split(',').map(str::as_bytes).collect();
    let columns = columns.map(|text| text.parse().unwrap());
    resolve(&Location::line("f", 1), &cells, columns.as_ref(), header, roles)
}

fn found(line: &str, columns: Option<&str>, header: Option<bool>) -> (Vec<usize>, bool) {
    let layout = decide(line, columns, header, 3).unwrap();
    (layout.positions, layout.header)
}

fn refused(line: &str, columns: Option<&str>, header: Option<bool>) -> String {
    decide(line, columns, header, 3).unwrap_err().to_string()
}

#[test]
fn columns_are_parsed_as_people_write_them() {
    let name = |name: &str| Column::Name(name.to_owned());
    let parsed = |text: &str| text.parse::<Columns>().unwrap();
    assert_eq!(
        parsed("a, b,c"),
        Columns { user: name("a"), item: name("b"), rating: Some(name("c")), time: None }
    );
    assert_eq!(
        parsed("2,1,10"),
        Columns {
            user: Column::Index(2),
            item: Column::Index(1),
            rating: Some(Column::Index(10)),
            time: None
        }
    );
    assert_eq!(
        parsed("1,item"),
        Columns { user: Column::Index(1), item: name("item"), rating: None, time: None }
    );
    assert_eq!(parsed("1,2,3,when").time, Some(name("when")));
    for (text, part) in [
        ("0,1,2", "columns count from 1"),
        ("1,2,3,4,5", "are not a user, an item and a rating"),
        ("1", "are not a user, an item and a rating"),
        ("", "has no name"),
        ("1,,3", "has no name"),
        ("1,2,99999999999999999999", "there is no column 99999999999999999999"),
    ] {
        let error = text.parse::<Columns>().unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn well_known_names_count_in_any_order() {
    assert_eq!(found("userId,movieId,rating,timestamp", None, None), (vec![0, 1, 2], true));
    assert_eq!(found("Rating,Item_ID,User ID", None, None), (vec![2, 1, 0], true));
    assert_eq!(found("User-ID,ISBN,Book-Rating", None, None), (vec![0, 1, 2], true));
    assert_eq!(
        found("rating,title,text,asin,parent_asin,user_id", None, None),
        (vec![5, 4, 0], true),
        "the parent product before its variant"
    );
}

#[test]
fn other_headers_mean_the_first_three_columns() {
    assert_eq!(found("who,what,how much", None, None), (vec![0, 1, 2], true));
    assert_eq!(found("user,thing,points", None, None), (vec![0, 1, 2], true));
    let error = refused("points,user,thing", None, None);
    assert!(
        error.contains("does not tell user, item and rating: \"points\", \"user\", \"thing\""),
        "{error}"
    );
    assert!(decide("points,user,thing", Some("user,thing,points"), None, 3).is_ok());
}

#[test]
fn a_number_in_a_used_column_makes_it_data() {
    for line in
        ["1,2,3", "alice,film,4.5", "1,2,abc", "a,2,abc", "a,b,nan", "a,b,inf", "a,b, 3 ", "a,b,", "a,b"]
    {
        assert!(!found(line, None, None).1, "{line}");
    }
    assert!(found("a,b,c,4", None, None).1, "an unused column decides nothing");
    assert!(found("9,a,b,c", Some("2,3,4"), None).1);
    assert_eq!(found("1,2,3", None, Some(true)), (vec![0, 1, 2], true));
    assert_eq!(found("rating,user,item", None, Some(false)), (vec![0, 1, 2], false));
}

#[test]
fn pairs_have_a_header_only_if_a_name_is_known() {
    let header = |line| decide(line, None, None, 2).unwrap();
    assert_eq!(header("item,user"), Layout { positions: vec![1, 0], header: true });
    assert!(header("userId,thing").header);
    assert!(!header("alice,Alien").header && !header("1,2").header && !header("user,7").header);
    assert!(decide("alice,Alien", None, Some(true), 2).unwrap().header);
    assert!(decide("user,thing", Some("1,2,3"), None, 2).unwrap().header);
    // A known name where another is expected: to go by the order would be to turn the pairs round.
    for line in ["movie,who", "who,user"] {
        let error = decide(line, None, None, 2).unwrap_err().to_string();
        assert!(error.contains("name the") && error.contains("--columns"), "{error}");
    }
}

#[test]
fn names_are_looked_up_in_the_header() {
    assert_eq!(found("ts,Stars,who,what", Some("who,what,stars"), None), (vec![2, 3, 1], true));
    assert_eq!(found("a,A,b,c", Some("A,b,c"), None), (vec![1, 2, 3], true), "exactly, if possible");
    assert_eq!(found("who,what,stars", Some("1,2,stars"), None), (vec![0, 1, 2], true));
    let error = refused("who,what,stars", Some("who,which,stars"), None);
    assert!(
        error.contains("no column is called \"which\"; there are \"who\", \"what\", \"stars\""),
        "{error}"
    );
    for (line, header) in [("1,2,3", None), ("who,what,stars", Some(false))] {
        let error = refused(line, Some("who,what,stars"), header);
        assert!(error.contains("there is no header"), "{error}");
    }
    assert!(refused("1,2,3", Some("who,what,stars"), Some(true)).contains("no column is called \"who\""));
}

#[test]
fn a_missing_rating_or_a_column_used_twice_is_a_usage_error() {
    assert!(refused("1,2,3", Some("1,2"), None).contains("name no rating"));
    assert!(refused("1,2,3", Some("1,2,1"), None).contains("column 1 is asked for twice"));
    assert!(decide("1,2,3", Some("1,2"), None, 2).is_ok());
    let zero = Columns {
        user: Column::Index(0),
        item: Column::Index(1),
        rating: Some(Column::Index(2)),
        time: None,
    };
    let error = resolve(&Location::line("f", 1), &[b"1", b"2", b"3"], Some(&zero), None, 3).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn timestamps_are_found_where_they_are_asked_for() {
    let found = |line, columns, header| {
        let Layout { positions, header } = decide(line, columns, header, 4).unwrap();
        (positions, header)
    };
    assert_eq!(found("userId,movieId,rating,timestamp", None, None), (vec![0, 1, 2, 3], true));
    assert_eq!(found("unix_review_time,rating,date,item,user", None, None), (vec![4, 3, 1, 0], true));
    assert_eq!(found("who,what,how much,note,Date", None, None), (vec![0, 1, 2, 4], true));
    assert_eq!(found("196,242,3,881250949", None, None), (vec![0, 1, 2, 3], false));
    assert_eq!(found("196,242,3,2005-04-02", None, None), (vec![0, 1, 2, 3], false));
    assert_eq!(found("when,1,2,3", Some("2,3,4,1"), None), (vec![1, 2, 3, 0], false));
    assert_eq!(found("w,u,i,r", Some("u,i,r,w"), None), (vec![1, 2, 3, 0], true));
    for (line, columns, part) in [
        ("user,item,rating", None, "no column is known to hold timestamps: \"user\""),
        ("user,item,rating,note", None, "no column is known to hold timestamps"),
        ("1,2,3", None, "no fourth column with a timestamp"),
        ("1,2,3,4", Some("1,2,3"), "name no timestamp; add it as the fourth"),
        ("1,2,3,4", Some("1,2,3,3"), "asked for twice"),
    ] {
        let error = decide(line, columns, None, 4).unwrap_err().to_string();
        assert!(error.contains(part), "{line}: {error}");
    }
    // A fourth column changes nothing where no time is asked for.
    assert_eq!(decide("1,2,3,4", Some("1,2,3,4"), None, 3).unwrap().positions, [0, 1, 2]);
}

#[test]
fn the_known_names_are_distinct_and_normal() {
    let all: Vec<&str> = ROLES.iter().chain([&TIME]).flat_map(|role| role.known).copied().collect();
    for (index, name) in all.iter().enumerate() {
        assert_eq!(normal(name.as_bytes()), name.as_bytes());
        assert!(!all[..index].contains(name), "{name} twice");
    }
}
