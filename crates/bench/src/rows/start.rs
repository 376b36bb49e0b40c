//! From an empty data directory to a server that is ready, and to a node.

use super::Row;
use crate::bench::{Bench, millis};
use crate::figure::{Figure, Samples, Unit};
use crate::server::{Options, Server};
use crate::watcher::Watcher;
use anyhow::Result;
use serde_json::Value;

const READYZ: Figure = Figure::new("empty start to /readyz", Unit::Millis)
    .kubernetes("3,600 ms")
    .at_most(100.0);
const NODE: Figure = Figure::new("empty start to node Ready", Unit::Millis)
    .kubernetes("16,000 ms")
    .at_most(500.0);

pub const ROW: Row = Row {
    name: "start",
    own: true,
    figures: &[READYZ, NODE],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    for _ in 0..bench.runs(7) {
        let server = bench
            .server(Options {
                node: true,
                ..Options::default()
            })
            .await?;
        samples.add(&READYZ, millis(server.ready_after));
        wait_node(&server).await?;
        samples.add(&NODE, millis(server.age()));
    }
    Ok(())
}

/// Waits until a node is Ready.
pub async fn wait_node(server: &Server) -> Result<()> {
    let mut watcher = Watcher::open(server, "/api/v1/nodes").await?;
    while !is_ready(&watcher.event().await?) {}
    Ok(())
}

fn is_ready(event: &Value) -> bool {
    let conditions = event.pointer("/object/status/conditions");
    let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
    conditions
        .any(|c| c.get("type") == Some(&"Ready".into()) && c.get("status") == Some(&"True".into()))
}
