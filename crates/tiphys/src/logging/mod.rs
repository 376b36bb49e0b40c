//! What the server says of itself, as upstream's components say it: text in the
//! form of klog, or JSON as `--logging-format=json` writes it. Times are UTC.

mod event;
mod file;
mod json;
mod klog;
mod verbosity;

pub use verbosity::VModule;

use crate::server_args::{LogArgs, LogFormat};
use anyhow::{Context as _, Result};
use file::LogFile;
use std::io::{self, Write};
#[cfg(test)]
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use verbosity::Verbosity;

/// Starts logging as the options say.
pub fn start(args: &LogArgs) -> Result<()> {
    let output = output(args)?;
    let verbosity = Verbosity::new(args.v, &args.vmodule);
    let write = match args.logging_format {
        LogFormat::Text => klog::line,
        LogFormat::Json => json::line,
    };
    let lines = Lines {
        write,
        output: Mutex::new(output),
    };
    let lowest = verbosity.lowest();
    let filter = filter_fn(move |metadata| verbosity.is_wanted(metadata));
    let filter = filter.with_max_level_hint(lowest);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    // A second start in one process keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

type Output = Box<dyn Write + Send>;

fn output(args: &LogArgs) -> Result<Output> {
    let Some(path) = &args.log else {
        return Ok(Box::new(io::stderr()));
    };
    let file = LogFile::open(path).with_context(|| format!("open the log {}", path.display()))?;
    Ok(match args.alsologtostderr {
        true => Box::new(Both(file)),
        false => Box::new(file),
    })
}

/// The file, and standard error too.
struct Both(LogFile);

impl Write for Both {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(line)?;
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes each event as a line.
struct Lines {
    write: fn(&event::Entry) -> String,
    output: Mutex<Output>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = (self.write)(&event::Entry::of(event));
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nobody left to tell that the log cannot be written.
        let _ = output.write_all(line.as_bytes());
    }
}

/// Keeps what was written, for tests of forms.
#[cfg(test)]
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

#[cfg(test)]
impl Write for Kept {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `speak` logs in a form, at a verbosity.
#[cfg(test)]
fn heard(write: fn(&event::Entry) -> String, verbosity: Verbosity, speak: impl FnOnce()) -> String {
    let kept = Kept::default();
    let lines = Lines {
        write,
        output: Mutex::new(Box::new(kept.clone())),
    };
    let filter = filter_fn(move |metadata| verbosity.is_wanted(metadata));
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    tracing::subscriber::with_default(subscriber, speak);
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}
