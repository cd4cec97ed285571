//! Invented names for planted users and items, as many as wanted and all different.

#[rustfmt::skip] // a word list, not a table
const FIRST: [&str; 48] = [
    "Ada", "Amara", "Anders", "Anjali", "Aoife", "Ben", "Bao", "Carmen", "Chidi", "Chloe", "Dario", "Dina",
    "Elif", "Emeka", "Esther", "Farid", "Freya", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jonas", "Jun",
    "Kaito", "Kwame", "Laila", "Leon", "Lucia", "Maeve", "Malik", "Marta", "Mei", "Nadia", "Nils", "Noor",
    "Olga", "Omar", "Pavel", "Priya", "Rosa", "Ruth", "Samir", "Sofia", "Tariq", "Tess", "Yara", "Zoë",
];

#[rustfmt::skip] // a word list, not a table
const LAST: [&str; 48] = [
    "Abara", "Almeida", "Andersen", "Bauer", "Bianchi", "Bright", "Castillo", "Chen", "Costa", "Delgado",
    "Dubois", "Eriksen", "Farouk", "Ferreira", "Fischer", "Garnier", "Haddad", "Hale", "Hoffmann", "Ito",
    "Ivanova", "Jansen", "Kaya", "Khan", "Kimura", "Kovač", "Larsen", "Lindqvist", "Mbeki", "Mensah",
    "Moreau", "Murphy", "Nakamura", "Novak", "Okafor", "Olsen", "Park", "Patel", "Quinn", "Rahman",
    "Rossi", "Santos", "Silva", "Tanaka", "Varga", "Weber", "Wójcik", "Yilmaz",
];

#[rustfmt::skip] // a word list, not a table
const KIND: [&str; 40] = [
    "Silent", "Crimson", "Hidden", "Last", "Broken", "Golden", "Distant", "Quiet", "Wandering", "Paper",
    "Burning", "Forgotten", "Northern", "Hollow", "Bright", "Midnight", "Second", "Frozen", "Restless",
    "Painted", "Endless", "Borrowed", "Secret", "Gentle", "Iron", "Lonely", "Velvet", "Early", "Wild",
    "Invisible", "Amber", "Patient", "Sunken", "Copper", "Reluctant", "Glass", "Stolen", "Tender",
    "Electric", "Final",
];

#[rustfmt::skip] // a word list, not a table
const THING: [&str; 40] = [
    "Harbour", "Orchard", "Lantern", "River", "Garden", "Voyage", "Letter", "Station", "Island",
    "Winter", "Witness", "Bridge", "Kingdom", "Summer", "Archive", "Mountain", "Promise", "Stranger",
    "Theatre", "Compass", "Library", "Shore", "Orchestra", "Season", "Mirror", "Valley", "Detective",
    "Lighthouse", "Carnival", "Horizon", "Painter", "Museum", "Railway", "Forest", "Astronaut",
    "Kitchen", "Storm", "Waltz", "Inventor", "Tower",
];

#[rustfmt::skip] // a word list, not a table
const TAIL: [&str; 20] = [
    "at Dawn", "in Winter", "by the Sea", "of Salt", "without Stars", "at the Border", "of Glass",
    "in the Rain", "after Midnight", "beyond the Hills", "of Small Hours", "under the Ice", "of Echoes",
    "on Fire", "in Translation", "of Lisbon", "before the Storm", "of Dust", "for Two", "in Exile",
];

/// A person's name, another one for each index.
#[expect(clippy::indexing_slicing, reason = "`scatter` stays below the product of the lists")]
pub(super) fn person(index: u64) -> String {
    let (pick, round) = scatter(index, (FIRST.len() * LAST.len()) as u64);
    let (first, last) = (FIRST[pick % FIRST.len()], LAST[pick / FIRST.len()]);
    // When all pairs are taken: a middle initial, then a generation.
    let Some(round) = round.checked_sub(1) else {
        return format!("{first} {last}");
    };
    let initial = char::from(b'A' + (round % 26) as u8);
    match round / 26 {
        0 => format!("{first} {initial}. {last}"),
        generation => format!("{first} {initial}. {last} {}", roman(generation + 1)),
    }
}

/// A title, another one for each index.
#[expect(clippy::indexing_slicing, reason = "`scatter` stays below the sum of the lists' products")]
pub(super) fn title(index: u64) -> String {
    let plain = KIND.len() * THING.len();
    let (pick, round) = scatter(index, (plain + THING.len() * TAIL.len()) as u64);
    let title = match pick.checked_sub(plain) {
        None => format!("The {} {}", KIND[pick % KIND.len()], THING[pick / KIND.len()]),
        Some(pick) => format!("The {} {}", THING[pick % THING.len()], TAIL[pick / THING.len()]),
    };
    match round {
        0 => title,
        sequel => format!("{title} {}", roman(sequel + 1)),
    }
}

/// A place below `count` and a round, both from the index: neighbours land far
/// apart, and within a round no place comes twice.
fn scatter(index: u64, count: u64) -> (usize, u64) {
    const STEP: u64 = 1_009; // a prime that divides no count here
    (((index % count) * STEP % count) as usize, index / count)
}

fn roman(mut number: u64) -> String {
    const VALUES: [u64; 13] = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1];
    const DIGITS: [&str; 13] = ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"];
    let mut text = String::new();
    for (value, digit) in VALUES.into_iter().zip(DIGITS) {
        while number >= value {
            text += digit;
            number -= value;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_all_different() {
        let persons: HashSet<String> = (0..100_000).map(person).collect();
        let titles: HashSet<String> = (0..100_000).map(title).collect();
        assert_eq!((persons.len(), titles.len()), (100_000, 100_000));
    }

    #[test]
    fn names_read_like_names() {
        assert_eq!(person(0), "Ada Abara");
        assert_eq!(person(1), "Amara Jansen");
        assert_eq!(person(2_304), "Ada A. Abara");
        assert_eq!(person(2_304 * 27), "Ada A. Abara II");
        assert_eq!(title(0), "The Silent Harbour");
        assert_eq!(title(2_400), "The Silent Harbour II");
    }

    #[test]
    fn roman_numerals() {
        let pairs = [(2, "II"), (4, "IV"), (9, "IX"), (14, "XIV"), (49, "XLIX"), (1_994, "MCMXCIV")];
        for (number, numeral) in pairs {
            assert_eq!(roman(number), numeral);
        }
    }
}
