//! What loops keep of objects of which there are many: the fields that they read, under the names
//! of the whole kind. A whole [`Pod`](crate::api::core::v1::Pod) has 2.6 KB of room for fields
//! that are empty, and as much again for each of its containers. Nothing lean is written back.

use crate::api::core::v1::{ContainerPort, PodIP, Toleration};
use crate::meta::{ObjectMeta, Time};
use crate::wire::wire;
use crate::{Typed, api};
use serde::{Deserialize, Serialize};

/// A pod as controllers see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// The pod's metadata.
    pub metadata: ObjectMeta,
    /// What it shall be.
    pub spec: Option<PodSpec>,
    /// What it is.
    pub status: Option<PodStatus>,
}

/// What a pod shall be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The containers.
    pub containers: Vec<Container>,
    /// The containers that come first.
    pub init_containers: Option<Vec<Container>>,
    /// Its name within its subdomain.
    pub hostname: Option<String>,
    /// The node that it is assigned to.
    pub node_name: Option<String>,
    /// The domain of its headless Service.
    pub subdomain: Option<String>,
    /// How long it may take to end.
    pub termination_grace_period_seconds: Option<i64>,
    /// The taints that it bears.
    pub tolerations: Option<Vec<Toleration>>,
}

/// What a container shall be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// The name.
    pub name: String,
    /// The ports that it names.
    pub ports: Option<Vec<ContainerPort>>,
    /// `Always` makes a sidecar of an init container.
    pub restart_policy: Option<String>,
}

/// What a pod is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// The conditions.
    pub conditions: Option<Vec<PodCondition>>,
    /// Of the containers.
    pub container_statuses: Option<Vec<ContainerStatus>>,
    /// Of the containers that come first.
    pub init_container_statuses: Option<Vec<ContainerStatus>>,
    /// Where it is in its life.
    pub phase: Option<String>,
    /// Its first address.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// Its addresses.
    #[serde(rename = "podIPs")]
    pub pod_ips: Option<Vec<PodIP>>,
}

/// A condition of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// Which.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    pub reason: Option<String>,
    /// Since when.
    pub last_transition_time: Option<Time>,
}

/// What a container is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The name.
    pub name: String,
    /// How often it was started again.
    pub restart_count: i32,
}

wire!(Pod);

impl Typed for Pod {
    const GROUP: &'static str = <api::core::v1::Pod as Typed>::GROUP;
    const VERSION: &'static str = <api::core::v1::Pod as Typed>::VERSION;
    const API_VERSION: &'static str = <api::core::v1::Pod as Typed>::API_VERSION;
    const KIND: &'static str = <api::core::v1::Pod as Typed>::KIND;
    const PLURAL: &'static str = <api::core::v1::Pod as Typed>::PLURAL;
    const NAMESPACED: bool = <api::core::v1::Pod as Typed>::NAMESPACED;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wire as _;
    use serde_json::json;

    #[test]
    fn a_pod_keeps_what_it_names() {
        let whole = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "namespace": "a", "labels": {"app": "web"}},
            "spec": {"nodeName": "node", "hostname": "web-0", "subdomain": "web", "dnsPolicy": "ClusterFirst",
                "tolerations": [{"key": "k", "operator": "Exists"}],
                "containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]},
            "status": {"phase": "Running", "podIP": "10.42.0.2", "podIPs": [{"ip": "10.42.0.2"}],
                "conditions": [{"type": "Ready", "status": "True", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "containerStatuses": [{"name": "c", "restartCount": 2, "ready": true}]},
        });
        let pod = Pod::decode(whole.to_string().as_bytes()).expect("a pod");
        let kept: serde_json::Value = serde_json::from_slice(&pod.encode()).expect("JSON");
        for path in [
            "/metadata/labels/app",
            "/spec/nodeName",
            "/spec/hostname",
            "/spec/subdomain",
            "/spec/tolerations/0/key",
            "/spec/containers/0/ports/0/containerPort",
            "/status/phase",
            "/status/podIP",
            "/status/podIPs/0/ip",
            "/status/conditions/0/lastTransitionTime",
            "/status/containerStatuses/0/restartCount",
        ] {
            assert_eq!(kept.pointer(path), whole.pointer(path), "{path}");
        }
        let room = std::mem::size_of::<Pod>();
        assert!(
            room * 3 < std::mem::size_of::<api::core::v1::Pod>(),
            "{room}"
        );
    }
}
