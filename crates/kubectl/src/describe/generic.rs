//! Any object, field by field.

use super::Described;
use super::writer::Writer;
use meta::{Map, Value, go};

/// Shown already, or of no use to people.
const SKIPPED: [&str; 5] = [
    ".metadata.managedFields",
    ".metadata.name",
    ".metadata.namespace",
    ".metadata.labels",
    ".metadata.annotations",
];
const ACRONYMS: [&str; 5] = ["API", "URL", "UID", "OSB", "GUID"];

pub(super) async fn generic(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    it.labels(w);
    it.annotations(w);
    if let Some(map) = it.object.as_object() {
        content(w, 0, map, "");
    }
    it.events(w).await;
}

fn content(w: &mut Writer, level: usize, map: &Map, prefix: &str) {
    for (key, value) in map.iter() {
        let path = format!("{prefix}.{key}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        let label = label(key);
        match value {
            Value::Object(inner) => {
                w.line(level, &format!("{label}:"));
                content(w, level + 1, inner, &path);
            }
            Value::Array(items) => {
                w.line(level, &format!("{label}:"));
                for item in items {
                    match item {
                        Value::Object(inner) => content(w, level + 1, inner, &path),
                        other => w.line(level + 1, &go::print(other)),
                    }
                }
            }
            scalar => w.field(level, &label, go::print(scalar)),
        }
    }
}

/// `apiVersion` is `API Version`.
fn label(key: &str) -> String {
    if !key.chars().all(|c| c.is_alphabetic() || c == '-') {
        return key.to_string();
    }
    let words = words(key).into_iter().map(|word| {
        let upper = word.to_uppercase();
        match ACRONYMS.contains(&upper.as_str()) {
            true => upper,
            false => {
                let mut rest = word.chars();
                let first = rest.next().map(|c| c.to_uppercase().to_string());
                format!("{}{}", first.unwrap_or_default(), rest.as_str())
            }
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Runs of small letters, of capitals and of other characters; the last capital
/// before small letters begins their word.
fn words(key: &str) -> Vec<String> {
    let class = |c: char| match c {
        c if c.is_lowercase() => 1,
        c if c.is_uppercase() => 2,
        c if c.is_ascii_digit() => 3,
        _ => 4,
    };
    let mut runs: Vec<String> = Vec::new();
    let mut last = 0;
    for c in key.chars() {
        match runs.last_mut().filter(|_| class(c) == last) {
            Some(run) => run.push(c),
            None => runs.push(c.to_string()),
        }
        last = class(c);
    }
    for i in 1..runs.len() {
        let small = runs[i].starts_with(char::is_lowercase);
        if small && runs[i - 1].ends_with(char::is_uppercase) {
            if let Some(capital) = runs[i - 1].pop() {
                runs[i].insert(0, capital);
            }
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn keys_become_labels() {
        for (key, wanted) in [
            ("apiVersion", "API Version"),
            ("podCIDRs", "Pod CID Rs"),
            ("creationTimestamp", "Creation Timestamp"),
            ("uid", "UID"),
            ("x.y", "x.y"),
            ("a-b", "A - B"),
        ] {
            assert_eq!(label(key), wanted);
        }
    }
}
