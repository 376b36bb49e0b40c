//! What the server says of itself: lines on standard error.

use crate::cli::LogFormat;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Starts logging at a verbosity as upstream counts it: 0 says what matters,
/// 4 how it is done, 6 and more everything.
pub fn start(verbosity: u8, format: LogFormat) {
    let level = match verbosity {
        0..=3 => "info",
        4..=5 => "debug",
        _ => "trace",
    };
    let quiet = [
        "hyper=info",
        "h2=info",
        "rustls=info",
        "tower=info",
        "tonic=info",
    ];
    let directives = format!("{level},{}", quiet.join(","));
    let filter =
        EnvFilter::try_from_env("TIPHYS_LOG").unwrap_or_else(|_| EnvFilter::new(directives));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true)
        .with_span_events(FmtSpan::NONE);
    // A second start in one process keeps the first subscriber.
    let _ = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(lines.finish()),
        LogFormat::Json => {
            let objects = lines.json().flatten_event(true);
            tracing::subscriber::set_global_default(objects.finish())
        }
    };
}
