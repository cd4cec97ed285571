use super::super::find;
use super::*;

#[test]
fn settings_out_of_range_are_named() {
    let spec = find("sgd").unwrap();
    for (key, values) in [
        ("rate", &["0", "-1", "nan", "inf", "fast"][..]),
        ("adagrad", &["yes", "1", ""]),
        ("shuffle", &["true", "ON"]),
        ("blocks", &["0", "-1", "1.5", "many", "1e10"]),
    ] {
        for value in values {
            let error = spec.build(&[(key.to_owned(), (*value).to_owned())]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{key}={value}");
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}

#[test]
fn the_rate_that_ran_is_told() {
    let rate = |settings: &[(&str, &str)]| {
        let settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        find("sgd").unwrap().build(&settings).unwrap().settings()[0].clone()
    };
    assert_eq!(rate(&[]), ("rate", "0.2".to_owned()));
    assert_eq!(rate(&[("adagrad", "off")]), ("rate", "0.02".to_owned()));
    assert_eq!(rate(&[("adagrad", "off"), ("rate", "0.5")]), ("rate", "0.5".to_owned()));
}

#[test]
fn strides_are_primes_above_any_block() {
    let mut rng = stream(1, 1);
    for _ in 0..20 {
        let stride = prime(&mut rng);
        assert!(stride > 1 << 30 && stride < 1 << 31);
        assert!((2u64..50_000).all(|divisor| u64::from(stride) % divisor != 0), "{stride}");
    }
}

#[test]
fn tables_fit_their_buffer_and_no_larger_one_does() {
    for bytes in [24u64, 100, 1024, 1500, 4096, 1 << 20, 1 << 32] {
        let most = fitting_blocks(bytes);
        assert!(table_len(most) as u64 * 4 <= bytes, "{bytes}");
        assert!(table_len(most + 1) as u64 * 4 > bytes, "{bytes}");
    }
}

#[test]
fn blocks_grow_with_the_data() {
    assert_eq!([1, 255, 1024, 60_000].map(|cells| auto_blocks(cells, 10_000)), [1, 1, 2, 15]);
    // As many as threads may want, then as many as leave rows two ratings a block.
    assert_eq!([100_000, 1_000_000, 10_000_000].map(|cells| auto_blocks(cells, 10_000)), [16, 50, 500]);
    assert_eq!(auto_blocks(100_000_000, 10_000), MAX_BLOCKS);
    assert_eq!(auto_blocks(1_000_000, 1_000_000_000), 16);
}
