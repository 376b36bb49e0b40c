//! A list of 5,000 pods, alone and eight at once.

use super::{Row, memory};
use crate::bench::{Bench, millis};
use crate::figure::{Figure, Samples, Unit};
use crate::http2::Request;
use crate::load::{self, Load};
use crate::objects::remove_namespace;
use crate::server::Options;
use anyhow::Result;

const ALONE: Figure = Figure::new("LIST 5,000 pods (15.3 MB)", Unit::Millis)
    .kubernetes("169 ms")
    .at_most(20.0);
const AT_ONCE: Figure = Figure::new("LIST 5,000 pods, 8 at once", Unit::PerSecond)
    .kubernetes("9.3/s")
    .at_least(50.0);
const SERVER: Figure = Figure::new("LIST, processor of the server for each", Unit::Millis);
const CLIENT: Figure = Figure::new("LIST, processor of the client for each", Unit::Millis);
const BYTES: Figure = Figure::new("LIST, bytes", Unit::Megabytes);

const ROUNDS: usize = 10;
const TOGETHER: usize = 80;

pub const ROW: Row = Row {
    name: "list",
    own: false,
    figures: &[ALONE, AT_ONCE, SERVER, CLIENT, BYTES],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    let server = bench.server(Options::default()).await?;
    memory::make_pods(bench, &server, "bench-list").await?;
    let make = |_| Request::get("/api/v1/namespaces/bench-list/pods");
    let load = |in_flight, count| Load {
        in_flight,
        count,
        make: &make,
        expect: b"{\"kind\":\"PodList\"",
    };
    load::run(&server, &bench.clock, &load(1, 2)).await?;
    for _ in 0..bench.runs(5) {
        let alone = load::run(&server, &bench.clock, &load(1, ROUNDS)).await?;
        samples.add(&ALONE, millis(alone.quantile(0.5)));
        samples.add(&BYTES, alone.bytes as f64 / ROUNDS as f64 / 1e6);
        // Each of the eight has a connection of its own, as clients have.
        let together = load::run_apart(&server, &bench.clock, &load(8, TOGETHER)).await?;
        samples.add(&AT_ONCE, together.per_second());
        if !server.pids.is_empty() {
            let spent = together.micros_each(together.spent.server) / 1e3;
            samples.add(&SERVER, spent);
        }
        let spent = together.micros_each(together.spent.client) / 1e3;
        samples.add(&CLIENT, spent);
    }
    remove_namespace(&mut server.connect().await?, "bench-list").await
}
