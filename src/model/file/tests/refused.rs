//! Whatever a file may claim that is not so.

use super::*;

#[test]
fn other_files_are_refused() {
    assert!(load(b"").unwrap_err().contains("not a safetensors file"));
    assert!(load(b"user,item,rating\n1,2,3\n").unwrap_err().contains("not a safetensors file"));
    assert!(load(&[0; 64]).unwrap_err().contains("not a safetensors file"));
    assert!(load(&[0xff; 64]).unwrap_err().contains("not a safetensors file"));
    let mut other = Vec::new();
    let empty = safetensors::serialize::<&str, safetensors::tensor::TensorView<'_>, _>([], None).unwrap();
    other.extend(empty);
    assert!(load(&other).unwrap_err().contains("not a model of deltav"));
}

#[test]
fn a_future_format_says_to_update_whatever_else_it_holds() {
    let file = bytes(&known_answers(ModelKind::Biased));
    let future = replaced(&file, r#"{\"format\":2,\"kind\":\"biased\""#, r#"{\"format\":3,\"kind\":{}"#);
    assert!(load(&future).unwrap_err().ends_with("; update deltav"));
    let zero = replaced(&file, r#"\"format\":2"#, r#"\"format\":0"#);
    assert!(load(&zero).unwrap_err().contains("format 0"));
    let unknown = replaced(&file, r#"\"biased\""#, r#"\"cubist\""#);
    assert!(load(&unknown).unwrap_err().contains("cubist"));
    // What the file says is quoted on one line.
    let broken = replaced(&file, r#"\"biased\""#, r#"\"cub\\nist\""#);
    assert!(load(&broken).unwrap_err().contains("cub ist"));
    let name =
        replaced(&file, r#""user_bias":{"dtype":"F32","shape":[3]"#, r#""a\nb":{"dtype":"F32","shape":[4]"#);
    load(&name).unwrap_err();
}

#[test]
fn headers_that_lie_are_refused() {
    let file = bytes(&known_answers(ModelKind::Biased));
    let huge = usize::MAX;
    let lies = [
        // Shapes whose product overflows, is far beyond the file, or is just wrong.
        (r#""shape":[3,2]"#, format!(r#""shape":[{huge},{huge}]"#)),
        (r#""shape":[3,2]"#, format!(r#""shape":[{},4]"#, huge / 4)),
        (r#""shape":[3,2]"#, r#""shape":[1000000000000,2]"#.to_owned()),
        (r#""shape":[3,2]"#, r#""shape":[2,3]"#.to_owned()),
        (r#""shape":[3,2]"#, r#""shape":[6]"#.to_owned()),
        (r#""shape":[3,2]"#, r#""shape":[-3,-2]"#.to_owned()),
        // Types and names.
        (r#""dtype":"F32""#, r#""dtype":"U32""#.to_owned()),
        (r#""dtype":"F32""#, r#""dtype":"F16""#.to_owned()),
        (r#""dtype":"F64""#, r#""dtype":"I64""#.to_owned()),
        (r#""user_bias""#, r#""user_mood""#.to_owned()),
        (r#""scale""#, r#""mean""#.to_owned()),
        // Offsets.
        (r#""data_offsets":[0,"#, r#""data_offsets":[8,"#.to_owned()),
        (r#""data_offsets":[0,"#, format!(r#""data_offsets":[{huge},"#)),
        // The document.
        (r#"\"rank\":2"#, r#"\"rank\":3"#.to_owned()),
        (r#"\"rank\":2"#, r#"\"rank\":0"#.to_owned()),
        (r#"\"rank\":2"#, format!(r#"\"rank\":{huge}"#)),
        (r#"\"rating_min\":1.0"#, r#"\"rating_min\":9.0"#.to_owned()),
        (r#"\"rating_mean\":3.5"#, r#"\"rating_mean\":1e300"#.to_owned()),
        (r#"\"rating_mean\":3.5"#, r#"\"rating_mean\":null"#.to_owned()),
        (r#"\"clip\":true,"#, String::new()),
    ];
    for (from, to) in lies {
        let refused = load(&replaced(&file, from, &to));
        assert!(refused.is_err(), "{from} as {to}");
    }
    let deep = with_header(&file, |_| "[".repeat(1 << 20));
    assert!(load(&deep).is_err());
}

#[test]
fn a_header_of_more_values_than_a_model_has_is_not_parsed() {
    let file = bytes(&known_answers(ModelKind::Biased));
    let zeros =
        |count: usize| replaced(&file, r#""shape":[3,2]"#, &format!(r#""shape":[{}1]"#, "0,".repeat(count)));
    assert!(load(&zeros(100_000)).unwrap_err().contains("names more tensors or sizes"));
    assert!(!load(&zeros(90_000)).unwrap_err().contains("names more tensors or sizes"));
    assert_eq!(tensors::values(br#"{"a,\\":[1,2],"\",b":{"c":",\\\","}}"#), 2);
}

#[test]
fn a_rank_that_no_training_gives_is_refused_though_it_takes_no_room() {
    for rank in [512 * 64 + 1, usize::MAX] {
        let model = Model { rank, ..random_model(ModelKind::Biased, 0, 0, 1, 0.0, 1) };
        let error = load(&bytes(&model)).unwrap_err();
        assert!(error.contains(&format!("rank is {rank}, which is more than 32768")), "{error}");
    }
    let model = Model { rank: 512 * 64, ..random_model(ModelKind::Biased, 0, 0, 1, 0.0, 1) };
    assert_eq!(load(&bytes(&model)).unwrap(), model);
}

#[test]
fn numbers_that_lie_are_refused() {
    let model = known_answers(ModelKind::Biased);
    let refused = |edit: fn(&mut Model), expected: &str| {
        let mut model = model.clone();
        edit(&mut model);
        let error = load(&bytes(&model)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    refused(|m| m.user_factors[3] = f32::NAN, "user_factors holds NaN at position 3");
    refused(|m| m.item_factors[0] = f32::NEG_INFINITY, "item_factors holds -inf");
    refused(|m| m.user_bias[1] = f32::NAN, "user_bias");
    refused(|m| m.item_bias[2] = f32::INFINITY, "item_bias");
    refused(|m| m.mean = f64::NAN, "mean is NaN");
    refused(|m| m.mean = 1e300, "mean is");
    refused(|m| m.scale = -1.0, "scale is -1");
    refused(|m| m.scale = f64::INFINITY, "scale is inf");
    refused(|m| m.seen = pattern(&[vec![0], vec![0, 3], vec![]]), "holds item 3 of 3");
    refused(|m| m.seen = pattern(&[vec![0], vec![1, 0], vec![]]), "not in order");
    refused(|m| m.seen = pattern(&[vec![0], vec![1, 1], vec![]]), "not in order, each once");
    refused(|m| m.seen.offsets = vec![0, 3, 1, 3], "seen_offsets");
    refused(|m| m.seen.offsets = vec![1, 1, 3, 3], "seen_offsets");
    refused(|m| m.seen.offsets = vec![0, 1, 3, u64::MAX], "seen_offsets");
    refused(|m| m.seen.offsets = vec![0, 1, 3], "seen_offsets");
}

#[test]
fn names_that_lie_are_refused() {
    let model = Model { item_names: Some(ids(&["Heat", "", "Zoë"])), ..known_answers(ModelKind::Biased) };
    let file = bytes(&model);
    assert_eq!(load(&file).unwrap(), model);
    let plain = bytes(&known_answers(ModelKind::Biased));
    assert!(!String::from_utf8_lossy(&plain).contains("item_name"), "files without stay as they were");
    let other = replaced(&file, "\"item_name_offsets\"", "\"item_name_oddities\"");
    assert!(load(&other).unwrap_err().contains("has no tensor item_name_offsets"));
    let header = safetensors::SafeTensors::read_metadata(&file).unwrap();
    let start = 8 + header.0 + header.1.info("item_name_offsets").unwrap().data_offsets.0;
    // 7 is inside of a letter: it divides the bytes, but not the text.
    for (index, value, fine) in
        [(1, 3, true), (2, 6, true), (2, 7, false), (1, 9, false), (1, u64::MAX, false)]
    {
        let mut file = file.clone();
        file[start + 8 * index..][..8].copy_from_slice(&u64::to_le_bytes(value));
        assert_eq!(load(&sealed(file)).is_ok(), fine, "{value}");
    }
    for (names, what) in [
        (ids(&["Heat", "Zoë"]), "holds 2 names for 3 items"),
        (ids(&[&b"Heat"[..], b"Zo\xeb", b""]), "not UTF-8 at position 1"),
    ] {
        let model = Model { item_names: Some(names), ..model.clone() };
        let error = load(&bytes(&model)).unwrap_err();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn posteriors_that_lie_are_refused() {
    let refused = |edit: fn(&mut Posterior), expected: &str| {
        let mut model = random_model(ModelKind::Svdpp, 3, 4, 2, 0.5, 1);
        let mut posterior = random_posterior(&model, 1);
        edit(&mut posterior);
        model.posterior = Some(posterior);
        let error = load(&bytes(&model)).unwrap_err();
        assert!(error.contains(expected), "{error}");
        let (_folder, path) = folder();
        assert_eq!(model.save(&path, false).unwrap_err().exit_code(), 1, "{expected}");
    };
    refused(|p| p.user_variances[3] = f32::NAN, "user_variances holds NaN at position 3");
    refused(|p| p.item_variances[7] = f32::INFINITY, "item_variances holds inf at position 7");
    refused(|p| p.user_bias_variances[1] = -1e-9, "user_bias_variances holds -0.000000001 at position 1");
    refused(|p| p.item_bias_variances[2] = f32::NAN, "item_bias_variances");
    refused(|p| p.user_noise[0] = -1.0, "user_noise holds -1");
    refused(|p| p.user_prior[1] = f64::NAN, "user_prior holds NaN at position 1");
    refused(|p| p.item_prior[0] = 1e300, "item_prior holds 1000");
    refused(|p| p.noise = -0.5, "noise is -0.5");
    refused(|p| p.item_bias_prior = -1.0, "item_bias_prior is -1");
    refused(|p| p.calibration = Some(Calibration { factor: 0.0, ratings: 9 }), "factor is 0");
    refused(|p| p.calibration = Some(Calibration { factor: -2.0, ratings: 9 }), "factor is -2");
    refused(
        |p| p.mask.as_mut().unwrap().user_mask_factors[1] = f32::NAN,
        "user_mask_factors holds NaN at position 1",
    );
}

#[test]
fn a_posterior_is_read_whole_or_not_at_all() {
    let mut model = known_answers(ModelKind::Svdpp);
    model.posterior = Some(random_posterior(&model, 4));
    let file = bytes(&model);
    for name in [
        "user_variances",
        "item_variances",
        "user_bias_variances",
        "item_bias_variances",
        "user_noise",
        "user_prior",
        "item_prior",
        "user_mask_factors",
        "item_mask_factors",
    ] {
        let other = replaced(&file, &format!("\"{name}\""), "\"other\"");
        assert!(load(&other).unwrap_err().contains(&format!("has no tensor {name}")), "{name}");
    }
    for (from, to) in [
        (r#"\"noise\":0.3"#, r#"\"noise\":null"#),
        (r#"\"noise\":0.3"#, r#"\"noise\":1e999"#),
        (r#"\"noise\":0.3,"#, ""),
        (r#"\"mask\":true"#, r#"\"mask\":7"#),
    ] {
        assert!(load(&replaced(&file, from, to)).is_err(), "{from} as {to}");
    }
}

#[test]
fn a_baseline_is_read_whole_or_not_at_all() {
    let baseline = BaselineBiases { user_bias: vec![0.5, -0.25, 0.0], item_bias: vec![1.0, -0.0, 2.0] };
    let model = Model { baseline: Some(baseline), ..known_answers(ModelKind::Biased) };
    let file = bytes(&model);
    assert_eq!(load(&file).unwrap(), model);
    for name in BASELINE {
        let other = replaced(&file, &format!("\"{name}\""), "\"other\"");
        assert!(load(&other).unwrap_err().contains(&format!("has no tensor {name}")), "{name}");
    }
    let refused = |edit: fn(&mut BaselineBiases), expected: &str| {
        let mut model = model.clone();
        edit(model.baseline.as_mut().unwrap());
        let error = load(&bytes(&model)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    refused(|b| b.user_bias[2] = f32::NAN, "baseline_user_bias holds NaN at position 2");
    refused(|b| b.item_bias[0] = f32::INFINITY, "baseline_item_bias holds inf at position 0");
    let longer = replaced(
        &file,
        r#""baseline_user_bias":{"dtype":"F32","shape":[3]"#,
        r#""baseline_user_bias":{"dtype":"F32","shape":[4]"#,
    );
    assert!(load(&longer).is_err());
    let old = bytes(&known_answers(ModelKind::Biased));
    assert!(!String::from_utf8_lossy(&old).contains("baseline"), "files without one stay as they were");
}

#[test]
fn what_a_document_may_leave_out_is_filled_in() {
    let model = known_answers(ModelKind::Biased);
    let file = bytes(&model);
    let text = r#",\"device\":\"cpu\""#;
    assert_eq!(load(&replaced(&file, text, "")).unwrap().metadata.device, "");
    assert!(!String::from_utf8_lossy(&file).contains("posterior"), "files without one stay as they were");
    let with = Model { posterior: Some(known_posterior(ModelKind::Biased)), ..model };
    assert_eq!(load(&bytes(&with)).unwrap(), with);
}

#[test]
fn id_offsets_that_lie_are_refused() {
    let file = bytes(&known_answers(ModelKind::Biased));
    let (size, header) = safetensors::SafeTensors::read_metadata(&file).unwrap();
    let start = 8 + size + header.info("user_id_offsets").unwrap().data_offsets.0;
    for (index, value) in [(0, 1_u64), (1, 7), (3, u64::MAX), (3, 8), (2, u64::MAX)] {
        let mut file = file.clone();
        file[start + 8 * index..][..8].copy_from_slice(&value.to_le_bytes());
        let error = load(&sealed(file)).unwrap_err();
        assert!(error.contains("user_id_offsets"), "{error}");
    }
}
