//! Timestamps: whole seconds, or a date as ISO 8601 writes it.

use super::formats::parse_number;

/// A time from its text: a number as it stands (a fraction is dropped), or
/// `2005-04-02`, with `23:53:47` behind a space or `T`, as seconds since 1970.
/// Without an offset such as `Z` or `+02:00` a date is taken for UTC. `None` if
/// it is neither.
pub(super) fn parse_time(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    if let Ok(whole) = text.parse() {
        return Some(whole);
    }
    if let Some(number) = parse_number(text.as_bytes()) {
        // Beyond 2⁶² the unit is no second of any calendar.
        return (number.abs() < (1_u64 << 62) as f64).then_some(number.floor() as i64);
    }
    let (date, clock) = match text.split_once(['T', 't', ' ']) {
        Some((date, clock)) => (date, Some(clock.trim())),
        None => (text, None),
    };
    Some(days(date)? * 86_400 + clock.map_or(Some(0), seconds)?)
}

/// Two or more digits, and nothing else, from `least` to `most`.
fn number(text: &str, digits: usize, least: i64, most: i64) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|n| (least..=most).contains(n))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let year = number(year, 4, 0, 9_999)?;
    let month = number(month, 2, 1, 12)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = number(day, 2, 1, length)?;
    // The year begins in March, so that a leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// Seconds from midnight UTC to `23:53`, `23:53:47`, `23:53:47.5`, each with an offset or without.
fn seconds(clock: &str) -> Option<i64> {
    let clock_and_offset = clock.find(['Z', 'z', '+', '-']).map(|at| clock.split_at(at));
    let (clock, offset) = match clock_and_offset {
        None => (clock, 0),
        Some((clock, "Z" | "z")) => (clock, 0),
        Some((clock, offset)) => {
            let (sign, digits) = offset.split_at(1);
            let digits = digits.replace(':', "");
            let (hours, minutes) = digits.split_at_checked(2)?;
            let minutes = if minutes.is_empty() { 0 } else { number(minutes, 2, 0, 59)? };
            let size = 3_600 * number(hours, 2, 0, 23)? + 60 * minutes;
            (clock, if sign == "-" { -size } else { size })
        }
    };
    let mut parts = clock.trim_end().split(':');
    let (hours, minutes) = (number(parts.next()?, 2, 0, 23)?, number(parts.next()?, 2, 0, 59)?);
    let seconds = match parts.next() {
        None => 0,
        Some(part) => {
            let (whole, fraction) = part.split_once('.').unwrap_or((part, "0"));
            number(fraction, fraction.len().max(1), 0, i64::MAX)?;
            number(whole, 2, 0, 60)?
        }
    };
    parts.next().is_none().then_some(3_600 * hours + 60 * minutes + seconds - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_times() {
        for (text, time) in [
            ("0", 0),
            (" 978300760 ", 978_300_760),
            ("-1", -1),
            ("1112486027.9", 1_112_486_027),
            ("-0.5", -1),
            ("9223372036854775807", i64::MAX),
            ("1e9", 1_000_000_000),
            ("1970-01-01", 0),
            ("1969-12-31", -86_400),
            ("2005-04-02 23:53:47", 1_112_486_027),
            ("2005-04-02T23:53:47Z", 1_112_486_027),
            ("2005-04-03T01:53:47+02:00", 1_112_486_027),
            ("2005-04-02T18:23:47.125-0530", 1_112_486_027),
            ("2005-04-02 23:53", 1_112_485_980),
            ("2000-02-29", 951_782_400),
            ("2000-03-01", 951_868_800),
            ("0000-03-01", -62_162_035_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse_time(text.as_bytes()), Some(time), "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "yesterday",
            "nan",
            "inf",
            "1e300",
            "2005-4-2",
            "2005-13-01",
            "2005-00-01",
            "2005-02-29",
            "1900-02-29",
            "2005-04-31",
            "2005-04-02-03",
            "2005-04-02T",
            "2005-04-02 24:00",
            "2005-04-02 12:60",
            "2005-04-02 12:00:00.",
            "2005-04-02 12:00:00.x",
            "2005-04-02 12:00+2",
            "2005-04-02 12:00+99:00",
            "2005-04-02 12:00:00:00",
            "04/02/2005",
            "2005-04-02 éé:00",
        ] {
            assert_eq!(parse_time(text.as_bytes()), None, "{text}");
        }
    }
}
