//! One stream of changes, a hundred watchers over TLS.

use super::Row;
use crate::bench::{Bench, millis};
use crate::figure::{Figure, Samples, Unit};
use crate::load::{self, Load, quantile};
use crate::objects::{namespace, post, remove_namespace};
use crate::process::Spent;
use crate::server::{Options, Server};
use crate::watcher::Watcher;
use anyhow::Result;
use futures::future::{join, try_join_all};
use serde_json::json;
use std::time::Duration;
use stdx::Clock;

const RATE: Figure = Figure::new("watch fan-out over TLS, 100 watchers", Unit::PerSecond)
    .kubernetes("24,400/s")
    .at_least(250_000.0);
const P99: Figure = Figure::new("watch fan-out over TLS, write to event, p99", Unit::Millis)
    .kubernetes("26 ms")
    .at_most(10.0);
const SERVER: Figure = Figure::new(
    "watch fan-out, processor of the server for each event",
    Unit::MicrosEach,
);
const CLIENT: Figure = Figure::new(
    "watch fan-out, processor of the client for each event",
    Unit::MicrosEach,
);

const WATCHERS: usize = 100;
/// Every so many watchers one looks at the time.
const TIMED: usize = 10;
const WRITES: usize = 5_000;
const WRITERS: usize = 32;

pub const ROW: Row = Row {
    name: "fan-out",
    own: false,
    figures: &[RATE, P99, SERVER, CLIENT],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    for run in 0..bench.runs(3) {
        let server = bench.server(Options::default()).await?;
        let name = format!("bench-fan-out-{run}");
        let mut connection = server.connect().await?;
        namespace(&mut connection, &name).await?;
        once(bench, &server, &name, samples).await?;
        remove_namespace(&mut connection, &name).await?;
    }
    Ok(())
}

async fn once(bench: &Bench, server: &Server, name: &str, samples: &mut Samples) -> Result<()> {
    let clock = &bench.clock;
    let path = format!("/api/v1/namespaces/{name}/configmaps");
    let watched = format!("{path}?labelSelector=bench%3Dfan-out");
    let mut watchers = Vec::with_capacity(WATCHERS);
    for _ in 0..WATCHERS {
        watchers.push(Watcher::open(server, &watched).await?);
    }
    let make = |number| {
        let now = clock.now().since_origin().as_nanos();
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("c-{number}"), "labels": {"bench": "fan-out"}},
            "data": {"t": format!("{now:020}")},
        });
        post(&path, &object)
    };
    let load = Load {
        in_flight: WRITERS,
        count: WRITES,
        make: &make,
        expect: b"{\"kind\":\"ConfigMap\"",
    };
    let before = Spent::now(&server.pids);
    let start = clock.now();
    let following = watchers
        .into_iter()
        .enumerate()
        .map(|(number, watcher)| follow(watcher, number % TIMED == 0, clock));
    let (followed, written) = join(try_join_all(following), load::run(server, clock, &load)).await;
    let elapsed = clock.since(start);
    let spent = Spent::now(&server.pids).since(before);
    written?;
    let mut latencies = followed?.concat();
    latencies.sort_unstable();
    let events = (WATCHERS * WRITES) as f64;
    samples.add(&RATE, events / elapsed.as_secs_f64());
    samples.add(&P99, millis(quantile(&latencies, 0.99)));
    if !server.pids.is_empty() {
        samples.add(&SERVER, spent.server.as_secs_f64() * 1e6 / events);
    }
    samples.add(&CLIENT, spent.client.as_secs_f64() * 1e6 / events);
    Ok(())
}

/// Counts events until all have come; a watcher that looks at the time says
/// how long each was under way.
async fn follow(mut watcher: Watcher, timed: bool, clock: &Clock) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    if timed {
        for _ in 0..WRITES {
            let line = watcher.line().await?;
            let now = clock.now().since_origin();
            latencies.push(now.saturating_sub(sent_at(&line)));
        }
        return Ok(latencies);
    }
    let mut seen = 0;
    while seen < WRITES {
        watcher
            .bytes(|bytes| seen += bytes.iter().filter(|byte| **byte == b'\n').count())
            .await?;
    }
    Ok(latencies)
}

/// The time that the writer put into the object.
fn sent_at(line: &[u8]) -> Duration {
    const KEY: &[u8] = b"\"t\":\"";
    let at = line.windows(KEY.len()).position(|window| window == KEY);
    let digits = at.and_then(|at| line.get(at + KEY.len()..at + KEY.len() + 20));
    let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    Duration::from_nanos(text.and_then(|t| t.parse().ok()).unwrap_or_default())
}
