//! A kubelet writes its own node, lease and pods, and nothing else. Follows
//! plugin/pkg/admission/noderestriction/admission.go.

use crate::pod::{any, any_projected, has, is_mirror, names_config_maps, names_secrets};
use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use auth::user::NODES;
use meta::object::Object as _;
use meta::{GroupResource, Map, Status, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The namespace of the nodes' leases.
const LEASES: &str = "kube-node-lease";
/// Labels of upstream's own that kubelets may set on their nodes.
const KUBELET_LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Label domains that are the kubelets' to use.
const KUBELET_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// The label domain that is not.
const RESTRICTED_DOMAIN: &str = "node-restriction.kubernetes.io";

pub(crate) struct NodeRestriction;

#[async_trait]
impl Plugin for NodeRestriction {
    fn name(&self) -> &'static str {
        "NodeRestriction"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        object: &mut Value,
        old: Option<&Value>,
        view: &dyn View,
    ) -> Result<(), Status> {
        if !request.user.is_in(NODES) || request.operation == Operation::Connect {
            return Ok(());
        }
        let Some(node) = request.user.as_node() else {
            let user = meta::field::quote(&request.user.name);
            return Err(request.forbidden(format!("could not determine node from user {user}")));
        };
        let asked = Asked {
            request,
            node,
            object,
            old,
            view,
        };
        match (request.group, request.resource, request.subresource) {
            ("", "pods", "") => asked.pod().await,
            ("", "pods", "status") => asked.pod_status(),
            ("", "pods", "eviction") => asked.eviction().await,
            ("", "pods", other) => asked.no(format!(
                "unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"
            )),
            ("", "nodes", _) => asked.node(),
            ("", "persistentvolumeclaims", "status") => Ok(()),
            ("", "persistentvolumeclaims", _) => asked.no("may only update PVC status"),
            ("", "serviceaccounts", "token") => asked.token().await,
            ("coordination.k8s.io", "leases", _) => asked.lease(),
            _ => Ok(()),
        }
    }
}

/// What a kubelet asks.
struct Asked<'a> {
    request: &'a Request<'a>,
    node: &'a str,
    object: &'a Value,
    old: Option<&'a Value>,
    view: &'a dyn View,
}

