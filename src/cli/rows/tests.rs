use super::*;

const COLUMNS: [Column; 5] = [
    Column::text("user"),
    Column::text("item"),
    Column::count("rank"),
    Column::number("score"),
    Column(Cow::Borrowed("unknown"), Kind::Remark),
];

fn written(form: Form, rows: &[[Cell<'_>; 5]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Rows::new(&mut out, "out".into(), form, COLUMNS.to_vec()).unwrap();
    rows.iter().for_each(|row| writer.row(row).unwrap());
    writer.finish().unwrap();
    out
}

fn row<'a>(user: &'a [u8], item: &'a [u8]) -> [Cell<'a>; 5] {
    [Cell::id(user), Cell::id(item), Cell::Count(7), Cell::Number(Some(0.1)), Cell::Text(None)]
}

#[test]
fn ids_are_quoted_only_where_csv_needs_it_and_kept_byte_for_byte() {
    let rows = [row(b"007", b"a,b"), row(b"say \"hi\"", b"\xff\xfe"), row(b" x ", "Zoë".as_bytes())];
    assert_eq!(
        written(Form::Csv, &rows),
        b"user,item,rank,score\n007,\"a,b\",7,0.1\n\"say \"\"hi\"\"\",\xff\xfe,7,0.1\n x ,Zo\xc3\xab,7,0.1\n"
    );
    let missing = [[Cell::Text(None), Cell::id(b""), Cell::Count(0), Cell::Number(None), Cell::id(b"user")]];
    assert_eq!(written(Form::Csv, &missing), b"user,item,rank,score\n,,0,\n");
}

#[test]
fn json_has_an_object_a_line_with_null_for_what_is_missing() {
    let rows = [
        row(b"a\"b", "Zoë".as_bytes()),
        [Cell::Text(None), Cell::id(b"i"), Cell::Count(1), Cell::Number(None), Cell::id(b"user")],
    ];
    assert_eq!(
        String::from_utf8(written(Form::Json, &rows)).unwrap(),
        "{\"user\":\"a\\\"b\",\"item\":\"Zoë\",\"rank\":7,\"score\":0.1,\"unknown\":null}\n\
         {\"user\":null,\"item\":\"i\",\"rank\":1,\"score\":null,\"unknown\":\"user\"}\n"
    );
    assert_eq!(written(Form::Json, &[]), b"");
    assert_eq!(written(Form::Csv, &[]), b"user,item,rank,score\n", "a header even without rows");
}

#[test]
fn text_that_is_none_is_refused_where_it_can_t_be_kept() {
    let refusal = |form: Form| {
        let mut out = Vec::new();
        let mut rows = Rows::new(&mut out, "a".into(), form, COLUMNS.to_vec()).unwrap();
        rows.row(&row(b"1", b"2")).unwrap();
        rows.row(&row(b"\xff", b"2")).err()
    };
    assert!(refusal(Form::Csv).is_none() && refusal(Form::Tsv).is_none());
    let forms = [
        ("JSON", Form::Json),
        #[cfg(feature = "parquet")]
        ("Parquet", Form::Parquet),
    ];
    for (name, form) in forms {
        let error = refusal(form).unwrap();
        assert_eq!(error.exit_code(), 73);
        let expected = format!("a: can't hold \"\\xff\": text in {name} is UTF-8; write CSV");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn a_file_s_name_says_its_form_unless_a_flag_does() {
    let of = |out: &str, json| form(Some(Path::new(out)), json).unwrap();
    assert_eq!((form(None, false).unwrap(), form(None, true).unwrap()), (Form::Csv, Form::Json));
    for out in ["a.csv", "a", "a.txt", "json", "a.b"] {
        assert_eq!((of(out, false), of(out, true)), (Form::Csv, Form::Json), "{out}");
    }
    assert_eq!((of("a.jsonl", false), of("b/a.JSON", false)), (Form::Json, Form::Json));
    assert_eq!((of("a.ndjson", false), of("a.tsv", false)), (Form::Json, Form::Tsv));
    for out in ["a.Parquet", "a.pq"] {
        assert_eq!(form(Some(Path::new(out)), false).is_ok(), cfg!(feature = "parquet"));
        assert_eq!(form(Some(Path::new(out)), true).unwrap_err().exit_code(), 2);
    }
    for out in ["a.csv.gz", "a.xlsx", "a.npz"] {
        assert_eq!(form(Some(Path::new(out)), true).unwrap_err().exit_code(), 2, "{out}");
    }
}
