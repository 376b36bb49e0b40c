//! The memory of a server that keeps 5,000 pods, beside their size on the wire.

use super::Row;
use crate::bench::{Bench, mebibytes};
use crate::figure::{Figure, Samples, Unit};
use crate::http2::Request;
use crate::load::{self, Load};
use crate::objects::{gated_pod, namespace, post};
use crate::server::{Options, Server};
use anyhow::Result;

const TIMES: Figure = Figure::new(
    "server memory with 5,000 pods: growth beside their wire size",
    Unit::Times,
)
.kubernetes("5.2–7 × (best published)")
.at_most(1.2);
const SCHEDULER: Figure = Figure::new("the same with the scheduler in the process", Unit::Times);
const CONTROLLERS: Figure =
    Figure::new("the same with the controllers in the process", Unit::Times);
const ALL: Figure = Figure::new("the same with both in the process", Unit::Times);
const WHOLE: Figure = Figure::new("server memory with 5,000 pods, whole process", Unit::MiB)
    .kubernetes("661–1,383 MiB");

const PODS: usize = 5_000;
/// So that the list has 15.3 MB at least; with what the server says of who owns
/// its fields, a pod may be larger by itself.
const BYTES_EACH: usize = 3_060;

pub const ROW: Row = Row {
    name: "memory",
    own: true,
    figures: &[TIMES, SCHEDULER, CONTROLLERS, ALL, WHOLE],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    for _ in 0..bench.runs(3) {
        for (figure, disable) in [
            (TIMES, "controllers,scheduler"),
            (SCHEDULER, "controllers"),
            (CONTROLLERS, "scheduler"),
        ] {
            let (times, _) = growth(bench, disable).await?;
            samples.add(&figure, times);
        }
        let (times, whole) = growth(bench, "").await?;
        samples.add(&ALL, times);
        samples.add(&WHOLE, mebibytes(whole));
    }
    Ok(())
}

/// Growth in wire sizes, and the whole process in bytes.
async fn growth(bench: &Bench, disable: &'static str) -> Result<(f64, u64)> {
    let options = Options {
        disable,
        ..Options::default()
    };
    let server = bench.server(options).await?;
    let before = server.settle().await.resident;
    make_pods(bench, &server, "bench-memory").await?;
    let after = server.settle().await.resident;
    let list = Request::get("/api/v1/namespaces/bench-memory/pods");
    let wire = server.connect().await?.call(&list).await?.len();
    Ok((after.saturating_sub(before) as f64 / wire as f64, after))
}

/// Makes 5,000 pods that nobody runs, in a namespace of their own.
pub async fn make_pods(bench: &Bench, server: &Server, name: &str) -> Result<()> {
    let mut connection = server.connect().await?;
    namespace(&mut connection, name).await?;
    let path = format!("/api/v1/namespaces/{name}/pods");
    let first = connection
        .call(&post(&path, &gated_pod("pod-0000", 0)))
        .await?;
    // The list names neither kind nor version of its items.
    let size = first.len() - "\"kind\":\"Pod\",\"apiVersion\":\"v1\",".len();
    let padding = BYTES_EACH.saturating_sub(size);
    connection
        .call(&Request::delete(format!(
            "{path}/pod-0000?gracePeriodSeconds=0"
        )))
        .await?;
    let load = Load {
        in_flight: 64,
        count: PODS,
        make: &|number| post(&path, &gated_pod(&format!("pod-{number:04}"), padding)),
        expect: b"{\"kind\":\"Pod\"",
    };
    load::run(server, &bench.clock, &load).await?;
    Ok(())
}
