//! Measures an API server, or a whole node, against the figures to beat, and
//! keeps SPECIFICATION.md. `cargo xtask bench` builds and runs it.
//!
//! The load comes from this process and not from the server's, so that each
//! one's share of the processor is known.

mod bench;
mod document;
mod figure;
mod http2;
mod load;
mod machine;
mod objects;
mod process;
mod rows;
mod server;
mod target;
mod watcher;

use anyhow::{Context as _, Result, bail};
use bench::{Bench, Subject};
use clap::Parser;
use document::Circumstances;
use figure::Samples;
use rows::{ROWS, Row};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use stdx::{Clock, format_seconds};
use target::Target;

/// Measures an API server, or a whole node.
#[derive(Debug, Parser)]
struct Args {
    /// The program to measure.
    #[arg(long, value_name = "FILE")]
    tiphys: Option<PathBuf>,
    /// An API server to measure instead, where that is possible.
    #[arg(long, value_name = "FILE", conflicts_with = "tiphys")]
    kubeconfig: Option<PathBuf>,
    /// Processes of that server, for their processor time.
    #[arg(long, value_name = "PID", requires = "kubeconfig")]
    server_pid: Vec<u32>,
    /// What to measure; all by default.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How often, instead of what is usual for each.
    #[arg(long)]
    runs: Option<usize>,
    /// The document to keep.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures; false when a measurement failed.
fn run(args: &Args) -> Result<bool> {
    let bench = Bench {
        clock: Clock::system(),
        subject: subject(args)?,
        runs: args.runs,
    };
    let chosen = chosen(&args.only)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    let mut lines = HashMap::new();
    let mut all_well = true;
    for row in chosen {
        if row.own && matches!(bench.subject, Subject::Running { .. }) {
            eprintln!("{}: needs a program to start, left out", row.name);
            continue;
        }
        match runtime.block_on(measure(&bench, row)) {
            Ok(measured) => lines.extend(measured),
            Err(error) => {
                all_well = false;
                eprintln!("{}: {error:#}", row.name);
            }
        }
        keep(args, &lines)?;
    }
    Ok(all_well)
}

/// Figures of other servers than our own do not belong in the document.
fn keep(args: &Args, lines: &HashMap<&'static str, String>) -> Result<()> {
    let (Some(path), None) = (&args.write, &args.kubeconfig) else {
        return Ok(());
    };
    let old = std::fs::read_to_string(path).unwrap_or_default();
    std::fs::write(path, document::write(&old, lines))
        .with_context(|| format!("write {}", path.display()))
}

fn subject(args: &Args) -> Result<Subject> {
    match (&args.tiphys, &args.kubeconfig) {
        (_, Some(kubeconfig)) => Ok(Subject::Running {
            target: Box::new(Target::read(kubeconfig)?),
            pids: args.server_pid.clone(),
        }),
        (Some(binary), None) => Ok(Subject::Binary(binary.clone())),
        (None, None) => bail!("give a program with --tiphys or a server with --kubeconfig"),
    }
}

fn chosen(only: &[String]) -> Result<Vec<&'static Row>> {
    if only.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    let find = |name: &String| {
        let row = ROWS.iter().find(|row| row.name == name);
        let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        row.with_context(|| format!("no measurement {name:?}; there are {}", names.join(", ")))
    };
    only.iter().map(find).collect()
}

/// Measures a row, says what came out, and makes its lines.
async fn measure(bench: &Bench, row: &'static Row) -> Result<Vec<(&'static str, String)>> {
    let load_before = machine::load();
    let mut samples = Samples::default();
    (row.measure)(bench, &mut samples).await?;
    let circumstances = Circumstances {
        date: format_seconds(bench.clock.wall())
            .chars()
            .take(10)
            .collect(),
        load_before,
        load_after: machine::load(),
    };
    for figure in row.figures {
        if let Some(summary) = samples.summary(figure) {
            let text = |value| figure.unit.text(value);
            println!(
                "{:<70} {:>14}  ({} to {})  {}",
                figure.what,
                text(summary.median),
                text(summary.min),
                text(summary.max),
                figure.goal.text(figure.unit)
            );
        }
    }
    println!("  load {load_before:.1} to {:.1}", circumstances.load_after);
    Ok(document::measured(row, &samples, &circumstances))
}
