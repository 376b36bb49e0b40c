//! A pod bears the zone and the region of its node as labels, so that it can
//! know them. A binding carries them to the pod. Follows
//! plugin/pkg/admission/podtopologylabels/admission.go.

use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::object::Object as _;
use meta::{Status, Value};

const LABELS: [&str; 2] = [
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

pub(crate) struct PodTopologyLabels;

#[async_trait]
impl Plugin for PodTopologyLabels {
    fn name(&self) -> &'static str {
        "PodTopologyLabels"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        object: &mut Value,
        _old: Option<&Value>,
        view: &dyn View,
    ) -> Result<(), Status> {
        let Some(node) = node_of(request, object) else {
            return Ok(());
        };
        // A pod may be given to a node that is still to come.
        let Some(node) = view.get("", "nodes", "", node).await? else {
            return Ok(());
        };
        for label in LABELS {
            if let Some(value) = node.label(label) {
                let labels = object.metadata_mut().object("labels");
                labels.insert(label, value);
            }
        }
        Ok(())
    }
}

/// The node that a new pod or a binding names.
fn node_of<'a>(request: &Request<'_>, object: &'a Value) -> Option<&'a str> {
    if request.operation != Operation::Create || (request.group, request.resource) != ("", "pods") {
        return None;
    }
    let node = match request.subresource {
        "" => object.str_at(&["spec", "nodeName"]),
        "binding" if object.str_at(&["target", "kind"]) == "Node" => {
            object.str_at(&["target", "name"])
        }
        _ => "",
    };
    Some(node).filter(|node| !node.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Case, Objects, create, update};
    use meta::value;

    fn nodes() -> Objects {
        let of = |name: &str, labels: Value| value!({"metadata": {"name": name, "labels": labels}});
        let here = value!({
            "topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "other": "o"
        });
        Objects::default()
            .with("nodes", of("here", here))
            .with(
                "nodes",
                of("half", value!({"topology.kubernetes.io/zone": "z"})),
            )
            .with("nodes", of("bare", value!({})))
    }

    async fn labels(case: Case) -> Value {
        let object = case.mutate(&PodTopologyLabels, &nodes()).await.unwrap();
        let labels = object.at(&["metadata", "labels"]);
        labels.cloned().unwrap_or(Value::Null)
    }

    fn pod(node: &str, labels: Value) -> Value {
        value!({"metadata": {"name": "p", "labels": labels}, "spec": {"nodeName": node}})
    }

    fn binding(kind: &str, node: &str) -> Value {
        value!({"metadata": {"name": "p"}, "target": {"kind": kind, "name": node}})
    }

    #[tokio::test]
    async fn pods_bear_what_their_node_does() {
        let both = value!({
            "topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"
        });
        let own = || value!({"topology.kubernetes.io/zone": "mine", "a": "b"});
        let merged = value!({
            "topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "a": "b"
        });
        let half = value!({"topology.kubernetes.io/zone": "z", "a": "b"});
        for (node, before, after) in [
            ("here", value!({}), both.clone()),
            ("here", own(), merged),
            ("half", own(), half),
            ("bare", own(), own()),
            ("absent", own(), own()),
            ("", own(), own()),
        ] {
            let case = create("pods", "ns", pod(node, before));
            assert_eq!(labels(case).await, after, "{node}");
        }
        let changed = update("pods", "ns", pod("", own()), pod("here", own()));
        assert_eq!(labels(changed).await, own());
        let bound = create("pods/binding", "ns", binding("Node", "here"));
        assert_eq!(labels(bound).await, both);
        for (at, kind) in [("pods/binding", "Other"), ("bindings", "Node")] {
            let case = create(at, "ns", binding(kind, "here"));
            assert_eq!(labels(case).await, Value::Null, "{at} {kind}");
        }
    }
}
