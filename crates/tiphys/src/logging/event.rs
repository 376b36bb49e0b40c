//! What an event says, apart from how it is written.

use std::fmt;
use stdx::{Clock, Timestamp};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

/// The names of files that say little without that of their folder.
const SAY_LITTLE: [&str; 3] = ["lib.rs", "main.rs", "mod.rs"];

/// An event, read.
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) level: Level,
    /// `node.rs`, and `plugins/mod.rs` where the name alone says little.
    pub(super) file: String,
    /// The folder and the file.
    pub(super) caller: String,
    pub(super) line: u32,
    pub(super) message: String,
    pub(super) values: Vec<(&'static str, Value)>,
}

/// What stands with a key.
pub(super) enum Value {
    Text(String),
    Number(String),
    Bool(bool),
}

impl Entry {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut entry = Entry {
            at: Clock::system().wall(),
            level: *metadata.level(),
            file: file(metadata),
            caller: caller(metadata),
            line: metadata.line().unwrap_or(0),
            message: String::new(),
            values: Vec::new(),
        };
        event.record(&mut entry);
        // Upstream's errors say first what failed.
        entry.values.sort_by_key(|(key, _)| *key != "err");
        entry
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = text,
            // Upstream calls it so.
            ("error", value) => self.values.push(("err", value)),
            (name, value) => self.values.push((name, value)),
        }
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Number(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Number(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let value = match value.is_finite() {
            true => Value::Number(value.to_string()),
            false => Value::Text(value.to_string()),
        };
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }
}

/// The last two parts of the file's path, without `src`.
fn parts<'a>(metadata: &Metadata<'a>) -> (&'a str, &'a str) {
    let path = metadata.file().unwrap_or("???");
    let mut parts = path.rsplit('/').filter(|part| *part != "src");
    let file = parts.next().unwrap_or("???");
    (parts.next().unwrap_or_default(), file)
}

fn file(metadata: &Metadata<'_>) -> String {
    match parts(metadata) {
        (folder, file) if SAY_LITTLE.contains(&file) && !folder.is_empty() => {
            format!("{folder}/{file}")
        }
        (_, file) => file.into(),
    }
}

fn caller(metadata: &Metadata<'_>) -> String {
    match parts(metadata) {
        ("", file) => file.into(),
        (folder, file) => format!("{folder}/{file}"),
    }
}
