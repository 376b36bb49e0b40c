//! SPECIFICATION.md: the figures of today beside the goals. A line that was
//! not measured this time stays as it was, and so does what people wrote below
//! the table.

use crate::figure::{Figure, Samples};
use crate::machine;
use crate::rows::{ROWS, Row};
use std::collections::HashMap;

/// The circumstances of a row's run.
pub struct Circumstances {
    /// The day.
    pub date: String,
    /// Load average before.
    pub load_before: f64,
    /// Load average after.
    pub load_after: f64,
}

const BEGINNING: &str = "\
# Specification

What Tiphys promises in numbers, and where it stands. This file is written by
`cargo xtask bench`; the last column says which command measures a line again.

*Kubernetes* is 1.20.2 with etcd 3.4 and containerd 1.6 on a machine of the same
kind. *Today* is the median of several runs, with the smallest and the largest.
Client and server share the cores, so throughput has a companion: the processor
time of the server for each operation. *Load* is the machine's load average
before and after a line was measured: above the number of cores, something else
was running, and the figure says little. Machines of one kind differ by a
factor of two: the ceilings in the last lines say how fast this one was.

";

/// What people write begins with this heading.
const NOTES: &str = "## What the profiles say\n";

/// The document, with the lines of an older one for what was not measured.
pub fn write(document: &str, measured: &HashMap<&'static str, String>) -> String {
    let old = lines(document);
    let mut out = String::from(BEGINNING);
    out.push_str(&format!(
        "Machine of the last run: {}.\n\n",
        machine::describe()
    ));
    out.push_str("| what | Kubernetes | goal | today | met | load | again |\n");
    out.push_str("|---|---|---|---|---|---|---|\n");
    for row in ROWS {
        for figure in row.figures {
            let line = measured.get(figure.what).map(String::as_str);
            let line = line.or_else(|| old.get(figure.what).copied());
            match line {
                Some(line) => out.push_str(line),
                None => out.push_str(&unmeasured(row, figure)),
            }
            out.push('\n');
        }
    }
    if let Some(at) = document.find(NOTES) {
        out.push('\n');
        out.push_str(document.get(at..).unwrap_or_default());
    }
    out
}

/// The lines of a table by their first cell.
fn lines(document: &str) -> HashMap<&str, &str> {
    let lines = document.lines().filter(|line| line.starts_with("| "));
    lines
        .filter_map(|line| Some((line.split('|').nth(1)?.trim(), line)))
        .collect()
}

/// The lines of a row that was measured; a figure without a number is said so.
pub fn measured(
    row: &Row,
    samples: &Samples,
    circumstances: &Circumstances,
) -> Vec<(&'static str, String)> {
    let figures = row.figures.iter();
    figures
        .map(|figure| (figure.what, line(row, figure, samples, circumstances)))
        .collect()
}

fn line(row: &Row, figure: &Figure, samples: &Samples, circumstances: &Circumstances) -> String {
    let Some(summary) = samples.summary(figure) else {
        return unmeasured(row, figure);
    };
    let text = |value| figure.unit.text(value);
    let today = match summary.min == summary.max {
        true => text(summary.median),
        false => format!(
            "**{}** ({}–{})",
            text(summary.median),
            text(summary.min),
            text(summary.max)
        ),
    };
    let met = match figure.goal.is_met(summary.median) {
        None => "",
        Some(true) => "yes",
        Some(false) => "no",
    };
    let load = format!(
        "{}: {:.1}, {:.1}",
        circumstances.date, circumstances.load_before, circumstances.load_after
    );
    cells(row, figure, &today, met, &load)
}

fn unmeasured(row: &Row, figure: &Figure) -> String {
    cells(row, figure, "not measured yet", "", "")
}

fn cells(row: &Row, figure: &Figure, today: &str, met: &str, load: &str) -> String {
    format!(
        "| {} | {} | {} | {today} | {met} | {load} | `cargo xtask bench --only {}` |",
        figure.what,
        figure.kubernetes,
        figure.goal.text(figure.unit),
        row.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_stays() {
        let row = ROWS.iter().find(|row| row.name == "get").unwrap();
        let figure = &row.figures[0];
        let mut samples = Samples::default();
        samples.add(figure, 60_000.0);
        let circumstances = Circumstances {
            date: "2026-11-20".into(),
            load_before: 0.1,
            load_after: 2.0,
        };
        let first: HashMap<_, _> = measured(row, &samples, &circumstances)
            .into_iter()
            .collect();
        let document = write("", &first);
        assert!(
            document.contains("| 60,000/s | yes | 2026-11-20: 0.1, 2.0 |"),
            "{document}"
        );
        assert!(document.contains("| not measured yet |"));
        assert_eq!(write(&document, &HashMap::new()), document);
        let noted = format!("{document}\n{NOTES}\nMuch.\n");
        assert_eq!(write(&noted, &HashMap::new()), noted);
    }
}
