//! Go's `time.Duration` as text, and instants as RFC 3339, without a detour:
//! a pod holds a dozen of them.

use meta::value::Str;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration in nanoseconds: `1h15m30.918s`.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let number = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(number);
        let (unit, scale) = UNITS
            .into_iter()
            .filter(|(unit, _)| tail.starts_with(unit))
            .max_by_key(|(unit, _)| unit.len())?;
        total = total.checked_add(scaled(digits, scale)?)?;
        rest = &tail[unit.len()..];
    }
    match negative {
        true => 0i64.checked_sub_unsigned(total),
        false => i64::try_from(total).ok(),
    }
}

/// `1.5` times a unit.
fn scaled(digits: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = match whole {
        "" => 0,
        whole => whole.parse::<u64>().ok()?,
    };
    // What is finer than 18 digits is less than a nanosecond.
    let fraction = &fraction[..fraction.len().min(18)];
    let parts = match fraction {
        "" => 0,
        fraction => fraction.parse::<u128>().ok()?,
    };
    let part = parts * u128::from(scale) / 10u128.pow(fraction.len() as u32);
    let part = u64::try_from(part).ok()?;
    whole.checked_mul(scale)?.checked_add(part)
}

/// A duration as Go's `String` has it: `1m30s`, `1.5µs`, `0s`.
pub(super) fn print(nanos: i64) -> Str {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let text = match size {
        0 => "0s".to_string(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(size, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(size, 1_000_000)),
        _ => {
            let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
            let seconds = decimal(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    text.into()
}

/// A number of parts of a whole, without zeros at its end.
fn decimal(size: u64, whole: u64) -> String {
    let rest = size % whole;
    if rest == 0 {
        return (size / whole).to_string();
    }
    let width = whole.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{}.{}", size / whole, fraction.trim_end_matches('0'))
}

/// The seconds of Go's zero time, the year 1.
pub(super) const ZERO_TIME: i64 = -62_135_596_800;
const YEAR_10000: i64 = 253_402_300_800;

/// An instant as RFC 3339, with microseconds where they are given; `None` when
/// its year does not have four digits.
pub(super) fn instant(seconds: i64, micros: Option<u32>) -> Option<Str> {
    if !(ZERO_TIME..YEAR_10000).contains(&seconds) {
        return None;
    }
    let (days, rest) = (
        seconds.div_euclid(86_400),
        seconds.rem_euclid(86_400) as u32,
    );
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    put(&mut text[..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], rest / 3600);
    put(&mut text[14..16], rest / 60 % 60);
    put(&mut text[17..19], rest % 60);
    let length = match micros {
        Some(micros) => {
            put(&mut text[20..26], micros);
            27
        }
        None => {
            text[19] = b'Z';
            20
        }
    };
    std::str::from_utf8(&text[..length]).ok().map(Str::from)
}

/// Reads RFC 3339: seconds, and nanoseconds beyond them.
pub(super) fn read_instant(text: &str) -> Option<(i64, i32)> {
    if let Some(seconds) = canonical(text.as_bytes()) {
        return Some((seconds, 0));
    }
    let at = meta::time::parse(text)?;
    // Go counts nanoseconds from the second before, also before 1970.
    match (at.as_second(), at.subsec_nanosecond()) {
        (seconds, nanos @ ..0) => Some((seconds - 1, nanos + 1_000_000_000)),
        found => Some(found),
    }
}

/// The seconds of `2006-01-02T15:04:05Z`; `None` when it is spelt otherwise.
fn canonical(text: &[u8]) -> Option<i64> {
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ];
    if text.len() != 20 || marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0, |value, digit| {
            digit
                .is_ascii_digit()
                .then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 59 || !(1..=12).contains(&month) {
        return None;
    }
    let days = days(year, month, day);
    let exists = civil(days) == (year as u32, month as u32, day as u32);
    (year > 0 && exists).then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The count of days since 1970, after Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn put(digits: &mut [u8], mut value: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a count of days since 1970, after Howard Hinnant's
/// `civil_from_days`; the range above keeps it positive.
fn civil(days: i64) -> (u32, u32, u32) {
    let days = (days + 719_468) as u32;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year_of_era + era * 400 + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_go_there_and_back() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (90_000_000_000, "1m30s"),
            (4_530_918_000_000, "1h15m30.918s"),
            (3_600_000_000_000, "1h0m0s"),
            (-5_400_000_000_000, "-1h30m0s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(print(nanos), text);
            assert_eq!(parse(text), Some(nanos), "{text}");
        }
        assert_eq!(parse("1.5h"), Some(5_400_000_000_000));
        assert_eq!(parse("0.3s"), Some(300_000_000));
        assert_eq!(parse(".5s"), Some(500_000_000));
        assert_eq!(parse("1us"), Some(1_000));
        for bad in ["", "1", "s", ".s", "1d", "1..5s", "9999999h", "-"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn instants_are_what_the_calendar_says() {
        for seconds in [
            0,
            1_709_251_198,
            951_782_399,
            951_782_400,
            ZERO_TIME + 1,
            YEAR_10000 - 200_001,
            YEAR_10000 - 1,
            -1,
        ] {
            let text = instant(seconds, None).expect("an instant");
            assert_eq!(read_instant(&text), Some((seconds, 0)), "{text}");
            if seconds < YEAR_10000 - 200_000 {
                let parsed = meta::time::parse(&text).expect("RFC 3339");
                assert_eq!(parsed.as_second(), seconds, "{text}");
            }
        }
        assert_eq!(
            instant(1_709_251_198, Some(250_000)).as_deref(),
            Some("2024-02-29T23:59:58.250000Z")
        );
        for (text, expected) in [
            (
                "2024-02-29T23:59:58.250000Z",
                Some((1_709_251_198, 250_000_000)),
            ),
            ("2024-03-01T00:59:58+01:00", Some((1_709_251_198, 0))),
            ("1969-12-31T23:59:59.500000Z", Some((-1, 500_000_000))),
            ("2023-02-29T00:00:00Z", None),
            ("2023-02-28T24:00:00Z", None),
            ("2023-13-28T23:00:00Z", None),
            ("2023-1x-28T23:00:00Z", None),
        ] {
            assert_eq!(read_instant(text), expected, "{text}");
        }
        assert_eq!(instant(YEAR_10000, None), None);
        assert_eq!(instant(i64::MIN, None), None);
    }
}
