//! An object a line, as upstream's `--logging-format=json`. Follows
//! k8s.io/component-base/logs/json: the time in milliseconds, who calls, the
//! message, its verbosity unless it is an error, and then keys and values.

use super::event::{Entry, Value};
use super::verbosity;
use tracing::Level;

/// The line of an event.
pub(super) fn line(entry: &Entry) -> String {
    let micros = entry.at.as_microsecond();
    let caller = format!("{}:{}", entry.caller, entry.line);
    let mut line = format!(
        "{{\"ts\":{}.{:03},\"caller\":{},\"msg\":{}",
        micros.div_euclid(1000),
        micros.rem_euclid(1000),
        text(&caller),
        text(&entry.message)
    );
    if entry.level != Level::ERROR {
        line.push_str(&format!(",\"v\":{}", verbosity::of(entry.level)));
    }
    for (key, value) in &entry.values {
        line.push_str(&format!(",{}:", text(key)));
        match value {
            Value::Text(value) => line.push_str(&text(value)),
            Value::Number(number) => line.push_str(number),
            Value::Bool(value) => line.push_str(&value.to_string()),
        }
    }
    line.push_str("}\n");
    line
}

fn text(text: &str) -> String {
    meta::Value::from(text).to_json()
}

#[cfg(test)]
mod tests {
    use super::super::heard;
    use super::super::verbosity::Verbosity;
    use meta::Value;

    #[test]
    fn lines_are_objects() {
        let lines = heard(super::line, Verbosity::new(4, &[]), || {
            tracing::info!(node = "a", pods = 3, "there\n");
            tracing::debug!(ok = true, "how");
            tracing::error!(error = "gone", "failed");
        });
        let shown: Vec<String> = lines
            .lines()
            .map(|line| {
                let mut object = codec::json::parse_value(line.as_bytes()).unwrap();
                let map = object.make_object();
                let time = map.remove("ts").unwrap();
                assert!(
                    matches!(time, Value::Number(t) if t.as_f64() > 1.7e12),
                    "{line}"
                );
                let caller = map.remove("caller").unwrap();
                assert!(caller.as_str().unwrap().starts_with("logging/json.rs:"));
                object.to_json()
            })
            .collect();
        let expected = [
            r#"{"msg":"there\n","node":"a","pods":3,"v":0}"#,
            r#"{"msg":"how","ok":true,"v":4}"#,
            r#"{"err":"gone","msg":"failed"}"#,
        ];
        assert_eq!(shown, expected);
        assert!(lines.starts_with("{\"ts\":"));
    }
}
