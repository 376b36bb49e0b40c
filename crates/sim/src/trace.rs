//! What happened, line by line: a hash of all of it, by which two runs of one
//! seed are compared, and its end, which is shown when something is wrong.

use serde_json::Value;
use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stdx::Clock;
use tracing_subscriber::fmt::MakeWriter;

/// How many lines are kept.
const TAIL: usize = 400;

/// The record of a run. Clones write to the same record.
#[derive(Clone)]
pub struct Trace {
    clock: Clock,
    echo: bool,
    shown: Option<Arc<str>>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    hash: u64,
    lines: u64,
    tail: VecDeque<String>,
}

/// What is left of a record after the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Stands for all lines.
    pub hash: u64,
    /// How many there were.
    pub lines: u64,
    /// The last of them.
    pub tail: Vec<String>,
}

impl Trace {
    /// An empty record. With `echo` each line also goes to stderr at once.
    pub fn new(clock: Clock, echo: bool) -> Self {
        let shown = std::env::var("SIM_SHOW").ok().filter(|_| echo);
        Self {
            clock,
            echo,
            shown: shown.map(Into::into),
            inner: Arc::default(),
        }
    }

    /// Adds a line.
    pub fn note(&self, text: impl Display) {
        let line = format!(
            "{:>11.6} {text}",
            self.clock.now().since_origin().as_secs_f64()
        );
        if self.echo {
            eprintln!("{line}");
        }
        let mut inner = self.inner();
        inner.hash = fnv(inner.hash, line.as_bytes());
        inner.lines += 1;
        if inner.tail.len() == TAIL {
            inner.tail.pop_front();
        }
        inner.tail.push_back(line);
    }

    /// Shows an object on stderr, if `SIM_SHOW` is part of what it is called. That is no part of
    /// the record.
    pub fn show(&self, place: &impl Display, object: &Value) {
        if let Some(wanted) = &self.shown
            && place.to_string().contains(&**wanted)
        {
            eprintln!("{:>11} {place} {object}", "");
        }
    }

    /// What the record says so far.
    pub fn summary(&self) -> Summary {
        let inner = self.inner();
        Summary {
            hash: inner.hash,
            lines: inner.lines,
            tail: inner.tail.iter().cloned().collect(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// FNV-1a, going on from a hash.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    let start = if hash == 0 {
        0xcbf2_9ce4_8422_2325
    } else {
        hash
    };
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// One message of the cluster's own log, which becomes a line.
pub struct LogLine {
    trace: Trace,
    text: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        self.trace.note(format_args!("log {}", text.trim()));
    }
}

impl<'a> MakeWriter<'a> for Trace {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine {
            trace: self.clone(),
            text: Vec::new(),
        }
    }
}
