//! Whole pages: well-formed, closed in themselves, the same every time, of odd models, too.

use roxmltree::{Document, Node};

use super::*;
use crate::backend::cpu::CpuBackend;
use crate::config::{ModelKind, Reg, TrainConfig};
use crate::data::Ratings;
use crate::data::planted::Planted;
use crate::event::Event;
use crate::model::testing::{ids, known_answers, known_posterior, random_model};
use crate::train::{Dataset, train};

fn page(model: &Model, about: About<'_>) -> String {
    let mut cpu = CpuBackend::new(Some(2)).unwrap();
    let html = Report::new("model", &model.predictor(), about, &mut cpu).unwrap().html().unwrap();
    check(&html);
    html
}

/// What must hold of every page.
fn check(html: &str) {
    let text = html.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let document = Document::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let all: Vec<Node<'_, '_>> = document.descendants().filter(Node::is_element).collect();
    for node in &all {
        let name = node.tag_name().name();
        let foreign =
            ["script", "link", "img", "iframe", "object", "embed", "image", "use", "a:href", "foreignObject"];
        assert!(!foreign.contains(&name), "<{name}>");
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(!key.starts_with("on") && key != "src" && key != "style", "{key}");
            assert!(key != "href" || value.starts_with('#'), "{value}");
            assert!(!value.contains("url(") && !value.contains("://"), "{key}={value}");
            for part in value.split([' ', ',', '-']) {
                assert!(!["NaN", "nan", "inf"].contains(&part), "{key}={value}");
            }
        }
        let text = node.text().unwrap_or_default();
        if name == "style" {
            assert!(!text.contains("url(") && !text.contains("@import") && !text.contains("://"));
        } else {
            assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
        }
    }
    let policy = all.iter().find(|node| node.attribute("http-equiv") == Some("Content-Security-Policy"));
    assert!(
        policy
            .unwrap()
            .attribute("content")
            .unwrap()
            .starts_with("default-src 'none'; style-src 'unsafe-inline'")
    );
    let drawings: Vec<_> = all.iter().filter(|node| node.tag_name().name() == "svg").collect();
    for svg in &drawings {
        assert_eq!(svg.attribute("role"), Some("img"));
        let title = svg.first_element_child().unwrap();
        assert_eq!((title.tag_name().name(), title.text()), ("title", svg.attribute("aria-label")));
        let figure = svg.parent().unwrap();
        assert!(
            figure.children().any(|node| node.tag_name().name() == "details"),
            "numbers behind {title:?}"
        );
    }
    let colors: Vec<&str> = drawings
        .iter()
        .flat_map(|svg| svg.descendants())
        .flat_map(|node| [node.attribute("fill"), node.attribute("stroke")])
        .flatten()
        .filter(|color| *color != "none")
        .collect();
    let style = include_str!("report.css");
    assert!(
        colors.iter().all(|color| style.contains(&format!("=\"{color}\"]"))),
        "a colour that the dark has not"
    );
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
}

/// A trained model with its data, and the epochs that it told.
fn trained(config: TrainConfig, ratings: Ratings, holdout: Option<f64>) -> (Model, Dataset, Vec<Epoch>) {
    let (train_on, valid) = match holdout {
        Some(share) => {
            let (train_on, valid) = ratings.split(share, 1).unwrap();
            (train_on, Some(valid))
        }
        None => (ratings, None),
    };
    let data = Dataset { train: train_on, valid, test: None };
    let mut epochs = Vec::new();
    let mut observer = |event: &Event| {
        if let Event::Epoch(epoch) = event {
            epochs.push(*epoch);
        }
    };
    let model =
        train(config.check().unwrap(), &data, &mut CpuBackend::new(Some(2)).unwrap(), &mut observer).unwrap();
    (model, data, epochs)
}

fn planted() -> Ratings {
    Planted::new(150, 120, 4_000).seed(2).generate().unwrap().ratings
}

fn small() -> TrainConfig {
    TrainConfig { rank: 6, epochs: Some(12), ..TrainConfig::default() }
}

fn pictures(html: &str) -> usize {
    html.matches("<svg ").count()
}

