use std::collections::HashSet as Set;

use super::*;

fn distinct(data: &PlantedData) -> usize {
    data.ratings.user.iter().zip(&data.ratings.item).collect::<Set<_>>().len()
}

#[test]
fn pairs_are_distinct_at_every_density() {
    for (users, items, count) in [
        (500, 300, 4_000),
        (40, 30, 300),
        (40, 30, 1_200),
        (1, 9, 9),
        (9, 1, 3),
        (1, 1, 1),
        (90_000, 80_000, 500),
    ] {
        let data = Planted::new(users, items, count).generate().unwrap();
        // The last has more cells than a u32 counts.
        assert_eq!((data.ratings.len(), data.truth.len(), distinct(&data)), (count, count, count));
        assert!(data.ratings.users.len() <= users && data.ratings.items.len() <= items);
        assert!(data.ratings.value.iter().all(|value| (0.5..=5.0).contains(value)));
    }
}

#[test]
fn the_recipe_decides() {
    let recipe = Planted::new(200, 100, 3_000).seed(5);
    let data = recipe.generate().unwrap();
    assert_eq!(data, recipe.generate().unwrap());
    assert_ne!(data.ratings.hash(), recipe.clone().seed(6).generate().unwrap().ratings.hash());
    assert_ne!(data.ratings.hash(), recipe.clone().seed(5 + (1 << 32)).generate().unwrap().ratings.hash());
    let quiet = recipe.noise(0.0).generate().unwrap();
    assert_eq!(
        (&quiet.ratings.user, &quiet.truth),
        (&data.ratings.user, &data.truth),
        "noise changes no pair"
    );
    assert_eq!((quiet.floor, &quiet.ratings.value), (0.0, &quiet.truth));
}

#[test]
fn the_distribution_is_that_of_the_recipe() {
    let data = Planted::new(2_000, 1_000, 100_000).clip(None).seed(1).generate().unwrap();
    let stats = data.ratings.stats();
    // Variance .35² + .4² + .7² + .5² = 1.02; popular items weigh more than others, hence the wide margins.
    assert!((stats.mean - 3.5).abs() < 0.15, "{stats:?}");
    assert!((stats.std - 1.01).abs() < 0.1, "{stats:?}");
    assert!((data.floor - 0.5).abs() < 0.005, "{}", data.floor);

    let share = |mut counts: Vec<u64>, parts: usize| {
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts[..counts.len() / parts].iter().sum::<u64>() as f64 / 1e5
    };
    let (users, items) = (share(data.ratings.user_counts(), 10), share(data.ratings.item_counts(), 10));
    assert!((0.3..0.45).contains(&users), "the most active tenth of users: {users}");
    assert!((0.35..0.6).contains(&items), "the most popular tenth of items: {items}");

    // An item's number says nothing about its popularity: i1 to i500 have about half of the ratings.
    let number = |id: &[u8]| std::str::from_utf8(&id[1..]).unwrap().parse::<u32>().unwrap();
    let low: Vec<bool> = data.ratings.items.iter().map(|id| number(id) <= 500).collect();
    let low = data.ratings.item.iter().filter(|&&item| low[item as usize]).count();
    assert!((40_000..60_000).contains(&low), "{low}");
}

#[test]
fn both_ways_of_drawing_agree() {
    // One user, four items of weights 1 2 3 4: how often each is among the two drawn.
    let weights = vec![1.0, 2.0, 3.0, 4.0];
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut times = [[0_i32; 4]; 2];
    for _ in 0..20_000 {
        for (_, item) in race(2, &[1.0], &weights, &mut rng) {
            times[0][item as usize] += 1;
        }
        for (_, item) in reject(2, vec![1.0], weights.clone(), &mut rng).unwrap() {
            times[1][item as usize] += 1;
        }
    }
    for item in 0..4 {
        // Standard deviation at most √(2·20000/4) = 100.
        assert!((times[0][item] - times[1][item]).abs() < 500, "{times:?}");
    }
    assert!(times[0].is_sorted_by(|a, b| a + 1_000 < *b), "{times:?}");
}

#[test]
fn exact_ratings_have_exactly_the_rank() {
    let data = Planted::new(12, 9, 108).rank(2).exact().seed(3).generate().unwrap();
    assert_eq!(data.floor, 0.0);
    let mut cells = [[0.0_f64; 9]; 12];
    for p in 0..108 {
        let (u, i) = (data.ratings.user[p] as usize, data.ratings.item[p] as usize);
        cells[u][i] = f64::from(data.ratings.value[p]);
    }
    // Two rounds of elimination with full pivoting leave nothing; one leaves something.
    let mut left = Vec::new();
    for _ in 0..2 {
        let all = (0..12).flat_map(|u| (0..9).map(move |i| (u, i)));
        let (u, i) = all.max_by(|a, b| cells[a.0][a.1].abs().total_cmp(&cells[b.0][b.1].abs())).unwrap();
        let pivot = cells[u];
        for row in &mut cells {
            let factor = row[i] / pivot[i];
            row.iter_mut().zip(&pivot).for_each(|(cell, pivot)| *cell -= factor * pivot);
        }
        left.push(cells.iter().flatten().map(|cell| cell.abs()).fold(0.0, f64::max));
    }
    assert!(left[0] > 0.1 && left[1] < 1e-5, "{left:?}");
}

#[test]
fn a_split_has_the_floor_of_its_test_part() {
    let data = Planted::new(300, 200, 8_000).seed(4).generate().unwrap();
    let split = data.clone().split(0.25, 9).unwrap();
    let (train, test) = data.ratings.clone().split(0.25, 9).unwrap();
    assert_eq!((&split.train, &split.test), (&train, &test));
    let (mut sum, mut found) = (0.0, 0);
    for p in 0..test.len() {
        let at = (0..data.ratings.len())
            .find(|&q| {
                Some(data.ratings.user[q]) == test.user[p] && Some(data.ratings.item[q]) == test.item[p]
            })
            .unwrap();
        sum += f64::from(data.truth[at] - test.value[p]).powi(2);
        found += 1;
    }
    assert!((split.floor - (sum / f64::from(found)).sqrt()).abs() < 1e-6);
    assert_ne!(split.floor, data.floor);
}

#[test]
fn ids_are_numbers_or_names() {
    let recipe = Planted::new(30, 20, 200);
    let plain = recipe.generate().unwrap();
    assert!(plain.ratings.users.iter().all(|id| id.starts_with(b"u")));
    assert!(plain.ratings.items.iter().all(|id| id.starts_with(b"i")));
    let named = recipe.named().generate().unwrap();
    assert!(named.ratings.items.text(0).starts_with("The "));
    assert!(named.ratings.users.text(0).contains(' '));
    assert_eq!((plain.ratings.user, plain.ratings.item), (named.ratings.user, named.ratings.item));
}

#[test]
fn recipes_that_can_t_be_met_are_refused() {
    let base = Planted::new(10, 10, 50);
    for recipe in [
        Planted::new(10, 10, 101),
        Planted::new(10, 10, 0),
        Planted::new(0, 10, 1),
        Planted::new(usize::MAX, 2, 1),
        base.clone().rank(0),
        base.clone().noise(-1.0),
        base.clone().noise(f64::NAN),
        base.clone().clip(Some((5.0, 0.5))),
    ] {
        assert_eq!(recipe.generate().unwrap_err().exit_code(), 2, "{recipe:?}");
    }
}
