//! `tiphys check`: whether a server could run here, with a hint for what is
//! not as it should be.

use crate::config::Config;
use crate::preflight::{self, Finding, Weight};
use crate::server_args::ServerArgs;
use anyhow::{Result, bail};

/// Prints each finding; fails when a server could not start.
pub fn run(args: ServerArgs) -> Result<()> {
    let config = Config::new(args)?;
    let mut failures = 0;
    for finding in preflight::look(&config) {
        print(&finding);
        failures += usize::from(finding.outcome.is_err() && finding.weight == Weight::Needed);
    }
    match failures {
        0 => Ok(()),
        1 => bail!("a server cannot run here: 1 check failed"),
        n => bail!("a server cannot run here: {n} checks failed"),
    }
}

fn print(finding: &Finding) {
    let word = match (&finding.outcome, finding.weight) {
        (Ok(_), _) => "ok",
        (Err(_), Weight::Wanted) => "warning",
        (Err(_), Weight::Needed) => "FAILED",
    };
    let said = match &finding.outcome {
        Ok(said) => said.clone(),
        Err(problem) => problem.replace('\n', "\n           "),
    };
    println!("{word:<8} {}: {said}", finding.what);
}
