//! Small readings of text: durations, key=value pairs, images.

use crate::error::{Error, Result, said};
pub use meta::go::duration;
use std::collections::BTreeMap;
use std::time::Duration;

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

/// A complaint about how a command is called, with the way to its help.
pub fn usage(command: &str, complaint: &str) -> String {
    format!("{complaint}\nSee 'kubectl {command} -h' for help and examples")
}

/// A complaint about a flag's value, with the way to its help.
pub fn flag_usage(command: &str, error: Error) -> Error {
    Error::Said(format!(
        "{error}\nSee 'kubectl {command} --help' for usage."
    ))
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

/// Refuses what cannot name an image. Follows github.com/distribution/reference's regexp.go.
pub fn check_image(image: &str, container: &str) -> Result {
    const NAME: &str = "(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?/";
    const PART: &str = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    const TAG: &str = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
    const DIGEST: &str = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    let pattern = format!("^(?:{NAME})?{PART}(?:/{PART})*(?::{TAG})?(?:@{DIGEST})?$");
    let known = regex::Regex::new(&pattern).is_ok_and(|known| known.is_match(image));
    let of = match container {
        "" => String::new(),
        container => format!(" for container {}", quote(container)),
    };
    match known {
        true => Ok(()),
        false => said(format!(
            "invalid image name {}{of}: invalid reference format",
            quote(image)
        )),
    }
}

/// Pairs of flags that are given as `a=1,b=2`, or one by one when a value has commas. Follows
/// spf13/pflag's string_to_string.go.
pub fn pairs(flag: &str, given: &[String]) -> Result<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    for text in given {
        let parts: Vec<&str> = match text.matches('=').count() {
            0 | 1 => vec![text],
            _ => text.split(',').collect(),
        };
        for part in parts {
            let Some((key, value)) = part.split_once('=') else {
                return said(format!(
                    "invalid argument {} for \"{flag}\" flag: {part} must be formatted as key=value",
                    quote(text)
                ));
            };
            out.insert(key.to_string(), value.to_string());
        }
    }
    Ok(out)
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
    fn ages_have_two_units_at_most() {
        assert_eq!(
            (age(119), age(130), age(36000), age(200000)),
            ("119s".into(), "2m10s".into(), "10h".into(), "2d7h".into())
        );
    }

    #[test]
    fn images_are_named_as_upstream_names_them() {
        let digest = format!("a/b@sha256:{}", "0".repeat(64));
        for image in [
            "nginx",
            "nginx:1.22",
            "r.example:5000/a/b_c-d:x",
            "[::1]:5000/a",
            &digest,
        ] {
            assert!(check_image(image, "").is_ok(), "{image}");
        }
        for image in ["", "Nginx", "a b", "a:", "-a", "a@sha256:0"] {
            let error = check_image(image, "").expect_err(image);
            let words = format!("invalid image name \"{image}\": invalid reference format");
            assert_eq!(error.to_string(), words);
        }
    }

    #[test]
    fn pairs_may_have_commas_in_a_value() {
        let read = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|text| text.to_string()).collect();
            pairs("--env", &given).map(|pairs| format!("{pairs:?}"))
        };
        assert_eq!(
            read(&["a=1,b=2", "c=x,y"]).ok().as_deref(),
            Some(r#"{"a": "1", "b": "2", "c": "x,y"}"#)
        );
        assert!(read(&["a"]).is_err());
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