impl Asked<'_> {
    fn no(&self, why: impl std::fmt::Display) -> Result<(), Status> {
        Err(self.request.forbidden(why))
    }

    async fn stored(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Value>, Status> {
        let found = self.view.get("", resource, namespace, name).await?;
        found.ok_or_else(|| Status::not_found(&GroupResource::new("", resource), name))
    }

    async fn pod(&self) -> Result<(), Status> {
        let node = self.node;
        match self.request.operation {
            Operation::Create => self.new_pod().await,
            Operation::Delete => match self.old.map(|pod| pod.str_at(&["spec", "nodeName"])) {
                Some(of) if of == node => Ok(()),
                _ => self.no(format!(
                    "node {node:?} can only delete pods with spec.nodeName set to itself"
                )),
            },
            other => self.no(format!(
                "unexpected operation {:?}, node {node:?} can only create and delete mirror pods",
                other.as_str()
            )),
        }
    }

    async fn new_pod(&self) -> Result<(), Status> {
        let (node, pod) = (self.node, self.object);
        if !is_mirror(pod) {
            return self.no(format!(
                "pod does not have \"kubernetes.io/config.mirror\" annotation, node {node:?} can only create mirror pods"
            ));
        }
        if pod.str_at(&["spec", "nodeName"]) != node {
            return self.no(format!(
                "node {node:?} can only create pods with spec.nodeName set to itself"
            ));
        }
        self.owner().await?;
        let volumes =
            |is: &dyn Fn(&Value) -> bool| pod.items_at(&["spec", "volumes"]).iter().any(is);
        let bundles = |volume: &Value| any_projected(volume, |s| has(s, &["clusterTrustBundle"]));
        let what = match () {
            () if !pod.str_at(&["spec", "serviceAccountName"]).is_empty() => "a service account",
            () if names_secrets(pod) => "secrets",
            () if names_config_maps(pod) => "configmaps",
            () if volumes(&bundles) => "clustertrustbundles",
            () if volumes(&|v| has(v, &["persistentVolumeClaim"])) => "persistentvolumeclaims",
            () if has(pod, &["spec"])
                && any(
                    &pod.get("spec").cloned().unwrap_or_default(),
                    "resourceClaims",
                    |_| true,
                ) =>
            {
                "resourceclaims"
            }
            () => return Ok(()),
        };
        self.no(format!(
            "node {node:?} can not create pods that reference {what}"
        ))
    }

    async fn owner(&self) -> Result<(), Status> {
        let node = self.node;
        let owner = match self.object.items_at(&["metadata", "ownerReferences"]) {
            [owner] => owner,
            [] => {
                return self.no(format!(
                    "node {node:?} can only create pods with an owner reference set to itself"
                ));
            }
            _ => {
                return self.no(format!(
                    "node {node:?} can only create pods with a single owner reference set to itself"
                ));
            }
        };
        let text = |key: &str| owner.str_at(&[key]);
        if (text("apiVersion"), text("kind"), text("name")) != ("v1", "Node", node) {
            return self.no(format!(
                "node {node:?} can only create pods with an owner reference set to itself"
            ));
        }
        if !owner.is_true_at(&["controller"]) {
            return self.no(format!(
                "node {node:?} can only create pods with a controller owner reference set to itself"
            ));
        }
        if owner.is_true_at(&["blockOwnerDeletion"]) {
            return self.no(format!(
                "node {node:?} must not set blockOwnerDeletion on an owner reference"
            ));
        }
        let stored = self.stored("nodes", "", node).await?;
        match text("uid") == stored.uid() {
            true => Ok(()),
            false => self.no(format!(
                "node {node} UID mismatch: expected {} got {}",
                text("uid"),
                stored.uid()
            )),
        }
    }

    fn pod_status(&self) -> Result<(), Status> {
        let node = self.node;
        let (Operation::Update, Some(old)) = (self.request.operation, self.old) else {
            let operation = self.request.operation.as_str();
            return self.no(format!("unexpected operation {operation:?}"));
        };
        if old.str_at(&["spec", "nodeName"]) != node {
            return self.no(format!(
                "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
            ));
        }
        let labels = |pod: &Value| pod.labels().filter(|l| !l.is_empty()).cloned();
        if labels(old) != labels(self.object) {
            return self.no(format!(
                "node {node:?} cannot update labels through pod status"
            ));
        }
        let claims = |pod: &Value| pod.items_at(&["status", "resourceClaimStatuses"]).to_vec();
        if claims(old) != claims(self.object) {
            return self.no(format!(
                "node {node:?} cannot update resource claim statues"
            ));
        }
        Ok(())
    }

    async fn eviction(&self) -> Result<(), Status> {
        if self.request.operation != Operation::Create {
            let operation = self.request.operation.as_str();
            return self.no(format!("unexpected operation {operation}"));
        }
        let pod = self
            .stored("pods", self.request.namespace, self.request.name)
            .await?;
        match pod.str_at(&["spec", "nodeName"]) == self.node {
            true => Ok(()),
            false => self.no(format!(
                "node {} can only evict pods with spec.nodeName set to itself",
                self.node
            )),
        }
    }

    fn node(&self) -> Result<(), Status> {
        let (node, name) = (self.node, self.request.name);
        if name != node {
            return self.no(format!(
                "node {node:?} is not allowed to modify node {name:?}"
            ));
        }
        match (self.request.operation, self.old) {
            (Operation::Create, _) => self.new_node(),
            (Operation::Update, Some(old)) => self.changed_node(old),
            _ => Ok(()),
        }
    }

    fn new_node(&self) -> Result<(), Status> {
        let node = self.node;
        if has(self.object, &["spec", "configSource"]) {
            return self.no(format!(
                "node {node:?} is not allowed to create pods with a non-nil configSource"
            ));
        }
        match forbidden_labels(self.object.labels(), None) {
            None => Ok(()),
            Some(labels) => self.no(format!(
                "node {node:?} is not allowed to set the following labels: {labels}"
            )),
        }
    }

    fn changed_node(&self, old: &Value) -> Result<(), Status> {
        let (node, new) = (self.node, self.object);
        let at = |object: &Value, keys: &[&str]| object.at(keys).filter(|v| !v.is_empty()).cloned();
        let changed = |keys: &[&str]| at(new, keys) != at(old, keys);
        if has(new, &["spec", "configSource"]) && changed(&["spec", "configSource"]) {
            return self.no(format!(
                "node {node:?} is not allowed to update configSource to a new non-nil configSource"
            ));
        }
        if changed(&["spec", "taints"]) {
            return self.no(format!("node {node:?} is not allowed to modify taints"));
        }
        if let Some(labels) = forbidden_labels(new.labels(), old.labels()) {
            return self.no(format!("is not allowed to modify labels: {labels}"));
        }
        if changed(&["metadata", "ownerReferences"]) {
            return self.no(format!(
                "node {node:?} is not allowed to modify ownerReferences"
            ));
        }
        Ok(())
    }

    async fn token(&self) -> Result<(), Status> {
        if self.request.operation != Operation::Create {
            return Ok(());
        }
        let unbound = "node requested token not bound to a pod";
        let Some(bound) = self.object.at(&["spec", "boundObjectRef"]) else {
            return self.no(unbound);
        };
        let (name, uid) = (bound.str_at(&["name"]), bound.str_at(&["uid"]));
        let is_pod =
            bound.str_at(&["kind"]) == "Pod" && matches!(bound.str_at(&["apiVersion"]), "" | "v1");
        if !is_pod || name.is_empty() {
            return self.no(unbound);
        }
        if uid.is_empty() {
            return self.no("node requested token with a pod binding without a uid");
        }
        let pod = self.stored("pods", self.request.namespace, name).await?;
        if pod.uid() != uid {
            return self.no(format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            ));
        }
        match pod.str_at(&["spec", "nodeName"]) == self.node {
            true => Ok(()),
            false => self.no("node requested token bound to a pod scheduled on a different node"),
        }
    }

    fn lease(&self) -> Result<(), Status> {
        if self.request.namespace != LEASES {
            return self.no(format!(
                "can only access leases in the {LEASES:?} system namespace"
            ));
        }
        match self.request.name == self.node {
            true => Ok(()),
            false => {
                self.no("can only access node lease with the same name as the requesting node")
            }
        }
    }
}

