//! Lines as klog writes them: `I1130 19:22:48.123456   12345 file.rs:12]
//! "message" key="value"`. Follows k8s.io/klog/v2's klog.go (formatHeader) and
//! internal/serialize/keyvalues.go.

use super::event::{Entry, Value};
use meta::field::quote;
use std::fmt::Write as _;
use tracing::Level;

/// The line of an event.
pub(super) fn line(entry: &Entry) -> String {
    let mut line = header(entry);
    line.push_str(&quote(&entry.message));
    for (key, value) in &entry.values {
        line.push(' ');
        line.push_str(key);
        line.push('=');
        match value {
            Value::Text(text) if text.contains('\n') => line.push_str(&block(text)),
            Value::Text(text) => line.push_str(&quote(text)),
            Value::Number(number) => line.push_str(number),
            Value::Bool(value) => line.push_str(&value.to_string()),
        }
    }
    line.push('\n');
    line
}

fn header(entry: &Entry) -> String {
    let severity = match entry.level {
        Level::ERROR => 'E',
        Level::WARN => 'W',
        _ => 'I',
    };
    let micros = stdx::format_micros(entry.at);
    // 2026-11-30T19:22:48.123456Z
    let part = |from: usize, to: usize| micros.get(from..to).unwrap_or_default();
    let (month, day, time) = (part(5, 7), part(8, 10), part(11, 26));
    let process = std::process::id();
    let (file, number) = (&entry.file, entry.line);
    format!("{severity}{month}{day} {time} {process:>7} {file}:{number}] ")
}

/// Text of several lines, as klog sets it apart.
fn block(text: &str) -> String {
    let mut block = String::from("<\n");
    for line in text.lines() {
        let _ = writeln!(block, "\t{line}");
    }
    block.push_str(" >");
    block
}

#[cfg(test)]
mod tests {
    use super::super::heard;
    use super::super::verbosity::Verbosity;

    #[test]
    fn lines_are_klogs() {
        let text = heard(super::line, Verbosity::new(4, &[]), || {
            tracing::info!(node = "a", pods = 3, is_ready = true, "node \"a\" is there");
            tracing::warn!(error = %"no\nway", path = ?"x", "tried");
            tracing::error!(name = "b", error = "gone", "failed");
            tracing::debug!("how");
            tracing::trace!("everything");
        });
        let mut lines = text.split_inclusive('\n').map(|line| {
            let (header, rest) = line.split_once("] ").unwrap_or(("", line));
            let severity = header.chars().next();
            (severity, rest.trim_end_matches('\n').to_string())
        });
        let mut next = || lines.next().unwrap();
        let first = next();
        let expected = r#""node \"a\" is there" node="a" pods=3 is_ready=true"#;
        assert_eq!(first, (Some('I'), expected.to_string()));
        assert_eq!(next(), (Some('W'), r#""tried" err=<"#.to_string()));
        assert_eq!(next().1, "\tno");
        assert_eq!(next().1, "\tway");
        assert_eq!(next().1, " > path=\"\\\"x\\\"\"");
        let failed = r#""failed" err="gone" name="b""#;
        assert_eq!(next(), (Some('E'), failed.to_string()));
        assert_eq!(next(), (Some('I'), "\"how\"".to_string()));
        assert!(lines.next().is_none());
        assert_header(text.split("] ").next().unwrap());
    }

    /// `I1130 19:22:48.123456   12345 klog.rs:12`
    fn assert_header(header: &str) {
        let words: Vec<&str> = header.split_whitespace().collect();
        let [day, time, process, place] = words[..] else {
            panic!("{header:?}");
        };
        assert_eq!((day.len(), time.len()), (5, 15), "{header:?}");
        assert_eq!(process, std::process::id().to_string());
        let line = place.strip_prefix("klog.rs:").unwrap();
        assert!(line.parse::<u32>().unwrap() > 0, "{header:?}");
        assert_eq!(
            header.find(process).unwrap() + process.len(),
            5 + 1 + 15 + 1 + 7
        );
    }
}
