//! Campaigns: many seeds, one after the other on each core.
//!
//! `sim --seeds N [--from S] [--threads T]` runs N seeds and names those that fail;
//! `sim --seed S` runs one and prints its whole record: with `SIM_LOG=debug` what the
//! cluster logs, with `SIM_SHOW=core/pods` also the objects that are called so.

use sim::{Campaign, Report, Scenario};
use std::process::ExitCode;

const USAGE: &str = "usage: sim --seeds N [--from S] [--threads T] | --seed S";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = number("--seed") {
        let report = sim::run_scenario(Scenario::draw(seed), true);
        tell(&report);
        return code(report.violation.is_none());
    }
    let Some(count) = number("--seeds") else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let from = number("--from").unwrap_or(1);
    let mut campaign = Campaign::new(from..from + count);
    if let Some(threads) = number("--threads") {
        campaign.threads = usize::try_from(threads).unwrap_or(1);
    }
    let outcome = campaign.run(tell);
    let failed: Vec<u64> = outcome.failed.iter().map(|report| report.seed).collect();
    println!(
        "{} of {} seeds failed: {failed:?}",
        failed.len(),
        outcome.ran
    );
    code(failed.is_empty())
}

fn tell(report: &Report) {
    let Report {
        seed,
        summary,
        commits,
        time,
        ..
    } = report;
    let facts = format!(
        "seed {seed} hash {:016x} {commits} commits {time:?}",
        summary.hash
    );
    match &report.violation {
        None => println!("{facts} ok"),
        Some(violation) => println!("{facts} FAILED: {violation}\n  replay: {}", report.replay()),
    }
}

fn code(is_well: bool) -> ExitCode {
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