/// Labels that changed and are not a kubelet's to change, as a list.
fn forbidden_labels(new: Option<&Value>, old: Option<&Value>) -> Option<String> {
    let keys = |labels: Option<&Value>| -> BTreeSet<String> {
        let map = labels.and_then(Value::as_object);
        map.into_iter()
            .flat_map(Map::keys)
            .map(ToString::to_string)
            .collect()
    };
    let changed = |key: &&String| new.and_then(|l| l.get(key)) != old.and_then(|l| l.get(key));
    let (new_keys, old_keys) = (keys(new), keys(old));
    let all: BTreeSet<&String> = new_keys.union(&old_keys).collect();
    let forbidden: Vec<&str> = all
        .into_iter()
        .filter(changed)
        .map(String::as_str)
        .filter(|key| is_restricted(key))
        .collect();
    (!forbidden.is_empty()).then(|| forbidden.join(", "))
}

fn is_restricted(label: &str) -> bool {
    let domain = label
        .split_once('/')
        .map(|(domain, _)| domain)
        .unwrap_or_default();
    let within = |of: &str| {
        domain == of
            || domain
                .strip_suffix(of)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    let upstreams = within("kubernetes.io") || within("k8s.io");
    let kubelets = KUBELET_LABELS.contains(&label) || KUBELET_DOMAINS.iter().any(|of| within(of));
    within(RESTRICTED_DOMAIN) || (upstreams && !kubelets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Case, Objects, create, delete, update};
    use auth::User;
    use meta::value;

    fn objects() -> Objects {
        Objects::default()
            .with("nodes", value!({"metadata": {"name": "one", "uid": "n1"}}))
            .with("pods", pod("mine", "one"))
            .with("pods", pod("other", "two"))
    }

    fn pod(name: &str, node: &str) -> Value {
        value!({"metadata": {"namespace": "ns", "name": name, "uid": name}, "spec": {"nodeName": node}})
    }

    async fn check(case: Case, wanted: &str) {
        let case = case.by(User::new("system:node:one", &[NODES]));
        let found = case.mutate(&NodeRestriction, &objects()).await;
        let found = found.err().map(|status| status.message).unwrap_or_default();
        let why = found
            .split_once("is forbidden: ")
            .map_or(found.as_str(), |(_, why)| why);
        assert_eq!(why, wanted);
    }

    fn mirror(change: impl Fn(&mut Value)) -> Case {
        let mut pod = value!({
            "metadata": {
                "name": "m", "annotations": {"kubernetes.io/config.mirror": "x"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "one", "uid": "n1", "controller": true}],
            },
            "spec": {"nodeName": "one"},
        });
        change(&mut pod);
        create("pods", "ns", pod)
    }

    #[tokio::test]
    async fn kubelets_make_mirror_pods_only() {
        let owner = |key: &'static str, value: Value| {
            move |pod: &mut Value| {
                let owners = pod.metadata_mut().entry("ownerReferences").make_array();
                owners[0].set_at(&[key], value.clone());
            }
        };
        check(mirror(|_| {}), "").await;
        check(
            mirror(|p| drop(p.metadata_mut().remove("annotations"))),
            "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"one\" can only create mirror pods",
        )
        .await;
        check(
            mirror(|p| p.set_at(&["spec", "nodeName"], "two")),
            "node \"one\" can only create pods with spec.nodeName set to itself",
        )
        .await;
        check(
            mirror(|p| drop(p.metadata_mut().remove("ownerReferences"))),
            "node \"one\" can only create pods with an owner reference set to itself",
        )
        .await;
        check(
            mirror(owner("name", value!("two"))),
            "node \"one\" can only create pods with an owner reference set to itself",
        )
        .await;
        check(
            mirror(owner("controller", value!(false))),
            "node \"one\" can only create pods with a controller owner reference set to itself",
        )
        .await;
        check(
            mirror(owner("blockOwnerDeletion", value!(true))),
            "node \"one\" must not set blockOwnerDeletion on an owner reference",
        )
        .await;
        check(
            mirror(owner("uid", value!("n2"))),
            "node one UID mismatch: expected n2 got n1",
        )
        .await;
        for (key, value, what) in [
            ("serviceAccountName", value!("x"), "a service account"),
            ("imagePullSecrets", value!([{"name": "x"}]), "secrets"),
            (
                "volumes",
                value!([{"configMap": {"name": "x"}}]),
                "configmaps",
            ),
            (
                "volumes",
                value!([{"persistentVolumeClaim": {"claimName": "x"}}]),
                "persistentvolumeclaims",
            ),
            (
                "volumes",
                value!([{"projected": {"sources": [{"clusterTrustBundle": {}}]}}]),
                "clustertrustbundles",
            ),
            ("resourceClaims", value!([{"name": "x"}]), "resourceclaims"),
        ] {
            let why = format!("node \"one\" can not create pods that reference {what}");
            check(mirror(|p| p.set_at(&["spec", key], value.clone())), &why).await;
        }
    }

    #[tokio::test]
    async fn kubelets_write_their_own_pods() {
        let status = |name: &str, node: &str, labels: Value| {
            let mut new = pod(name, node);
            new.set_at(&["metadata", "labels"], labels);
            update("pods/status", "ns", pod(name, node), new)
        };
        check(status("mine", "one", value!({})), "").await;
        check(
            status("other", "two", value!({})),
            "node \"one\" can only update pod status for pods with spec.nodeName set to itself",
        )
        .await;
        check(
            status("mine", "one", value!({"a": "b"})),
            "node \"one\" cannot update labels through pod status",
        )
        .await;
        check(
            update("pods", "ns", pod("mine", "one"), pod("mine", "one")),
            "unexpected operation \"UPDATE\", node \"one\" can only create and delete mirror pods",
        )
        .await;
        check(
            delete("pods", "ns", "other"),
            "node \"one\" can only delete pods with spec.nodeName set to itself",
        )
        .await;
        let evict =
            |name: &str| create("pods/eviction", "ns", value!({"metadata": {"name": name}}));
        check(evict("mine"), "").await;
        check(
            evict("other"),
            "node one can only evict pods with spec.nodeName set to itself",
        )
        .await;
        check(evict("gone"), "pods \"gone\" not found").await;
        check(
            create("pods/binding", "ns", pod("mine", "one")),
            "unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed",
        )
        .await;
    }

    #[tokio::test]
    async fn kubelets_write_their_own_node() {
        let node =
            |name: &str, labels: Value| value!({"metadata": {"name": name, "labels": labels}});
        let allowed = value!({
            "kubernetes.io/hostname": "one", "kubernetes.io/os": "linux", "node.kubernetes.io/anything": "x",
            "sub.kubelet.kubernetes.io/x": "y", "example.com/mine": "z", "plain": "p",
        });
        check(create("nodes", "", node("one", allowed.clone())), "").await;
        check(
            create("nodes", "", node("two", value!({}))),
            "node \"one\" is not allowed to modify node \"two\"",
        )
        .await;
        check(
            create("nodes", "", node("one", value!({"node-role.kubernetes.io/control-plane": "", "node-restriction.kubernetes.io/x": "", "x.k8s.io/y": ""}))),
            "node \"one\" is not allowed to set the following labels: node-restriction.kubernetes.io/x, node-role.kubernetes.io/control-plane, x.k8s.io/y",
        )
        .await;
        let role = value!({"node-role.kubernetes.io/control-plane": ""});
        let change =
            |old: Value, new: Value| update("nodes", "", node("one", old), node("one", new));
        check(change(role.clone(), role.clone()), "").await;
        check(change(value!({}), allowed), "").await;
        check(
            change(role, value!({})),
            "is not allowed to modify labels: node-role.kubernetes.io/control-plane",
        )
        .await;
        let mut tainted = node("one", value!({}));
        tainted.set_at(
            &["spec", "taints"],
            value!([{"key": "a", "effect": "NoSchedule"}]),
        );
        check(
            update("nodes", "", node("one", value!({})), tainted),
            "node \"one\" is not allowed to modify taints",
        )
        .await;
    }

    #[tokio::test]
    async fn kubelets_ask_tokens_for_their_own_pods() {
        let token = |reference: Value| {
            create(
                "serviceaccounts/token",
                "ns",
                value!({"metadata": {"name": "robot"}, "spec": {"boundObjectRef": reference}}),
            )
        };
        let pod = |name: &str, uid: &str| value!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid});
        check(token(pod("mine", "mine")), "").await;
        check(
            token(Value::Null),
            "node requested token not bound to a pod",
        )
        .await;
        check(
            token(value!({"kind": "Secret", "name": "x"})),
            "node requested token not bound to a pod",
        )
        .await;
        check(
            token(pod("mine", "")),
            "node requested token with a pod binding without a uid",
        )
        .await;
        check(token(pod("mine", "x")), "the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated").await;
        check(
            token(pod("other", "other")),
            "node requested token bound to a pod scheduled on a different node",
        )
        .await;
    }

    #[tokio::test]
    async fn kubelets_write_their_own_lease() {
        let lease = |namespace: &str, name: &str| {
            create(
                "coordination.k8s.io:leases",
                namespace,
                value!({"metadata": {"name": name}}),
            )
        };
        check(lease("kube-node-lease", "one"), "").await;
        check(
            lease("default", "one"),
            "can only access leases in the \"kube-node-lease\" system namespace",
        )
        .await;
        check(
            lease("kube-node-lease", "two"),
            "can only access node lease with the same name as the requesting node",
        )
        .await;
    }

    #[tokio::test]
    async fn others_are_none_of_its_business() {
        let case = create("nodes", "", value!({"metadata": {"name": "x"}}));
        case.mutate(&NodeRestriction, &objects()).await.unwrap();
        let case =
            create("nodes", "", value!({"metadata": {"name": "x"}})).by(User::new("odd", &[NODES]));
        let error = case.mutate(&NodeRestriction, &objects()).await.unwrap_err();
        assert!(
            error
                .message
                .ends_with("could not determine node from user \"odd\"")
        );
    }
}
