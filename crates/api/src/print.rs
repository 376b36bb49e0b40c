//! Words that the columns of many kinds share.

use jiff::Timestamp;
use meta::object::Object as _;
use meta::{Value, time};

/// The object's name.
pub fn name(object: &Value) -> Value {
    object.name().into()
}

/// How long ago the object was made.
pub fn age(object: &Value, now: Timestamp) -> Value {
    since(object.meta_str("creationTimestamp"), now).into()
}

/// How long ago a time was, `<unknown>` when there is none.
pub fn since(time: &str, now: Timestamp) -> String {
    match time::parse(time) {
        Some(at) => human_duration(now.as_second() - at.as_second()),
        None => "<unknown>".into(),
    }
}

/// A duration in seconds as apimachinery's pkg/util/duration prints it: `5s`,
/// `3m20s`, `2d4h`.
pub fn human_duration(seconds: i64) -> String {
    let two = |first: i64, f: &str, second: i64, s: &str| match second {
        0 => format!("{first}{f}"),
        _ => format!("{first}{f}{second}{s}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10800 => format!("{minutes}m"),
        10800..28800 => two(hours, "h", minutes % 60, "m"),
        28800..172800 => format!("{hours}h"),
        172800..691200 => two(days, "d", hours % 24, "h"),
        691200..63072000 => format!("{days}d"),
        63072000..252288000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// The text at a dotted path, empty when there is none.
pub fn text_at(object: &Value, path: &str) -> String {
    let end = path
        .split('.')
        .try_fold(object, |value, key| value.get(key));
    match end {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.to_string(),
        Some(other) => other.to_json(),
    }
}

/// The number at a dotted path as text, `0` when there is none.
pub fn count_at(object: &Value, path: &str) -> String {
    match text_at(object, path) {
        text if text.is_empty() => "0".into(),
        text => text,
    }
}

/// The labels of a map as `a=b,c=d`, `<none>` when there are none.
pub fn labels(map: Option<&Value>) -> String {
    let mut pairs: Vec<String> = map
        .and_then(Value::as_object)
        .map(|m| {
            m.iter()
                .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
                .collect()
        })
        .unwrap_or_default();
    pairs.sort();
    match pairs.is_empty() {
        true => "<none>".into(),
        false => pairs.join(","),
    }
}

/// A `metav1.LabelSelector` in its string form, `<none>` when it is empty.
pub fn selector(selector: Option<&Value>) -> String {
    let mut selector = match selector {
        Some(selector) => meta::LabelSelector::from_object(Some(selector))
            .requirements()
            .to_vec(),
        None => return "<none>".into(),
    };
    selector.sort_by(|a, b| a.key.cmp(&b.key));
    let text = meta::LabelSelector::from_requirements(selector).to_string();
    match text.is_empty() {
        true => "<none>".into(),
        false => text,
    }
}

/// The names of a pod spec's containers, and their images.
pub fn containers(spec: Option<&Value>) -> (String, String) {
    let containers = spec
        .map(|s| s.items_at(&["containers"]))
        .unwrap_or_default();
    let join = |key| {
        let texts: Vec<&str> = containers.iter().map(|c| c.str_at(&[key])).collect();
        texts.join(",")
    };
    (join("name"), join("image"))
}

/// The text at the end of a chain of keys, or a stand-in when it is empty.
pub fn text_or(object: &Value, keys: &[&str], empty: &str) -> Value {
    match object.str_at(keys) {
        "" => empty.into(),
        text => text.into(),
    }
}

/// The integer at the end of a chain of keys, 0 when there is none.
pub fn int_at(object: &Value, keys: &[&str]) -> Value {
    object.i64_at(keys).unwrap_or_default().into()
}

/// When the object was made, as RFC 3339.
pub fn created_at(object: &Value) -> Value {
    object.meta_str("creationTimestamp").into()
}

/// At most three of many, and how many more there are.
pub fn a_few(items: impl IntoIterator<Item = String>) -> (String, Option<usize>) {
    let mut shown = Vec::new();
    let mut count = 0;
    for item in items {
        if shown.len() < 3 {
            shown.push(item);
        }
        count += 1;
    }
    let more = (count > 3).then(|| count - 3);
    (shown.join(","), more)
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_read_as_upstreams() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (660, "11m"),
            (10800, "3h"),
            (11160, "3h6m"),
            (86400, "24h"),
            (180000, "2d2h"),
            (700000, "8d"),
            (63072000, "2y"),
        ] {
            assert_eq!(super::human_duration(seconds), text, "{seconds}");
        }
    }
}
