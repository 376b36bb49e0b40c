//! Conversations that last: commands in containers, terminals, forwarded ports.
//!
//! [`dial`] agrees with the server on a protocol, [`remote`] joins local streams to a command over
//! it, [`forward`] does so for ports; [`terminal`] and [`detach`] are the user's side.

pub mod detach;
pub mod dial;
pub mod forward;
pub mod log_line;
mod outcome;
pub mod remote;
pub mod session;
mod spdy_remote;
pub mod standard;
pub mod terminal;

use crate::error::{Result, said};
use crate::words;
use std::time::Duration;

/// Reads how long a pod is waited for, which must be longer than nothing.
pub fn pod_timeout(text: &str, command: &str) -> Result<Duration> {
    let seconds = words::duration_flag("--pod-running-timeout", text);
    let seconds = seconds.map_err(|error| words::flag_usage(command, error))?;
    if seconds <= 0.0 {
        return said(words::usage(
            command,
            "--pod-running-timeout must be higher than zero",
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}
