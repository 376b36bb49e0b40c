//! Pods on a real node: one after the other, and many at once.

use super::{Row, start};
use crate::bench::{Bench, mebibytes, millis};
use crate::figure::{Figure, Samples, Unit};
use crate::http2::{Connection, Request};
use crate::load::quantile;
use crate::objects::{namespace, obedient_pod, post};
use crate::server::{Options, Server, sum};
use crate::watcher::Watcher;
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;
use stdx::Clock;

const RUNNING: Figure = Figure::new("pod create to Running, image present, p50", Unit::Millis)
    .kubernetes("1,050 ms")
    .at_most(25.0);
const RUNNING_P99: Figure = Figure::new("pod create to Running, image present, p99", Unit::Millis);
const GONE: Figure = Figure::new(
    "pod delete to gone, its process ending at SIGTERM, p50",
    Unit::Millis,
)
.kubernetes("8,900 ms")
.at_most(50.0);
const GONE_P99: Figure = Figure::new(
    "pod delete to gone, its process ending at SIGTERM, p99",
    Unit::Millis,
);
const THIRTY: Figure = Figure::new("30 pods at once on one node, until all run", Unit::Millis)
    .kubernetes("15,900 ms (3,100 ms with limits raised)")
    .at_most(600.0);
const HUNDRED: Figure =
    Figure::new("110 pods at once on one node, until all run", Unit::Millis).at_most(2_000.0);
const HUNDRED_GONE: Figure =
    Figure::new("110 pods deleted at once, until all are gone", Unit::Millis);
const MONITOR: Figure = Figure::new(
    "memory of a running pod's monitor (proportional)",
    Unit::MiB,
);

const ROUNDS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(120);
/// A shell that runs needs a moment until it listens to SIGTERM.
const SHELL: Duration = Duration::from_millis(300);
const PODS: &str = "/api/v1/namespaces/bench-pods/pods";

pub const ONE: Row = Row {
    name: "pod",
    own: true,
    figures: &[RUNNING, RUNNING_P99, GONE, GONE_P99],
    measure: |bench, samples| Box::pin(one_by_one(bench, samples)),
};

pub const MANY: Row = Row {
    name: "pods",
    own: true,
    figures: &[THIRTY, HUNDRED, HUNDRED_GONE, MONITOR],
    measure: |bench, samples| Box::pin(many(bench, samples)),
};

/// A node with its namespace, and what happens to its pods.
struct Stage {
    server: Server,
    connection: Connection,
    watcher: Watcher,
    clock: Clock,
}

impl Stage {
    async fn set(bench: &Bench) -> Result<Self> {
        let options = Options {
            node: true,
            image: true,
            ..Options::default()
        };
        let server = bench.server(options).await?;
        start::wait_node(&server).await?;
        let mut connection = server.connect().await?;
        namespace(&mut connection, "bench-pods").await?;
        let watcher = Watcher::open(&server, PODS).await?;
        let mut stage = Stage {
            server,
            connection,
            watcher,
            clock: bench.clock.clone(),
        };
        // The first pod also makes what all share.
        stage.start(&["first".to_owned()]).await?;
        stage.end(&["first".to_owned()]).await?;
        Ok(stage)
    }

    /// Creates pods and waits until all run.
    async fn start(&mut self, names: &[String]) -> Result<Duration> {
        let start = self.clock.now();
        for name in names {
            self.connection.request(&post(PODS, &obedient_pod(name)));
        }
        self.connection.flush().await?;
        self.wait(names, |event| {
            event.pointer("/object/status/phase") == Some(&"Running".into())
        })
        .await?;
        let elapsed = self.clock.since(start);
        self.drain(names.len()).await?;
        Ok(elapsed)
    }

    /// Deletes pods and waits until all are gone.
    async fn end(&mut self, names: &[String]) -> Result<Duration> {
        self.clock.sleep(SHELL).await;
        let start = self.clock.now();
        for name in names {
            self.connection
                .request(&Request::delete(format!("{PODS}/{name}")));
        }
        self.connection.flush().await?;
        self.wait(names, |event| event.get("type") == Some(&"DELETED".into()))
            .await?;
        let elapsed = self.clock.since(start);
        self.drain(names.len()).await?;
        Ok(elapsed)
    }

    /// Waits until something is true of all pods.
    async fn wait(&mut self, names: &[String], is_so: impl Fn(&Value) -> bool) -> Result<()> {
        let mut missing: HashSet<&str> = names.iter().map(String::as_str).collect();
        let watcher = &mut self.watcher;
        let waiting = async {
            while !missing.is_empty() {
                let event = watcher.event().await?;
                if is_so(&event)
                    && let Some(name) = event.pointer("/object/metadata/name")
                {
                    missing.remove(name.as_str().unwrap_or_default());
                }
            }
            anyhow::Ok(())
        };
        match self.clock.timeout(PATIENCE, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => bail!(
                "{} of {} pods are missing: {missing:?}",
                missing.len(),
                names.len()
            ),
        }
    }

    /// Takes the answers to as many requests from the connection.
    async fn drain(&mut self, mut answers: usize) -> Result<()> {
        use crate::http2::Piece;
        while answers > 0 {
            self.connection
                .receive(|piece| {
                    let (Piece::Head { end, .. } | Piece::Data { end, .. }) = piece;
                    answers -= usize::from(end);
                })
                .await?;
        }
        Ok(())
    }
}

async fn one_by_one(bench: &Bench, samples: &mut Samples) -> Result<()> {
    let mut stage = Stage::set(bench).await?;
    for run in 0..bench.runs(3) {
        let (mut running, mut gone) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let names = [format!("one-{run}-{round}")];
            running.push(stage.start(&names).await?);
            gone.push(stage.end(&names).await?);
        }
        running.sort_unstable();
        gone.sort_unstable();
        samples.add(&RUNNING, millis(quantile(&running, 0.5)));
        samples.add(&RUNNING_P99, millis(quantile(&running, 0.99)));
        samples.add(&GONE, millis(quantile(&gone, 0.5)));
        samples.add(&GONE_P99, millis(quantile(&gone, 0.99)));
    }
    Ok(())
}

async fn many(bench: &Bench, samples: &mut Samples) -> Result<()> {
    let mut stage = Stage::set(bench).await?;
    for run in 0..bench.runs(3) {
        let names: Vec<_> = (0..30).map(|n| format!("thirty-{run}-{n}")).collect();
        samples.add(&THIRTY, millis(stage.start(&names).await?));
        stage.end(&names).await?;
        let names: Vec<_> = (0..110).map(|n| format!("hundred-{run}-{n}")).collect();
        samples.add(&HUNDRED, millis(stage.start(&names).await?));
        let mut monitors = stage.server.family();
        monitors.retain(|pid| !stage.server.pids.contains(pid));
        let memory = sum(&monitors).proportional / monitors.len().max(1) as u64;
        samples.add(&MONITOR, mebibytes(memory));
        samples.add(&HUNDRED_GONE, millis(stage.end(&names).await?));
    }
    Ok(())
}
