//! Figures: what is measured, in which unit, and what it is to be.

use std::collections::HashMap;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Millis,
    /// Operations in a second.
    PerSecond,
    /// Microseconds of a processor for each operation.
    MicrosEach,
    /// Mebibytes.
    MiB,
    /// Megabytes.
    Megabytes,
    /// Percent of a core.
    Percent,
    /// Times something.
    Times,
    /// Gigabytes in a second.
    GigabytesPerSecond,
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Reported, without a goal.
    None,
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
}

/// Something that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// In words; no two figures have the same.
    pub what: &'static str,
    /// What its number counts.
    pub unit: Unit,
    /// What Kubernetes 1.20.2 needed on such a machine.
    pub kubernetes: &'static str,
    /// What it is to be.
    pub goal: Goal,
}

impl Figure {
    /// A figure without a goal.
    pub const fn new(what: &'static str, unit: Unit) -> Self {
        Figure {
            what,
            unit,
            kubernetes: "",
            goal: Goal::None,
        }
    }

    /// What Kubernetes needed.
    pub const fn kubernetes(self, kubernetes: &'static str) -> Self {
        Figure { kubernetes, ..self }
    }

    /// With an upper limit.
    pub const fn at_most(self, limit: f64) -> Self {
        Figure {
            goal: Goal::AtMost(limit),
            ..self
        }
    }

    /// With a lower limit.
    pub const fn at_least(self, limit: f64) -> Self {
        Figure {
            goal: Goal::AtLeast(limit),
            ..self
        }
    }
}

impl Goal {
    /// Whether a number reaches it; nothing where there is no goal.
    pub fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Goal::None => None,
            Goal::AtMost(limit) => Some(value <= limit),
            Goal::AtLeast(limit) => Some(value >= limit),
        }
    }

    /// As it is written in the table.
    pub fn text(self, unit: Unit) -> String {
        match self {
            Goal::None => String::new(),
            Goal::AtMost(limit) => format!("≤ {}", unit.text(limit)),
            Goal::AtLeast(limit) => format!("≥ {}", unit.text(limit)),
        }
    }
}

impl Unit {
    /// A number with its unit.
    pub fn text(self, value: f64) -> String {
        let (number, unit) = (number(value), self.name());
        format!("{number}{unit}")
    }

    fn name(self) -> &'static str {
        match self {
            Unit::Millis => " ms",
            Unit::PerSecond => "/s",
            Unit::MicrosEach => " µs",
            Unit::MiB => " MiB",
            Unit::Megabytes => " MB",
            Unit::Percent => " %",
            Unit::Times => " ×",
            Unit::GigabytesPerSecond => " GB/s",
        }
    }
}

/// Three significant digits, and thousands apart.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => thousands(value.round() as i64),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
    .trim_end_matches(".00")
    .trim_end_matches(".0")
    .to_owned()
}

fn thousands(value: i64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The numbers of several runs.
#[derive(Debug, Default)]
pub struct Samples {
    values: HashMap<&'static str, Vec<f64>>,
}

/// What several runs came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Samples {
    /// Adds the number of a run.
    pub fn add(&mut self, figure: &Figure, value: f64) {
        self.values.entry(figure.what).or_default().push(value);
    }

    /// What a figure's runs came to, if there were any.
    pub fn summary(&self, figure: &Figure) -> Option<Summary> {
        let mut values = self.values.get(figure.what)?.clone();
        values.sort_by(f64::total_cmp);
        Some(Summary {
            median: median(&values)?,
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    match sorted.len() % 2 {
        0 => Some((sorted.get(middle - 1)? + upper) / 2.0),
        _ => Some(*upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_readable() {
        let texts = [0.4567, 5.0, 12.34, 169.2, 6700.4, 1234567.0].map(number);
        assert_eq!(texts, ["0.46", "5", "12.3", "169", "6,700", "1,234,567"]);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
