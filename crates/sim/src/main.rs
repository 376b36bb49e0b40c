//! Campaigns: many seeds, one after the other.
//!
//! `sim --seeds N [--from S]` runs N seeds and names those that fail;
//! `sim --seed S` runs one and prints its whole record.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = number("--seed") {
        let report = sim::run_scenario(sim::Scenario::draw(seed), true);
        return tell(&report);
    }
    let Some(count) = number("--seeds") else {
        eprintln!("usage: sim --seeds N [--from S] | --seed S");
        return ExitCode::from(2);
    };
    let from = number("--from").unwrap_or(1);
    let mut failed = Vec::new();
    for seed in from..from + count {
        let report = sim::run(seed);
        if tell(&report) == ExitCode::FAILURE {
            failed.push(seed);
        }
    }
    println!("{} of {count} seeds failed: {failed:?}", failed.len());
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn tell(report: &sim::Report) -> ExitCode {
    let facts = format!(
        "seed {} hash {:016x} {} commits {:?}",
        report.seed, report.summary.hash, report.commits, report.time
    );
    match &report.violation {
        None => {
            println!("{facts} ok");
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("{facts} FAILED: {violation}");
            ExitCode::FAILURE
        }
    }
}
