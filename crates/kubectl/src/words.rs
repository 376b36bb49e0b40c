//! Small readings of text: durations, key=value pairs, images.

use crate::error::{Result, said};
use std::time::Duration;

/// A Go duration: `1h30m`, `1.5s`, `-1s`; bare numbers only when zero.
pub fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some(sign * seconds)
}

/// A Go duration of a flag.
pub fn duration_flag(flag: &str, text: &str) -> Result<f64> {
    match duration(text) {
        Some(seconds) => Ok(seconds),
        None => said(format!(
            "invalid argument {} for \"{flag}\" flag: time: invalid duration {}",
            quote(text),
            quote(text)
        )),
    }
}

/// `--request-timeout`: a duration or seconds; zero is none.
pub fn timeout(text: &str) -> Result<Option<Duration>> {
    let seconds = text.parse::<f64>().ok().or_else(|| duration(text));
    match seconds {
        Some(seconds) if seconds > 0.0 => Ok(Some(Duration::from_secs_f64(seconds))),
        Some(_) => Ok(None),
        None => said(format!(
            "Invalid timeout value {}. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)",
            quote(text)
        )),
    }
}

/// Text as Go's `%q` writes it.
pub fn quote(text: &str) -> String {
    meta::field::quote(text)
}

/// Turns `a=1`, `b=`, `c-` into what to set and what to remove. Follows ParsePairs of
/// kubectl's cmd/util/kubectl_match_version.go's neighbours (label and annotate).
pub fn changes(what: &str, words: &[String]) -> Result<(Vec<(String, String)>, Vec<String>)> {
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    for word in words {
        if let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) {
            set.push((key.to_string(), value.to_string()));
        } else if let Some(key) = word.strip_suffix('-') {
            removed.push(key.to_string());
        } else {
            return said(format!("unknown {what} spec: {word}"));
        }
    }
    for (key, _) in &set {
        if removed.contains(key) {
            return said(format!("cannot modify and remove the same {what}: {key}"));
        }
    }
    Ok((set, removed))
}

/// Text at a terminal's column: the tables of upstream's `tabwriter` with a least width of 6, a
/// padding of 3 and no trailing white space kept apart.
pub fn columns(rows: &[Vec<String>]) -> String {
    columns_with(rows, 6, 3)
}

/// The same with another least width and padding.
pub fn columns_with(rows: &[Vec<String>], least: usize, padding: usize) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            let width = (cell.chars().count() + padding).max(least);
            match widths.get_mut(i) {
                Some(known) => *known = width.max(*known),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if i + 1 < row.len() {
                let fill = widths[i].saturating_sub(cell.chars().count());
                out.extend(std::iter::repeat_n(' ', fill));
            }
        }
        out.push('\n');
    }
    out
}

/// How long ago, as people read it. Follows apimachinery's util/duration HumanDuration.
pub fn age(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".into();
    }
    let s = seconds.max(0);
    let (minutes, hours) = (s / 60, s / 3600);
    match s {
        _ if s < 120 => format!("{s}s"),
        _ if minutes < 10 && s % 60 == 0 => format!("{minutes}m"),
        _ if minutes < 10 => format!("{minutes}m{}s", s % 60),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 && minutes % 60 == 0 => format!("{hours}h"),
        _ if hours < 8 => format!("{hours}h{}m", minutes % 60),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 && hours % 24 == 0 => format!("{}d", hours / 24),
        _ if hours < 192 => format!("{}d{}h", hours / 24, hours % 24),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => {
            let (years, days) = (hours / 8760, hours / 24 % 365);
            if days == 0 {
                format!("{years}y")
            } else {
                format!("{years}y{days}d")
            }
        }
        _ => format!("{}y", hours / 8760),
    }
}

/// The age of a timestamp in text, `<unknown>` where there is none.
pub fn age_of(time: &str) -> String {
    match meta::time::parse(time) {
        None => "<unknown>".into(),
        Some(then) => age(stdx::Clock::system().wall().as_second() - then.as_second()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1h30m"), Some(5400.0));
        assert_eq!(duration("-1.5s"), Some(-1.5));
        assert_eq!(duration("10"), None);
        assert_eq!(
            (age(119), age(130), age(36000), age(200000)),
            ("119s".into(), "2m10s".into(), "10h".into(), "2d7h".into())
        );
    }

    #[test]
    fn columns_are_padded_but_the_last() {
        let rows = [
            vec!["NAME".into(), "AGE".into()],
            vec!["long-name".into(), "1s".into()],
        ];
        assert_eq!(columns(&rows), "NAME        AGE\nlong-name   1s\n");
    }
}
