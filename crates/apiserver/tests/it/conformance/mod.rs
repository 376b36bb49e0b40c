//! What upstream's conformance tests ask of an API server, one file per theme.
//! `docs/conformance.tsv` says which of upstream's tests each of these holds.

mod chunking;
mod custom;
mod discovery;
mod events;
mod fields;
mod immutable;
mod namespaces;
mod nodes;
mod operations;
mod pods;
mod services;
mod watchers;
mod workloads;

use crate::cluster::Cluster;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use meta::{Value, value};
use registry::Notice;
use std::time::Duration;

/// The next notice of a watch, which must come.
async fn next(told: &mut BoxStream<'static, Notice>) -> (&'static str, Value) {
    let notice = tokio::time::timeout(Duration::from_secs(20), told.next());
    let notice = notice.await.expect("a notice in time");
    let notice = notice.expect("a watch that goes on");
    let object = codec::json::parse_value(&notice.object).expect("JSON");
    (notice.kind.as_str(), object)
}

/// Waits for a notice of a kind.
async fn until(told: &mut BoxStream<'static, Notice>, kind: &str) -> Value {
    loop {
        let (found, object) = next(told).await;
        if found == kind {
            return object;
        }
    }
}

/// A watch that begins with what is there now.
async fn watch_from_now(cluster: &Cluster, all: &str) -> BoxStream<'static, Notice> {
    let list = cluster.get(all).await.ok();
    let now = list.str_at(&["metadata", "resourceVersion"]).to_string();
    let and = if all.contains('?') { '&' } else { '?' };
    cluster
        .watch(&format!("{all}{and}watch=1&resourceVersion={now}"), &[])
        .await
}

/// A change that every object takes.
fn labelled(value: &str) -> Value {
    value!({"metadata": {"labels": {"patched": value}}})
}

async fn count(cluster: &Cluster, uri: &str) -> usize {
    cluster.get(uri).await.ok().items_at(&["items"]).len()
}

fn template() -> Value {
    value!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}})
}
