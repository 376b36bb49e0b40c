//! The size of the program.

use super::Row;
use crate::bench::Bench;
use crate::figure::{Figure, Samples, Unit};
use anyhow::{Context as _, Result};

const SIZE: Figure = Figure::new("binary", Unit::Megabytes)
    .kubernetes("517 MB of binaries")
    .at_most(25.0);

pub const ROW: Row = Row {
    name: "binary",
    own: true,
    figures: &[SIZE],
    measure: |bench, samples| Box::pin(async { measure(bench, samples) }),
};

fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    let binary = bench.binary()?;
    let metadata = binary.metadata();
    let size = metadata
        .with_context(|| format!("look at {}", binary.display()))?
        .len();
    samples.add(&SIZE, size as f64 / 1e6);
    Ok(())
}
