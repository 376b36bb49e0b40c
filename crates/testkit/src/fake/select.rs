//! Label and field selectors of queries.

use serde_json::Value;

/// Whether an object satisfies a label selector in its query form.
pub(super) fn labels_match(selector: &str, object: &Value) -> bool {
    requirements(selector).iter().all(|requirement| {
        let label = |key: &str| {
            object
                .pointer("/metadata/labels")
                .and_then(|labels| labels.get(key.trim())?.as_str())
        };
        let listed = |key: &str, values: &str| {
            let values = values.trim().trim_matches(['(', ')']);
            label(key).is_some_and(|have| values.split(',').any(|value| value.trim() == have))
        };
        if let Some((key, values)) = requirement.split_once(" notin ") {
            !listed(key, values)
        } else if let Some((key, values)) = requirement.split_once(" in ") {
            listed(key, values)
        } else if let Some((key, value)) = requirement.split_once("!=") {
            !listed(key, value)
        } else if let Some((key, value)) = requirement.split_once('=') {
            listed(key, value.trim_start_matches('='))
        } else if let Some(key) = requirement.strip_prefix('!') {
            label(key).is_none()
        } else {
            label(requirement).is_some()
        }
    })
}

/// Whether an object satisfies a field selector; any path of strings is a field.
pub(super) fn fields_match(selector: &str, object: &Value) -> bool {
    requirements(selector).iter().all(|requirement| {
        let (field, value) = requirement.split_once('=').unwrap_or((requirement, ""));
        let (field, wanted) = match field.strip_suffix('!') {
            Some(field) => (field, false),
            None => (field, true),
        };
        let pointer = format!("/{}", field.replace('.', "/"));
        let have = object
            .pointer(&pointer)
            .and_then(Value::as_str)
            .unwrap_or_default();
        (have == value.trim_start_matches('=')) == wanted
    })
}

/// Cuts at commas outside parentheses.
fn requirements(selector: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0;
    for letter in selector.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        match (letter, found.last_mut()) {
            (',', _) if depth == 0 => found.push(String::new()),
            (_, Some(last)) => last.push(letter),
            _ => {}
        }
    }
    found.retain(|requirement| !requirement.trim().is_empty());
    found
        .iter()
        .map(|requirement| requirement.trim().to_owned())
        .collect()
}
