//! What is measured: a file for each group of figures that one run yields.

mod binary;
mod ceilings;
mod create;
mod dns;
mod fan_out;
mod get;
mod idle;
mod in_process;
mod list;
mod memory;
mod pods;
mod schedule;
mod services;
mod start;

use crate::bench::Bench;
use crate::figure::{Figure, Samples};
use anyhow::Result;
use futures::future::LocalBoxFuture;

/// A measurement: fills in the numbers of its figures.
pub type Measure = for<'a> fn(&'a Bench, &'a mut Samples) -> LocalBoxFuture<'a, Result<()>>;

/// Figures that are measured together.
pub struct Row {
    /// The name that `--only` takes.
    pub name: &'static str,
    /// Whether it needs a server of its own, or none.
    pub own: bool,
    /// What it yields.
    pub figures: &'static [Figure],
    /// How.
    pub measure: Measure,
}

/// All of them, in the order of the document.
pub const ROWS: &[Row] = &[
    start::ROW,
    idle::ROW,
    get::ROW,
    create::ROW,
    list::ROW,
    memory::ROW,
    fan_out::ROW,
    in_process::ROW,
    schedule::SMALL,
    schedule::LARGE,
    pods::ONE,
    pods::MANY,
    services::ROW,
    dns::ROW,
    ceilings::ROW,
    binary::ROW,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_words_are_unique() {
        let names: HashSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        let figures: Vec<_> = ROWS.iter().flat_map(|row| row.figures).collect();
        let words: HashSet<_> = figures.iter().map(|figure| figure.what).collect();
        assert_eq!(words.len(), figures.len());
    }
}
