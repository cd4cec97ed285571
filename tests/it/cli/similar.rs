//! Neighbours of items and of users.

use super::Folder;

const MODEL: &str = "ratings.safetensors";

/// A model whose first items have names.
fn named() -> Folder {
    let folder = Folder::planted();
    folder.write("names.csv", "itemId,title\ni1,Heat (1995)\ni2,\"Postman, The\"\ni3,The Heat\n");
    let train = ["train", "ratings.csv", "--rank", "4", "--epochs", "12", "--device", "cpu", "-q"];
    folder.succeed(&[&train[..], &["--names", "names.csv"]].concat());
    folder
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn neighbors_come_by_id_or_by_name_and_never_the_item_itself() {
    let folder = named();
    let text = folder.succeed(&["similar", MODEL, "--item", "i1", "-n", "100"]);
    assert!(text.starts_with("item,neighbor,rank,similarity,name\n"), "{text}");
    let list = rows(&text);
    assert_eq!(list.len(), 79);
    assert!(list.iter().all(|row| row[0] == "i1" && row[1] != "i1" && row.len() == 5), "{list:?}");
    let similarity: Vec<f64> = list.iter().map(|row| row[3].parse().unwrap()).collect();
    assert!(similarity.is_sorted_by(|a, b| a >= b) && similarity.iter().all(|x| x.abs() <= 1.0));
    assert_eq!(list.iter().find(|row| row[1] == "i2").unwrap()[4], "Postman, The");
    assert_eq!(folder.succeed(&["similar", MODEL, "--item", "Heat (1995)", "-n", "100"]), text);

    let objects = folder.json(&["similar", MODEL, "--item", "i1", "-n", "100", "--json"]);
    let two = objects.iter().find(|row| row["neighbor"] == "i2").unwrap();
    assert_eq!((&two["item"], &two["name"]), (&"i1".into(), &"Postman, The".into()));
    assert!(objects.iter().any(|row| row["name"].is_null()) && two.get("user").is_none());

    let both = rows(&folder.succeed(&["similar", MODEL, "--item", "i3", "--item", "i1", "-n", "2"]));
    assert!(both.iter().map(|row| &*row[0]).eq(["i3", "i3", "i1", "i1"]), "{both:?}");
    let dot = rows(&folder.succeed(&["similar", MODEL, "--item", "i1", "-n", "100", "--metric", "dot"]));
    assert_ne!(dot, list);
}

#[test]
fn users_have_neighbors_and_all_of_a_side_can_be_asked_for() {
    let folder = named();
    let text = folder.succeed(&["similar", MODEL, "--user", "u1", "-n", "3"]);
    assert!(text.starts_with("user,neighbor,rank,similarity\n"), "names are the items': {text}");
    let all = rows(&folder.succeed(&["similar", MODEL, "--all-users", "-n", "3"]));
    assert_eq!(all.len(), 120 * 3);
    let first: Vec<_> = all.into_iter().filter(|row| row[0] == "u1").collect();
    assert_eq!(first, rows(&text));
    assert_eq!(rows(&folder.succeed(&["similar", MODEL, "--all", "-n", "2"])).len(), 80 * 2);
    let often = ["similar", MODEL, "--all", "-n", "2", "--min-ratings", "100000"];
    assert_eq!(rows(&folder.succeed(&often)).len(), 0);
}

#[test]
fn who_is_not_there_is_refused_with_suggestions() {
    let folder = named();
    let line = folder.fail(&["similar", MODEL, "--item", "heat"], 2);
    assert!(
        line.ends_with("; names with that in it: \"i1\" (\"Heat (1995)\"), \"i3\" (\"The Heat\")"),
        "{line}"
    );
    folder.fail(&["similar", MODEL, "--user", "nobody"], 2);
    folder.fail(&["similar", MODEL, "--user", "u1", "--item", "i1"], 2);
    folder.fail(&["similar", MODEL], 2);
    folder.fail(&["similar", MODEL, "--item", "i1", "--metric", "euclid"], 2);
}
