//! Scheduling end to end: from the creation of the first pod until the last
//! one has a node. Nodes are objects only; their leases are renewed here.

use super::Row;
use crate::bench::Bench;
use crate::figure::{Figure, Samples, Unit};
use crate::http2::{Connection, Method, Request};
use crate::load::{self, Load};
use crate::objects::{lease, namespace, node, post, remove_namespace, small_pod};
use crate::process::Spent;
use crate::server::{Options, Server};
use crate::watcher::Watcher;
use anyhow::{Result, bail};
use futures::future::{self, Either};
use serde_json::json;
use std::pin::pin;
use std::time::Duration;
use stdx::{Clock, format_micros, format_seconds};

const SMALL_RATE: Figure = Figure::new(
    "schedule, end to end: 100 nodes, 2,000 pods",
    Unit::PerSecond,
)
.kubernetes("441/s")
.at_least(5_000.0);
const SMALL_CPU: Figure = Figure::new(
    "schedule, processor of the server for each pod, 100 nodes",
    Unit::MicrosEach,
);
const LARGE_RATE: Figure = Figure::new(
    "schedule, end to end: 5,000 nodes, 5,000 pods",
    Unit::PerSecond,
)
.kubernetes("182/s")
.at_least(5_000.0);
const LARGE_CPU: Figure = Figure::new(
    "schedule, processor of the server for each pod, 5,000 nodes",
    Unit::MicrosEach,
);

/// How often a kubelet renews its lease.
const RENEW: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);

struct Plan {
    nodes: usize,
    pods: usize,
    rate: Figure,
    cpu: Figure,
}

pub const SMALL: Row = Row {
    name: "schedule-100",
    own: false,
    figures: &[SMALL_RATE, SMALL_CPU],
    measure: |bench, samples| {
        let plan = Plan {
            nodes: 100,
            pods: 2_000,
            rate: SMALL_RATE,
            cpu: SMALL_CPU,
        };
        Box::pin(measure(bench, samples, plan))
    },
};

pub const LARGE: Row = Row {
    name: "schedule-5000",
    own: false,
    figures: &[LARGE_RATE, LARGE_CPU],
    measure: |bench, samples| {
        let plan = Plan {
            nodes: 5_000,
            pods: 5_000,
            rate: LARGE_RATE,
            cpu: LARGE_CPU,
        };
        Box::pin(measure(bench, samples, plan))
    },
};

async fn measure(bench: &Bench, samples: &mut Samples, plan: Plan) -> Result<()> {
    for _ in 0..bench.runs(3) {
        let server = bench.server(Options::default()).await?;
        let names: Vec<_> = (0..plan.nodes).map(|n| format!("bench-{n:04}")).collect();
        make_nodes(bench, &server, &names).await?;
        let renewing = pin!(renew(&server, &bench.clock, &names));
        let placing = pin!(place(bench, &server, &plan, samples));
        match future::select(placing, renewing).await {
            Either::Left((placed, _)) => placed?,
            Either::Right((renewed, _)) => renewed?,
        }
        if !server.is_own() {
            clean_up(&server, &names).await?;
        }
    }
    Ok(())
}

