//! What a node costs that has nothing to do.

use super::{Row, start};
use crate::bench::{Bench, mebibytes};
use crate::figure::{Figure, Samples, Unit};
use crate::process;
use crate::server::{Options, sum};
use anyhow::Result;
use std::time::Duration;

const MEMORY: Figure = Figure::new("whole node idle, resident", Unit::MiB)
    .kubernetes("663 MiB")
    .at_most(48.0);
const CPU: Figure = Figure::new("whole node idle, processor over 30 s", Unit::Percent)
    .kubernetes("7.5 %")
    .at_most(0.5);

/// After the start there is still something to do.
const CALM: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(30);

pub const ROW: Row = Row {
    name: "idle",
    own: true,
    figures: &[MEMORY, CPU],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    let options = Options {
        node: true,
        ..Options::default()
    };
    let server = bench.server(options).await?;
    start::wait_node(&server).await?;
    bench.clock.sleep(CALM).await;
    for _ in 0..bench.runs(3) {
        let family = server.family();
        let cpu = || {
            family
                .iter()
                .map(|pid| process::cpu(*pid))
                .sum::<Duration>()
        };
        let (before, start) = (cpu(), bench.clock.now());
        bench.clock.sleep(WINDOW).await;
        let (spent, elapsed) = (cpu() - before, bench.clock.since(start));
        samples.add(&CPU, spent.as_secs_f64() / elapsed.as_secs_f64() * 100.0);
        samples.add(&MEMORY, mebibytes(sum(&family).resident));
    }
    Ok(())
}
