//! What requests cost in this process, without sockets: operations per second
//! and CPU microseconds of everything that an operation makes happen.
//!
//! `cargo run --release -p apiserver --example pipeline -- [ROW…]`

#[path = "../tests/it/cluster.rs"]
mod cluster;

use cluster::Cluster;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use meta::{Value, value};
use std::sync::Arc;
use std::time::Duration;
use stdx::Clock;

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";
const PODS: &str = "/api/v1/namespaces/ns/pods";
const IN_FLIGHT: usize = 256;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let is_wanted = |row: &str| wanted.is_empty() || wanted.iter().any(|w| w == row);
    runtime.block_on(async {
        if is_wanted("create") {
            create().await;
        }
        if is_wanted("get") {
            get().await;
        }
        if is_wanted("patch") {
            patch().await;
        }
        if is_wanted("list") {
            list().await;
        }
        if is_wanted("watch") {
            watch().await;
        }
    });
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("statistics");
    let after = text.rsplit(')').next().unwrap_or_default();
    let cells: Vec<u64> = after
        .split_whitespace()
        .map(|c| c.parse().unwrap_or(0))
        .collect();
    Duration::from_millis((cells[11] + cells[12]) * 10)
}

/// Resident memory in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statistics");
    let pages = text.split_whitespace().nth(1).and_then(|c| c.parse().ok());
    pages.unwrap_or(0usize) * 4096
}

/// Runs `count` operations with so many at once; prints what they cost.
async fn measure<F: Future<Output = ()> + Send + 'static>(
    row: &str,
    count: usize,
    in_flight: usize,
    operation: impl Fn(usize) -> F,
) {
    let clock = Clock::system();
    let (started, spent) = (clock.now(), cpu());
    let mut under_way = FuturesUnordered::new();
    for i in 0..count {
        under_way.push(tokio::spawn(operation(i)));
        if under_way.len() >= in_flight {
            under_way.next().await;
        }
    }
    while under_way.next().await.is_some() {}
    report(row, count, clock.since(started), cpu() - spent);
}

fn report(row: &str, count: usize, took: Duration, spent: Duration) {
    let rate = count as f64 / took.as_secs_f64();
    let each = spent.as_secs_f64() * 1e6 / count as f64;
    println!("{row:28} {rate:>10.0}/s {each:>9.1} µs CPU each");
}

fn map(i: usize) -> String {
    let text = "x".repeat(880);
    value!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": format!("m-{i:06}"), "namespace": "ns", "labels": {"app": "bench"}},
        "data": {"text": text}
    })
    .to_json()
}

async fn create() {
    let cluster = Arc::new(Cluster::start().await);
    measure("create 1-KB ConfigMap", 40_000, IN_FLIGHT, |i| {
        let (cluster, body) = (cluster.clone(), map(i));
        async move {
            let reply = cluster.ask("POST", MAPS, &[], body).await;
            assert_eq!(reply.code, 201, "{}", reply.text());
        }
    })
    .await;
    let cluster = Arc::new(Cluster::start().await);
    measure("create 3-KB Pod", 10_000, IN_FLIGHT, |i| {
        let (cluster, body) = (cluster.clone(), pod(i).to_json());
        async move {
            let reply = cluster.ask("POST", PODS, &[], body).await;
            assert_eq!(reply.code, 201, "{}", reply.text());
        }
    })
    .await;
}

async fn get() {
    let cluster = Arc::new(Cluster::start().await);
    for i in 0..100 {
        cluster.ask("POST", MAPS, &[], map(i)).await;
    }
    measure("get 1-KB ConfigMap", 200_000, IN_FLIGHT, |i| {
        let (cluster, uri) = (cluster.clone(), format!("{MAPS}/m-{:06}", i % 100));
        async move {
            let reply = cluster.get(&uri).await;
            assert_eq!(reply.code, 200);
        }
    })
    .await;
}

