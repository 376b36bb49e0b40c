//! `/pods` and `/runningpods/`: the pods that this node has.

use std::collections::BTreeMap;

use container::status::{ContainerFilter, ContainerState};
use http::StatusCode;
use serde_json::{Value, json};
use typed::{Typed, Wire};

use super::containers::internal;
use super::{Answer, Server};
use crate::labels;

/// As the API server knows them, with the status that the kubelet knows.
pub(super) fn answer(server: &Server) -> Answer {
    let cx = &server.handle.cx;
    let pods = cx.pods.list();
    let items = pods.iter().map(|pod| {
        let mut pod = (**pod).clone();
        if let Some(status) = cx.status.get(pod.uid()) {
            pod.status = Some(status);
        }
        // What was just written is valid JSON.
        serde_json::from_slice(&pod.encode()).unwrap_or(Value::Null)
    });
    list(items.collect())
}

/// As the runtime knows them.
pub(super) async fn running(server: &Server) -> Answer {
    let filter = ContainerFilter {
        state: Some(ContainerState::Running),
        ..ContainerFilter::default()
    };
    let containers = match server.handle.cx.runtime.list_containers(&filter).await {
        Ok(containers) => containers,
        Err(error) => return internal(error.chain()),
    };
    let mut pods: BTreeMap<String, Value> = BTreeMap::new();
    for container in containers {
        let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
        let uid = label(labels::POD_UID);
        let pod = pods.entry(uid.clone()).or_insert_with(|| {
            json!({
                "metadata": {
                    "name": label(labels::POD_NAME),
                    "namespace": label(labels::POD_NAMESPACE), "uid": uid,
                },
                "spec": {"containers": []}, "status": {},
            })
        });
        if let Some(list) = pod["spec"]["containers"].as_array_mut() {
            list.push(json!({"name": container.name, "image": container.image, "resources": {}}));
        }
    }
    list(pods.into_values().collect())
}

fn list(items: Vec<Value>) -> Answer {
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
    super::json(StatusCode::OK, &list)
}
