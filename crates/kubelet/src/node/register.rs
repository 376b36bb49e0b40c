//! Makes the Node object, or takes over the one that is there.
//!
//! Follows pkg/kubelet/kubelet_node_status.go, registerWithAPIServer.

use std::collections::BTreeMap;
use std::time::Duration;

use client::Patch;
use serde_json::json;
use stdx::Backoff;
use typed::Typed;
use typed::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};

use crate::config::Config;
use crate::context::Context;
use crate::machine::architecture;

/// Labels that every node has.
pub fn labels(config: &Config) -> BTreeMap<String, String> {
    let mut labels = config.node_labels.clone();
    let hostname = if config.hostname.is_empty() {
        &config.node_name
    } else {
        &config.hostname
    };
    let known = [
        ("beta.kubernetes.io/arch", architecture()),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture()),
        ("kubernetes.io/hostname", hostname),
        ("kubernetes.io/os", "linux"),
    ];
    for (key, value) in known {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// The node as it is registered.
fn object(config: &Config, status: NodeStatus) -> Node {
    let mut node = Node {
        spec: Some(NodeSpec {
            taints: Some(config.node_taints.iter().filter_map(|t| taint(t)).collect())
                .filter(|taints: &Vec<Taint>| !taints.is_empty()),
            ..NodeSpec::default()
        }),
        status: Some(status),
        ..Node::default()
    };
    node.metadata.name = Some(config.node_name.clone());
    node.metadata.labels = Some(labels(config));
    node.annotations_mut().insert(
        "volumes.kubernetes.io/controller-managed-attach-detach".to_owned(),
        "true".to_owned(),
    );
    node
}

/// Reads `key=value:Effect` or `key:Effect`.
fn taint(text: &str) -> Option<Taint> {
    let (key, effect) = text.rsplit_once(':')?;
    let (key, value) = match key.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (key, None),
    };
    Some(Taint {
        key: key.to_owned(),
        value,
        effect: effect.to_owned(),
        time_added: None,
    })
}

/// Registers the node; tries until it works.
pub async fn register(cx: &Context, status: impl Fn() -> NodeStatus) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(7));
    loop {
        match try_register(cx, status()).await {
            Ok(()) => return,
            Err(error) => {
                let error = error.message();
                tracing::warn!(
                    node = cx.config.node_name,
                    error,
                    "cannot register the node"
                );
            }
        }
        cx.clock.sleep(backoff.next(&cx.rng)).await;
    }
}

async fn try_register(cx: &Context, status: NodeStatus) -> Result<(), client::Error> {
    let api = cx.client.api::<Node>();
    let name = &cx.config.node_name;
    match api.create(&object(&cx.config, status)).await {
        Ok(_) => {
            tracing::info!(node = name, "registered the node");
            return Ok(());
        }
        Err(error) if error.is_already_exists() => {}
        Err(error) => return Err(error),
    }
    let known = api.get(name).await?;
    let missing: BTreeMap<String, String> = labels(&cx.config)
        .into_iter()
        .filter(|(key, value)| known.labels().get(key) != Some(value))
        .collect();
    if !missing.is_empty() {
        let patch = Patch::Strategic(json!({"metadata": {"labels": missing}}));
        api.patch(name, &patch).await?;
    }
    Ok(())
}