async fn make_nodes(bench: &Bench, server: &Server, names: &[String]) -> Result<()> {
    let (now, micros) = (
        format_seconds(bench.clock.wall()),
        format_micros(bench.clock.wall()),
    );
    let name = |number: usize| names.get(number).map_or("", String::as_str);
    let create = |number: usize| post("/api/v1/nodes", &node(name(number), &now));
    let lease = |number: usize| post(LEASES, &lease(name(number), &micros));
    all(bench, server, names.len(), &create, b"{\"kind\":\"Node\"").await?;
    all(bench, server, names.len(), &lease, b"{\"kind\":\"Lease\"").await?;
    let mut connection = server.connect().await?;
    for name in names {
        // Controllers write to new nodes at the same time.
        let status = node(name, &now)["status"].take();
        let path = format!("/api/v1/nodes/{name}/status");
        connection
            .insist(&patch(&path, &json!({"status": status})))
            .await?;
    }
    wait_untainted(bench, server).await
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

async fn all(
    bench: &Bench,
    server: &Server,
    count: usize,
    make: &dyn Fn(usize) -> Request,
    expect: &[u8],
) -> Result<()> {
    let load = Load {
        in_flight: 32,
        count,
        make,
        expect,
    };
    load::run(server, &bench.clock, &load).await?;
    Ok(())
}

fn patch(path: &str, change: &serde_json::Value) -> Request {
    Request {
        method: Method::Patch,
        path: path.to_owned(),
        body: change.to_string().into_bytes(),
    }
}

/// New nodes bear a taint until a controller has seen that they are ready.
async fn wait_untainted(bench: &Bench, server: &Server) -> Result<()> {
    let mut connection = server.connect().await?;
    let start = bench.clock.now();
    loop {
        let list = connection.call(&Request::get("/api/v1/nodes")).await?;
        let taint = b"node.kubernetes.io/not-ready\",\"effect";
        let other = b"\"effect\":\"NoSchedule\"";
        if !contains(&list, taint) && !contains(&list, other) {
            return Ok(());
        }
        if bench.clock.since(start) > PATIENCE {
            bail!("nodes keep the taint of nodes that are not ready");
        }
        bench.clock.sleep(Duration::from_millis(200)).await;
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Renews all leases, evenly, for ever.
async fn renew(server: &Server, clock: &Clock, names: &[String]) -> Result<()> {
    let mut connection = server.connect().await?;
    let pause = RENEW / names.len().max(1) as u32;
    let mut next = clock.now();
    loop {
        for name in names {
            let now = format_micros(clock.wall());
            let change = json!({"spec": {"renewTime": now}});
            connection
                .call(&patch(&format!("{LEASES}/{name}"), &change))
                .await?;
            next = next + pause;
            clock.sleep_until(next).await;
        }
    }
}

async fn place(bench: &Bench, server: &Server, plan: &Plan, samples: &mut Samples) -> Result<()> {
    let clock = &bench.clock;
    namespace(&mut server.connect().await?, "bench-schedule").await?;
    let path = "/api/v1/namespaces/bench-schedule/pods";
    // An object that comes into a selection is ADDED to it.
    let placed = format!("{path}?fieldSelector=spec.nodeName%21%3D");
    let mut watcher = Watcher::open(server, &placed).await?;
    let load = Load {
        in_flight: 256,
        count: plan.pods,
        make: &|number| post(path, &small_pod(&format!("pod-{number}"))),
        expect: b"{\"kind\":\"Pod\"",
    };
    let before = Spent::now(&server.pids);
    let start = clock.now();
    let count = async {
        let mut seen = 0;
        while seen < plan.pods {
            seen += usize::from(watcher.line().await?.starts_with(b"{\"type\":\"ADDED\""));
        }
        anyhow::Ok(())
    };
    let (counted, created) = future::join(
        clock.timeout(PATIENCE, count),
        load::run(server, clock, &load),
    )
    .await;
    created?;
    if counted.is_err() {
        bail!("not all pods were placed");
    }
    let elapsed = clock.since(start);
    let spent = Spent::now(&server.pids).since(before);
    samples.add(&plan.rate, plan.pods as f64 / elapsed.as_secs_f64());
    if !server.pids.is_empty() {
        let each = spent.server.as_secs_f64() * 1e6 / plan.pods as f64;
        samples.add(&plan.cpu, each);
    }
    Ok(())
}

async fn clean_up(server: &Server, names: &[String]) -> Result<()> {
    let mut connection: Connection = server.connect().await?;
    remove_namespace(&mut connection, "bench-schedule").await?;
    for name in names {
        connection
            .fetch(&Request::delete(format!("/api/v1/nodes/{name}")))
            .await?;
        connection
            .fetch(&Request::delete(format!("{LEASES}/{name}")))
            .await?;
    }
    Ok(())
}