#[test]
fn a_whole_report_has_every_picture_and_is_the_same_every_time() {
    let (model, data, epochs) = trained(small(), planted(), Some(0.1));
    let about = || About {
        measured: data.valid.as_ref().map(|valid| (valid, Part::Validation)),
        epochs: epochs.clone(),
        command: Some("deltav train 'a b'".to_owned()),
        memory: vec![("training".to_owned(), 12_345_678)],
        file_bytes: Some(1_000),
        notes: vec!["mind this".to_owned()],
    };
    let html = page(&model, about());
    assert_eq!(pictures(&html), 11, "two curves, six of errors, lists, spectrum, map");
    for part in [
        "mind this",
        "deltav train &#39;a b&#39;",
        "11.77 MiB",
        &model.metadata.data_hash,
        "bias of user and item",
        "ndcg@10",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(html, page(&model, about()));
    // Without the run and without ratings: curve by epoch, lists, spectrum, map.
    let alone = page(&model, About::default());
    assert_eq!(pictures(&alone), 4);
    assert!(alone.contains("Nothing to measure with") && alone.contains("no clock in it"));
    for part in [Part::Test, Part::Unseen, Part::Training] {
        let measured = data.valid.as_ref().map(|valid| (valid, part));
        assert!(page(&model, About { measured, ..About::default() }).contains(part.name()));
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_threads() {
    let (model, data, _) = trained(small(), planted(), Some(0.1));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let measured = data.valid.as_ref().map(|valid| (valid, Part::Validation));
        pool.install(|| page(&model, About { measured, ..About::default() }))
    };
    assert!(with(1) == with(3));
}

#[test]
fn text_of_data_is_text() {
    let mut model = random_model(ModelKind::Biased, 12, 9, 3, 0.6, 1);
    let names = [
        "<script>alert(1)</script>",
        "\"quoted\" & 'so'",
        "bell\u{7} and \u{1b}[31m",
        "של\u{202e}ום",
        "]]>",
        "",
        "&amp;",
        "\u{ffff}",
        "-->",
    ];
    model.item_names = Some(ids(&names));
    model.metadata.device = "<b>GPU</b>".to_owned();
    model.metadata.optimizer = "</style><script>".to_owned();
    model.metadata.settings.insert("</pre><x>".to_owned(), "\"".to_owned());
    let html = page(&model, About::default());
    assert!(!html.contains("<script") && !html.contains("<x>") && !html.contains("<b>"));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !html.contains('\u{1b}'));
    model.item_names = None;
    model.items = ids(&[&b"\xff\x00"[..], b"<i>", b"2", b"3", b"4", b"5", b"6", b"7", b"8"]);
    assert!(page(&model, About::default()).contains("&lt;i&gt;"));
}

#[test]
fn odd_models_have_reports() {
    let all_of = |data: &Dataset| -> Held {
        let some = |indices: &[u32]| indices.iter().copied().map(Some).collect();
        Held { user: some(&data.train.user), item: some(&data.train.item), value: data.train.value.clone() }
    };
    let one_user = || Planted::new(1, 40, 30).seed(1).generate().unwrap().ratings;
    let equal = || Ratings { value: vec![3.0; 4_000], ..planted() };
    let (biased, plain) = (Some(ModelKind::Biased), Some(ModelKind::Plain));
    let fixed = Some(Reg::Fixed(1.0));
    let odd = [
        ("rank 1", TrainConfig { rank: 1, ..small() }, planted()),
        ("one user", small(), one_user()),
        ("average", TrainConfig { average: 2, ..small() }, planted()),
        ("plain", TrainConfig { model: plain, reg: fixed, clip: false, ..small() }, planted()),
        ("no posterior", TrainConfig { model: biased, reg: fixed, ..small() }, planted()),
        ("all equal", small(), equal()),
        ("all equal, plain", TrainConfig { model: plain, ..small() }, equal()),
        ("no epoch", TrainConfig { epochs: Some(0), ..small() }, planted()),
        ("one epoch", TrainConfig { epochs: Some(1), ..small() }, planted()),
    ];
    for (what, config, ratings) in odd {
        let (model, data, epochs) = trained(config, ratings, None);
        let held = all_of(&data);
        let html =
            page(&model, About { measured: Some((&held, Part::Training)), epochs, ..About::default() });
        assert!(html.contains("Measured on the training ratings"), "{what}");
        page(&model, About::default());
        let one = Held { user: vec![Some(0)], item: vec![None], value: vec![4.0] };
        page(&model, About { measured: Some((&one, Part::Test)), ..About::default() });
    }
}

#[test]
fn models_that_know_little_or_nothing_have_reports() {
    for kind in ModelKind::ALL {
        page(&known_answers(kind), About::default());
    }
    let mut model = known_answers(ModelKind::Biased);
    model.posterior = Some(known_posterior(ModelKind::Biased));
    model.metadata.curve.clear();
    model.metadata.metrics.clear();
    let held = Held { user: vec![Some(0), None], item: vec![Some(1), None], value: vec![4.0, 2.0] };
    page(&model, About { measured: Some((&held, Part::Unseen)), ..About::default() });
    let nobody = random_model(ModelKind::Biased, 3, 4, 2, 0.0, 1);
    assert_eq!(pictures(&page(&nobody, About::default())), 1, "the curve alone");
    page(&random_model(ModelKind::Biased, 0, 0, 2, 0.0, 1), About::default());
    let mut large = random_model(ModelKind::Centered, 30, 40, 3, 0.4, 1);
    (large.scale, large.mean) = (1e38, -3e38);
    (large.metadata.rating_min, large.metadata.rating_max) = (f32::MIN, f32::MAX);
    let held = Held { user: vec![Some(0); 2], item: vec![Some(1); 2], value: vec![f32::MIN, f32::MAX] };
    page(&large, About { measured: Some((&held, Part::Test)), ..About::default() });
}
