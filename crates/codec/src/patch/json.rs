//! JSON patch. The words of its complaints follow evanphx/json-patch.

use super::Error;
use meta::Value;

/// The most operations a patch may have, as upstream's handler limits them.
pub const OPERATIONS_MAX: usize = 10_000;

const OPERATIONS: [&str; 6] = ["add", "copy", "move", "remove", "replace", "test"];

/// Applies all operations, or none: on an error the target is left as it was
/// only if the caller keeps a copy.
pub fn apply(target: &mut Value, patch: &Value) -> Result<(), Error> {
    let Some(operations) = patch.as_array() else {
        return Err(Error::Malformed(
            "json: cannot unmarshal object into Go value of type jsonpatch.Patch".into(),
        ));
    };
    if operations.len() > OPERATIONS_MAX {
        let found = operations.len();
        return Err(Error::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {found}"
        )));
    }
    operations
        .iter()
        .try_for_each(|operation| apply_one(target, operation))
}

/// Fields of operations that no operation has, in words.
pub fn unknown_fields(operations: &[Value]) -> impl Iterator<Item = String> {
    let is_known = |key: &str| matches!(key, "op" | "path" | "from" | "value");
    let operations = operations.iter().enumerate();
    operations.flat_map(move |(i, operation)| {
        let fields = operation.as_object().into_iter().flat_map(|map| map.iter());
        let unknown = fields.filter(move |(key, _)| !is_known(key));
        unknown.map(move |(key, _)| format!("unknown field \"[{i}].{key}\""))
    })
}

fn apply_one(target: &mut Value, operation: &Value) -> Result<(), Error> {
    let op = operation.str_at(&["op"]);
    let place = |key: &str| {
        let found = operation.get(key).and_then(Value::as_str);
        found.ok_or_else(|| {
            let words = format!("{op} operation failed to decode {key}: missing value");
            Error::DoesNotApply(words)
        })
    };
    let value = || operation.get("value").cloned().unwrap_or_default();
    if !OPERATIONS.contains(&op) {
        return Err(Error::DoesNotApply(format!("Unexpected kind: {op}")));
    }
    if matches!(op, "copy" | "move") {
        place("from")?;
    }
    let path = place("path")?;
    let from = || operation.str_at(&["from"]);
    match op {
        "add" => add(target, path, value()),
        "remove" => remove(target, path).map(|_| ()),
        "replace" => replace(target, path, value()),
        "move" => {
            let moved = remove(target, from())?;
            add(target, path, moved)
        }
        "copy" => {
            let copied = find(target, from())
                .cloned()
                .ok_or_else(|| missing("copy", from()))?;
            add(target, path, copied)
        }
        _ => match find(target, path).unwrap_or(&Value::Null) == &value() {
            true => Ok(()),
            false => Err(Error::DoesNotApply(format!(
                "testing value {path} failed: test failed"
            ))),
        },
    }
}

fn missing(op: &str, path: &str) -> Error {
    Error::DoesNotApply(format!(
        "{op} operation does not apply: doc is missing path: {path}: missing value"
    ))
}

fn tokens(path: &str) -> Vec<String> {
    path.split('/')
        .skip(1)
        .map(|t| t.replace("~1", "/").replace("~0", "~"))
        .collect()
}

fn find<'a>(target: &'a Value, path: &str) -> Option<&'a Value> {
    tokens(path)
        .iter()
        .try_fold(target, |value, token| match value {
            Value::Object(map) => map.get(token),
            Value::Array(items) => items.get(token.parse::<usize>().ok()?),
            _ => None,
        })
}

fn find_mut<'a>(target: &'a mut Value, tokens: &[String]) -> Option<&'a mut Value> {
    tokens.iter().try_fold(target, |value, token| match value {
        Value::Object(map) => map.get_mut(token),
        Value::Array(items) => items.get_mut(token.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The container that holds the end of a path, and the path's last token.
fn parent<'a>(
    target: &'a mut Value,
    op: &str,
    path: &str,
) -> Result<(&'a mut Value, String), Error> {
    let mut tokens = tokens(path);
    let last = tokens.pop().ok_or_else(|| missing(op, path))?;
    let container =
        find_mut(target, &tokens).filter(|v| matches!(v, Value::Object(_) | Value::Array(_)));
    Ok((container.ok_or_else(|| missing(op, path))?, last))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (container, last) = parent(target, "add", path)?;
    match container {
        Value::Array(items) => {
            let at = match last.as_str() {
                "-" => items.len(),
                index => index.parse::<usize>().ok().filter(|i| *i <= items.len()).ok_or_else(|| {
                    Error::DoesNotApply(format!(
                        "add operation does not apply: doc is missing path: {path}: Unable to access invalid index: {last}: invalid index referenced"
                    ))
                })?,
            };
            items.insert(at, value);
        }
        other => {
            other.make_object().insert(last, value);
        }
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, Error> {
    let (container, last) = parent(target, "remove", path)?;
    let removed = match container {
        Value::Array(items) => last
            .parse::<usize>()
            .ok()
            .filter(|i| *i < items.len())
            .map(|i| items.remove(i)),
        other => other.make_object().remove(&last),
    };
    removed.ok_or_else(|| {
        Error::DoesNotApply(format!(
            "remove operation does not apply: doc is missing path: {path}: missing value"
        ))
    })
}

fn replace(target: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    match find_mut(target, &tokens(path)) {
        Some(slot) => {
            *slot = value;
            Ok(())
        }
        None => Err(missing("replace", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn check(mut target: Value, patch: Value, expected: Result<Value, &str>) {
        let outcome = apply(&mut target, &patch)
            .map(|()| target)
            .map_err(|e| e.to_string());
        assert_eq!(outcome, expected.map_err(str::to_string));
    }

    #[test]
    fn operations_do_what_they_say() {
        check(
            value!({"a": 1}),
            value!([{"op": "add", "path": "/b/c", "value": 2}]),
            Err("add operation does not apply: doc is missing path: /b/c: missing value"),
        );
        check(
            value!({"a": [1, 3], "x/y": {"~": 1}}),
            value!([
                {"op": "add", "path": "/a/1", "value": 2}, {"op": "add", "path": "/a/-", "value": 4},
                {"op": "replace", "path": "/x~1y/~0", "value": 5}, {"op": "copy", "from": "/a/0", "path": "/b"},
                {"op": "move", "from": "/b", "path": "/c"}, {"op": "test", "path": "/c", "value": 1},
                {"op": "remove", "path": "/a/0"}
            ]),
            Ok(value!({"a": [2, 3, 4], "x/y": {"~": 5}, "c": 1})),
        );
        check(
            value!({"a": 1}),
            value!([{"op": "test", "path": "/a", "value": 2}]),
            Err("testing value /a failed: test failed"),
        );
        check(
            value!({"a": 1}),
            value!([{"op": "add", "value": 2}]),
            Err("add operation failed to decode path: missing value"),
        );
        check(
            value!({"a": 1}),
            value!([{"op": "copy", "path": "/b"}]),
            Err("copy operation failed to decode from: missing value"),
        );
        check(
            value!({"a": 1}),
            value!([{"op": "x"}]),
            Err("Unexpected kind: x"),
        );
        check(
            value!({"a": 1}),
            value!([{"op": "remove", "path": "/b"}]),
            Err("remove operation does not apply: doc is missing path: /b: missing value"),
        );
        check(
            value!({"a": [1]}),
            value!([{"op": "add", "path": "/a/5", "value": 2}]),
            Err(
                "add operation does not apply: doc is missing path: /a/5: Unable to access invalid index: 5: invalid index referenced",
            ),
        );
    }
}