async fn patch() {
    let cluster = Arc::new(Cluster::start().await);
    for i in 0..1000 {
        cluster.ask("POST", PODS, &[], pod(i).to_json()).await;
    }
    measure("strategic patch of a status", 20_000, IN_FLIGHT, |i| {
        let (cluster, uri) = (cluster.clone(), format!("{PODS}/p-{:06}/status", i % 1000));
        let patch = value!({"status": {"phase": "Running", "podIP": format!("10.0.{}.{}", i / 250 % 250, i % 250)}});
        async move {
            let reply = cluster.patch("strategic-merge", &uri, &patch).await;
            assert_eq!(reply.code, 200, "{}", reply.text());
        }
    })
    .await;
}

/// A pod of about 3 KB as it lies in the store.
fn pod(i: usize) -> Value {
    let env: Vec<Value> = (0..12)
        .map(|n| value!({"name": format!("VARIABLE_{n}"), "value": "some text that a variable holds"}))
        .collect();
    value!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": format!("p-{i:06}"), "namespace": "ns", "labels": {"app": "bench", "n": (i % 10).to_string()},
            "annotations": {"note": "y".repeat(300)}
        },
        "spec": {
            "nodeName": format!("node-{}", i % 100),
            "containers": [{
                "name": "c", "image": "registry.example/some/image:1.2.3", "env": Value::Array(env),
                "resources": {"limits": {"cpu": "100m", "memory": "128Mi"}, "requests": {"cpu": "50m", "memory": "64Mi"}},
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}
            }]
        }
    })
}

async fn list() {
    let cluster = Arc::new(Cluster::start().await);
    let before = resident();
    for i in 0..5_000 {
        cluster.ask("POST", PODS, &[], pod(i).to_json()).await;
    }
    let size = cluster.get("/api/v1/pods").await.body.len();
    println!(
        "5,000 pods: {size} bytes on the wire, {} bytes of memory more than before",
        resident().saturating_sub(before)
    );
    for (row, uri, count, at_once) in [
        ("list 5,000 pods", "/api/v1/pods", 40, 1),
        ("list 5,000 pods, 8 at once", "/api/v1/pods", 80, 8),
        (
            "list 50 of 5,000 by node",
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-7",
            1000,
            8,
        ),
        (
            "list 500 of 5,000 by label",
            "/api/v1/pods?labelSelector=n%3D7",
            400,
            8,
        ),
        ("list a page of 500", "/api/v1/pods?limit=500", 400, 8),
    ] {
        measure(row, count, at_once, |_| {
            let cluster = cluster.clone();
            async move {
                let reply = cluster.get(uri).await;
                assert_eq!(reply.code, 200);
            }
        })
        .await;
    }
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    measure("table of 5,000 pods", 5, 1, |_| {
        let cluster = cluster.clone();
        async move {
            let reply = cluster
                .ask("GET", "/api/v1/pods", &[("accept", table)], "")
                .await;
            assert_eq!(reply.code, 200);
        }
    })
    .await;
}

async fn watch() {
    for (row, watchers, query) in [
        ("create, nobody watches", 0, ""),
        ("create, 100 watch all", 100, ""),
        (
            "create, 1,000 watch a node",
            1000,
            "&fieldSelector=spec.nodeName%3Dnode-",
        ),
    ] {
        let cluster = Arc::new(Cluster::start().await);
        let mut tasks = Vec::new();
        for w in 0..watchers {
            let which = if query.is_empty() {
                String::new()
            } else {
                format!("{query}{w}")
            };
            let mut told = cluster
                .watch(&format!("/api/v1/pods?watch=1{which}"), &[])
                .await;
            let expected = if query.is_empty() {
                3_000
            } else if w < 100 {
                30
            } else {
                0
            };
            tasks.push(tokio::spawn(async move {
                for _ in 0..expected {
                    told.next().await;
                }
            }));
        }
        let clock = Clock::system();
        let (started, spent) = (clock.now(), cpu());
        measure(row, 3_000, 64, |i| {
            let (cluster, body) = (cluster.clone(), pod(i).to_json());
            async move {
                let reply = cluster.ask("POST", PODS, &[], body).await;
                assert_eq!(reply.code, 201);
            }
        })
        .await;
        for task in tasks {
            task.await.expect("a watcher");
        }
        if watchers > 0 {
            let events = if query.is_empty() {
                3_000 * watchers
            } else {
                3_000
            };
            report("  events told", events, clock.since(started), cpu() - spent);
        }
    }
}
