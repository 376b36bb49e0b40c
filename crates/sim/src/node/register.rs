//! The node's own object and its lease.

use super::{Kubelet, MILLI_CPU};
use client::{Error, ListOptions, Patch};
use informer::{Factory, Store};
use serde_json::json;
use std::time::Duration;
use typed::Typed;
use typed::api::coordination::v1::{Lease, LeaseSpec};
use typed::api::core::v1::Node;
use typed::meta::{MicroTime, ObjectMeta};

const RENEW: Duration = Duration::from_secs(10);

pub(super) fn start(kubelet: &Kubelet, factory: &Factory) {
    let own = ListOptions::fields(format!("metadata.name={}", kubelet.node.name));
    let nodes = factory.selected::<Node>(own);
    let store = nodes.store();
    let (one, two) = (kubelet.clone(), kubelet.clone());
    kubelet.spawn("lease", async move {
        loop {
            match renew(&one).await {
                Ok(()) => one.clock().sleep(RENEW).await,
                Err(_) => one.pause().await,
            }
        }
    });
    kubelet.spawn("node", async move {
        nodes.synced().await;
        loop {
            if report(&two, &store).await.is_err() {
                two.pause().await;
            }
            two.clock().sleep(Duration::from_secs(2)).await;
        }
    });
}

async fn renew(kubelet: &Kubelet) -> Result<(), Error> {
    let leases = kubelet.client.api::<Lease>().namespace("kube-node-lease");
    let spec = LeaseSpec {
        holder_identity: Some(kubelet.node.name.clone()),
        lease_duration_seconds: Some(40),
        renew_time: Some(MicroTime(kubelet.clock().wall())),
        ..LeaseSpec::default()
    };
    match leases.get(&kubelet.node.name).await {
        Ok(mut lease) => {
            lease.spec = Some(spec);
            leases.replace(&lease).await.map(drop)
        }
        Err(error) if error.is_not_found() => {
            let metadata = ObjectMeta {
                name: Some(kubelet.node.name.clone()),
                namespace: Some("kube-node-lease".to_owned()),
                ..ObjectMeta::default()
            };
            let lease = Lease {
                metadata,
                spec: Some(spec),
            };
            leases.create(&lease).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Makes the node's object, and says that the node is well when that is not known.
async fn report(kubelet: &Kubelet, store: &Store<Node>) -> Result<(), Error> {
    let name = &kubelet.node.name;
    let nodes = kubelet.client.api::<Node>();
    let Some(node) = store.get("", name) else {
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            labels: Some([("kubernetes.io/hostname".to_owned(), name.clone())].into()),
            ..ObjectMeta::default()
        };
        let node = Node {
            metadata,
            ..Node::default()
        };
        return match nodes.create(&node).await {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(()),
        };
    };
    if node.is_deleting() || is_well(&node) {
        return Ok(());
    }
    let now = stdx::format_seconds(kubelet.clock().wall());
    let capacity = json!({"cpu": format!("{MILLI_CPU}m"), "memory": "8Gi", "pods": "30"});
    let status = json!({"status": {
        "capacity": capacity, "allocatable": capacity,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
            "lastHeartbeatTime": now, "lastTransitionTime": now}]
    }});
    nodes
        .patch_status(name, &Patch::Strategic(status))
        .await
        .map(drop)
}

fn is_well(node: &Node) -> bool {
    let status = node.status.clone().unwrap_or_default();
    let has_room = status
        .allocatable
        .is_some_and(|room| room.contains_key("cpu"));
    let mut conditions = status.conditions.into_iter().flatten();
    has_room && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
