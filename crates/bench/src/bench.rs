//! What a measurement is given: the subject, and how often to look.

use crate::figure::{Figure, Samples};
use crate::load::Outcome;
use crate::server::{Options, Server};
use crate::target::Target;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use stdx::Clock;

/// Who is measured.
pub enum Subject {
    /// A tiphys that is started anew for each row.
    Binary(PathBuf),
    /// A server that runs already.
    Running {
        /// Where.
        target: Box<Target>,
        /// Its processes, as far as somebody said.
        pids: Vec<u32>,
    },
}

/// The surroundings of a measurement.
pub struct Bench {
    /// The time.
    pub clock: Clock,
    /// Who is measured.
    pub subject: Subject,
    /// How often, if somebody said.
    pub runs: Option<usize>,
}

impl Bench {
    /// How often to measure when that many are usual.
    pub fn runs(&self, usual: usize) -> usize {
        self.runs.unwrap_or(usual)
    }

    /// A server to measure.
    pub async fn server(&self, options: Options) -> Result<Server> {
        match &self.subject {
            Subject::Binary(binary) => Server::start(binary, options, &self.clock).await,
            Subject::Running { target, pids } => {
                let target = (**target).clone();
                Ok(Server::running(target, pids.clone(), self.clock.clone()))
            }
        }
    }

    /// The program to measure.
    pub fn binary(&self) -> Result<&Path> {
        match &self.subject {
            Subject::Binary(binary) => Ok(binary),
            Subject::Running { .. } => bail!("this needs a program to start"),
        }
    }
}

/// Adds the processor time for each request, where it is known.
pub fn add_spent(
    samples: &mut Samples,
    server: &Server,
    outcome: &Outcome,
    theirs: &Figure,
    ours: &Figure,
) {
    if !server.pids.is_empty() {
        samples.add(theirs, outcome.micros_each(outcome.spent.server));
    }
    samples.add(ours, outcome.micros_each(outcome.spent.client));
}

/// Mebibytes.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// Milliseconds.
pub fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
