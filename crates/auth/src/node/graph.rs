//! Which objects each node may read because its pods need them. Follows
//! plugin/pkg/auth/authorizer/node/graph.go.

use meta::Value;
use meta::object::Object as _;
use rustc_hash::{FxHashMap, FxHashSet};

/// The pods that kubelets run by themselves and only show to the API server:
/// what they name, they must not get.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A resource of which nodes see some objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Need {
    ConfigMap,
    Claim,
    Pod,
    ResourceClaim,
    Secret,
    ServiceAccount,
}

type Key = (Need, String);

/// What the pods on each node need.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Namespace, then object, then the nodes that need it and for how many pods.
    needed: FxHashMap<String, FxHashMap<Key, FxHashMap<String, usize>>>,
    pods: FxHashMap<(String, String), Placed>,
}

#[derive(Debug)]
struct Placed {
    node: String,
    uid: String,
    needs: FxHashSet<Key>,
}

impl Graph {
    pub(super) fn put(&mut self, pod: &Value) {
        let (namespace, name) = (pod.namespace(), pod.name());
        let node = pod.str_at(&["spec", "nodeName"]);
        if node.is_empty() {
            return self.remove(namespace, name);
        }
        let key = (namespace.to_string(), name.to_string());
        let needs = needs(pod);
        let same = |p: &Placed| p.node == node && p.uid == pod.uid() && p.needs == needs;
        if self.pods.get(&key).is_some_and(same) {
            return;
        }
        self.remove(namespace, name);
        let objects = self.needed.entry(namespace.into()).or_default();
        for need in &needs {
            *objects
                .entry(need.clone())
                .or_default()
                .entry(node.into())
                .or_default() += 1;
        }
        let placed = Placed {
            node: node.into(),
            uid: pod.uid().into(),
            needs,
        };
        self.pods.insert(key, placed);
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        let Some(placed) = self.pods.remove(&(namespace.to_string(), name.to_string())) else {
            return;
        };
        let Some(objects) = self.needed.get_mut(namespace) else {
            return;
        };
        for need in &placed.needs {
            let Some(nodes) = objects.get_mut(need) else {
                continue;
            };
            if let Some(count) = nodes.get_mut(&placed.node) {
                *count -= 1;
                if *count == 0 {
                    nodes.remove(&placed.node);
                }
            }
            if nodes.is_empty() {
                objects.remove(need);
            }
        }
        if objects.is_empty() {
            self.needed.remove(namespace);
        }
    }

    /// Namespaces and names of all pods.
    pub(super) fn pods(&self) -> Vec<(String, String)> {
        self.pods.keys().cloned().collect()
    }

    /// Whether a pod on the node needs the object.
    pub(super) fn is_needed(&self, node: &str, need: Need, namespace: &str, name: &str) -> bool {
        let objects = self.needed.get(namespace);
        let nodes = objects.and_then(|objects| objects.get(&(need, name.to_string())));
        nodes.is_some_and(|nodes| nodes.contains_key(node))
    }
}

/// Whether a pod needs the object.
pub(super) fn does_need(pod: &Value, need: Need, name: &str) -> bool {
    needs(pod).contains(&(need, name.to_string()))
}

fn needs(pod: &Value) -> FxHashSet<Key> {
    let mut needs = FxHashSet::default();
    needs.insert((Need::Pod, pod.name().to_string()));
    if pod.annotation(MIRROR).is_some() {
        return needs;
    }
    let mut add = |need: Need, name: &str| {
        if !name.is_empty() {
            needs.insert((need, name.to_string()));
        }
    };
    let Some(spec) = pod.get("spec") else {
        return needs;
    };
    add(Need::ServiceAccount, spec.str_at(&["serviceAccountName"]));
    for secret in spec.items_at(&["imagePullSecrets"]) {
        add(Need::Secret, secret.str_at(&["name"]));
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.items_at(&[list]) {
            of_environment(container, &mut add);
        }
    }
    for volume in spec.items_at(&["volumes"]) {
        of_volume(pod.name(), volume, &mut add);
    }
    for claim in pod.items_at(&["status", "resourceClaimStatuses"]) {
        add(Need::ResourceClaim, claim.str_at(&["resourceClaimName"]));
    }
    for claim in spec.items_at(&["resourceClaims"]) {
        add(Need::ResourceClaim, claim.str_at(&["resourceClaimName"]));
    }
    needs
}

fn of_environment(container: &Value, add: &mut impl FnMut(Need, &str)) {
    for source in container.items_at(&["envFrom"]) {
        add(Need::Secret, source.str_at(&["secretRef", "name"]));
        add(Need::ConfigMap, source.str_at(&["configMapRef", "name"]));
    }
    for variable in container.items_at(&["env"]) {
        add(
            Need::Secret,
            variable.str_at(&["valueFrom", "secretKeyRef", "name"]),
        );
        add(
            Need::ConfigMap,
            variable.str_at(&["valueFrom", "configMapKeyRef", "name"]),
        );
    }
}

fn of_volume(pod: &str, volume: &Value, add: &mut impl FnMut(Need, &str)) {
    add(Need::Secret, volume.str_at(&["secret", "secretName"]));
    add(
        Need::Secret,
        volume.str_at(&["csi", "nodePublishSecretRef", "name"]),
    );
    for old in [
        "cephfs",
        "flexVolume",
        "iscsi",
        "rbd",
        "scaleIO",
        "storageos",
    ] {
        add(Need::Secret, volume.str_at(&[old, "secretRef", "name"]));
    }
    add(Need::Secret, volume.str_at(&["azureFile", "secretName"]));
    add(Need::ConfigMap, volume.str_at(&["configMap", "name"]));
    add(
        Need::Claim,
        volume.str_at(&["persistentVolumeClaim", "claimName"]),
    );
    if volume.get("ephemeral").is_some() {
        add(Need::Claim, &format!("{pod}-{}", volume.str_at(&["name"])));
    }
    for source in volume.items_at(&["projected", "sources"]) {
        add(Need::Secret, source.str_at(&["secret", "name"]));
        add(Need::ConfigMap, source.str_at(&["configMap", "name"]));
    }
}
