//! `replacements`: fields copied from one object to others.

use super::Error;
use super::build::{Layer, documents};
use super::patch::Selector;
use super::resource::Resource;
use meta::Value;

/// Copies each source to its targets.
pub(super) fn run(layer: &Layer<'_>, resources: &mut [Resource]) -> Result<(), Error> {
    for entry in layer.items("replacements") {
        let path = entry.str_at(&["path"]);
        if path.is_empty() {
            one(entry, resources)?;
            continue;
        }
        let text = String::from_utf8_lossy(&layer.read(path)?).into_owned();
        for document in documents(&layer.folder, &text)? {
            match document {
                Value::Array(items) => items.iter().try_for_each(|item| one(item, resources))?,
                item => one(&item, resources)?,
            }
        }
    }
    Ok(())
}

fn one(entry: &Value, resources: &mut [Resource]) -> Result<(), Error> {
    let new = source(entry, resources)?;
    for target in entry.items_at(&["targets"]) {
        let select = Selector::new(target.get("select").unwrap_or(&Value::Null))?;
        let rejects = target.items_at(&["reject"]).iter().map(Selector::new);
        let rejects = rejects.collect::<Result<Vec<_>, _>>()?;
        let options = target.get("options").cloned().unwrap_or_default();
        let mut paths: Vec<&str> = target
            .items_at(&["fieldPaths"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if paths.is_empty() {
            paths.push("metadata.name");
        }
        for resource in resources.iter_mut() {
            if !select.selects(resource) || rejects.iter().any(|r| r.selects(resource)) {
                continue;
            }
            let id = resource.id();
            if paths.contains(&"metadata.name") {
                resource.remember();
            }
            for path in &paths {
                let create = options.is_true_at(&["create"]);
                let mut failed = None;
                let found =
                    each(
                        &mut resource.value,
                        &segments(path),
                        create,
                        &mut |old| match with_options(old, &new, &options) {
                            Ok(value) => *old = value,
                            Err(error) => failed = Some(error),
                        },
                    );
                if let Some(error) = failed {
                    return Err(error);
                }
                if !found {
                    return Err(Error::Misfit(format!(
                        "unable to find field \"{path}\" in replacement target {id}"
                    )));
                }
            }
        }
    }
    Ok(())
}

fn source(entry: &Value, resources: &mut [Resource]) -> Result<Value, Error> {
    if let Some(value) = entry.get("sourceValue") {
        return Ok(value.clone());
    }
    let source = entry.get("source").cloned().unwrap_or_default();
    let selector = Selector::new(&source)?;
    let mut found = resources.iter_mut().filter(|r| selector.selects(r));
    let (Some(resource), None) = (found.next(), found.next()) else {
        let shown = source.to_json();
        return Err(Error::Misfit(format!(
            "replacement source {shown} must select exactly one object"
        )));
    };
    let path = match source.str_at(&["fieldPath"]) {
        "" => "metadata.name",
        path => path,
    };
    let mut value = None;
    each(
        &mut resource.value.clone(),
        &segments(path),
        false,
        &mut |found| {
            value = Some(found.clone());
        },
    );
    let Some(value) = value else {
        let id = resource.id();
        return Err(Error::Misfit(format!(
            "fieldPath `{path}` is missing for replacement source {id}"
        )));
    };
    let options = source.get("options").cloned().unwrap_or_default();
    let delimiter = options.str_at(&["delimiter"]);
    if delimiter.is_empty() {
        return Ok(value);
    }
    let text = meta::go::print(&value);
    let index = options.i64_at(&["index"]).unwrap_or_default();
    let part = usize::try_from(index)
        .ok()
        .and_then(|i| text.split(delimiter).nth(i));
    match part {
        Some(part) => Ok(part.into()),
        None => Err(Error::Misfit(format!(
            "options.index {index} is out of bounds for value {text}"
        ))),
    }
}

fn with_options(old: &Value, new: &Value, options: &Value) -> Result<Value, Error> {
    let delimiter = options.str_at(&["delimiter"]);
    if delimiter.is_empty() {
        return Ok(match (old, new) {
            (Value::String(_), Value::Number(_) | Value::Bool(_)) => meta::go::print(new).into(),
            _ => new.clone(),
        });
    }
    let text = meta::go::print(old);
    let new = meta::go::print(new);
    let mut parts: Vec<&str> = text.split(delimiter).collect();
    match options.i64_at(&["index"]).unwrap_or_default() {
        index if index < 0 => parts.insert(0, &new),
        index => match usize::try_from(index).ok().filter(|&i| i < parts.len()) {
            Some(i) => parts[i] = &new,
            None => parts.push(&new),
        },
    }
    Ok(parts.join(delimiter).into())
}

/// A path cut at its dots, but for those in brackets or behind a backslash.
fn segments(path: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut depth = 0;
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        let last = out.len() - 1;
        match c {
            '\\' => out[last].extend(chars.next()),
            '.' if depth == 0 => out.push(String::new()),
            c => {
                depth += match c {
                    '[' => 1,
                    ']' => -1,
                    _ => 0,
                };
                out[last].push(c);
            }
        }
    }
    out
}

/// Calls `change` at each place of a path; says whether there was one.
fn each(
    value: &mut Value,
    path: &[String],
    create: bool,
    change: &mut dyn FnMut(&mut Value),
) -> bool {
    let Some((first, rest)) = path.split_first() else {
        change(value);
        return true;
    };
    if let Value::Array(items) = value {
        let mut found = false;
        let condition = first.strip_prefix('[').and_then(|f| f.strip_suffix(']'));
        let condition = condition.and_then(|c| c.split_once('='));
        for (i, item) in items.iter_mut().enumerate() {
            let fits = match condition {
                Some((key, wanted)) => {
                    item.get(key).map(meta::go::print).as_deref() == Some(wanted)
                }
                None => first == "*" || *first == i.to_string(),
            };
            found |= fits && each(item, rest, create, change);
        }
        return found;
    }
    let Value::Object(map) = value else {
        return false;
    };
    if first == "*" {
        let mut found = false;
        for (_, below) in map.iter_mut() {
            found |= each(below, rest, create, change);
        }
        return found;
    }
    if create && !map.contains_key(first) {
        map.insert(
            first.as_str(),
            if rest.is_empty() {
                Value::Null
            } else {
                Value::object()
            },
        );
    }
    match map.get_mut(first) {
        Some(below) => each(below, rest, create, change),
        None => false,
    }
}
