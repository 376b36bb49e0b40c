//! What kubelets may do: their own node, the pods on it, and what those pods
//! need. Follows plugin/pkg/auth/authorizer/node/node_authorizer.go.
//!
//! Attributes carry no field selector, so that a kubelet may list all pods,
//! as it could before upstream 1.32; what it reads of secrets, config maps and
//! tokens is limited to its own pods.

mod graph;
#[cfg(test)]
mod tests;

use crate::rbac::Rule;
use crate::rbac::bootstrap;
use crate::user::NODES;
use crate::{Attributes, Authorizer, Decision, Rules, Target, User};
use graph::{Graph, Need};
use meta::Value;
use meta::object::Object as _;
use rustc_hash::FxHashSet;
use std::fmt;
use std::sync::{OnceLock, PoisonError, RwLock};

/// The namespace of the nodes' leases.
const LEASES: &str = "kube-node-lease";

/// Knows the pods as whoever watches them has been shown them.
pub trait Pods: Send + Sync {
    /// The pods of a namespace that are on a node.
    fn on_node(&self, namespace: &str, node: &str) -> Vec<Value>;
}

/// Says what kubelets may do.
pub struct NodeAuthorizer {
    graph: RwLock<Graph>,
    rules: Vec<Rule>,
    pods: OnceLock<Box<dyn Pods>>,
}

impl fmt::Debug for NodeAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graph = self.graph.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("NodeAuthorizer").field(&*graph).finish()
    }
}

impl Default for NodeAuthorizer {
    fn default() -> Self {
        NodeAuthorizer::new()
    }
}

impl NodeAuthorizer {
    /// Knows of no pods yet.
    pub fn new() -> Self {
        NodeAuthorizer {
            graph: RwLock::default(),
            rules: bootstrap::node_rules(),
            pods: OnceLock::new(),
        }
    }

    /// Whom to ask about pods of which a kubelet may have heard earlier than
    /// this authoriser. The first one given stays.
    pub fn look_at(&self, pods: impl Pods + 'static) {
        let _ = self.pods.set(Box::new(pods));
    }

    /// Takes in a pod as it is now.
    pub fn put_pod(&self, pod: &Value) {
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        graph.put(pod);
    }

    /// Forgets a pod.
    pub fn remove_pod(&self, namespace: &str, name: &str) {
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        graph.remove(namespace, name);
    }

    /// Takes in all pods, as after a watch that broke: what is not among them
    /// is gone.
    pub fn replace_pods(&self, pods: &[Value]) {
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        let names: FxHashSet<(&str, &str)> =
            pods.iter().map(|p| (p.namespace(), p.name())).collect();
        for (namespace, name) in graph.pods() {
            if !names.contains(&(namespace.as_str(), name.as_str())) {
                graph.remove(&namespace, &name);
            }
        }
        pods.iter().for_each(|pod| graph.put(pod));
    }

    fn of_its_own(&self, node: &str, attributes: &Attributes<'_>) -> Verdict {
        let Target::Resource {
            group,
            resource,
            subresource,
            namespace,
            name,
            ..
        } = attributes.target
        else {
            return Verdict::ByRules;
        };
        let asked = Asked {
            verb: attributes.verb,
            subresource,
            namespace,
            name,
        };
        match (group, resource) {
            ("", "secrets") => self.read(node, Need::Secret, &asked),
            ("", "configmaps") => self.read(node, Need::ConfigMap, &asked),
            ("", "persistentvolumeclaims") if subresource == "status" => match asked.verb {
                "update" | "patch" => self.related(node, Need::Claim, &asked),
                _ => no("can only get/update/patch this type"),
            },
            ("", "persistentvolumeclaims") => self.get(node, Need::Claim, &asked),
            // Volumes come to a node by way of claims, of which none is bound here.
            ("", "persistentvolumes") | ("storage.k8s.io", "volumeattachments") => {
                no(unrelated(node))
            }
            ("resource.k8s.io", "resourceclaims") => self.get(node, Need::ResourceClaim, &asked),
            ("", "serviceaccounts") => self.token(node, &asked),
            ("", "nodes") => own_node(node, &asked),
            ("", "pods") => self.pod(node, &asked),
            ("coordination.k8s.io", "leases") => own_lease(node, &asked),
            ("storage.k8s.io", "csinodes") => own_csi_node(node, &asked),
            _ => Verdict::ByRules,
        }
    }

    fn related(&self, node: &str, need: Need, asked: &Asked<'_>) -> Verdict {
        if asked.name.is_empty() {
            return no("No Object name found");
        }
        let graph = self.graph.read().unwrap_or_else(PoisonError::into_inner);
        let is_known = graph.is_needed(node, need, asked.namespace, asked.name);
        drop(graph);
        match is_known || self.is_news(node, need, asked) {
            true => Verdict::Yes,
            false => no(unrelated(node)),
        }
    }

    /// Whether a pod needs the object that is not in the graph yet: kubelet and
    /// graph are told of it at the same time, and the kubelet may be faster.
    fn is_news(&self, node: &str, need: Need, asked: &Asked<'_>) -> bool {
        let Some(pods) = self.pods.get() else {
            return false;
        };
        let pods = pods.on_node(asked.namespace, node);
        let mut pods = pods.iter();
        pods.any(|pod| graph::does_need(pod, need, asked.name))
    }

    fn read(&self, node: &str, need: Need, asked: &Asked<'_>) -> Verdict {
        match asked.verb {
            "get" | "list" | "watch" if !asked.subresource.is_empty() => {
                no("cannot read subresource")
            }
            "get" | "list" | "watch" if asked.namespace.is_empty() => {
                no("can only read namespaced object of this type")
            }
            "get" | "list" | "watch" => self.related(node, need, asked),
            _ => no("can only read resources of this type"),
        }
    }

    fn get(&self, node: &str, need: Need, asked: &Asked<'_>) -> Verdict {
        match (asked.verb, asked.subresource) {
            ("get", "") => self.related(node, need, asked),
            ("get", _) => no("cannot get subresource"),
            _ => no("can only get individual resources of this type"),
        }
    }

    fn token(&self, node: &str, asked: &Asked<'_>) -> Verdict {
        match (asked.verb, asked.subresource) {
            ("create", _) if asked.name.is_empty() => {
                no("can only create tokens for individual service accounts")
            }
            ("create", "token") => self.related(node, Need::ServiceAccount, asked),
            ("create", _) => no("can only create token subresource of serviceaccount"),
            _ => no("can only create tokens for individual service accounts"),
        }
    }

    fn pod(&self, node: &str, asked: &Asked<'_>) -> Verdict {
        match (asked.subresource, asked.verb) {
            ("", "get") => self.related(node, Need::Pod, asked),
            ("", "list" | "watch") if !asked.name.is_empty() => {
                self.related(node, Need::Pod, asked)
            }
            ("", "list" | "watch" | "create" | "delete")
            | ("status", "update" | "patch")
            | ("eviction", "create") => Verdict::Yes,
            _ => no(""),
        }
    }
}

impl Authorizer for NodeAuthorizer {
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        if !attributes.user.is_in(NODES) {
            return Decision::NoOpinion(String::new());
        }
        let Some(node) = attributes.user.as_node() else {
            let user = meta::field::quote(&attributes.user.name);
            return Decision::NoOpinion(format!("unknown node for user {user}"));
        };
        let by_rules = || {
            let mut rules = self.rules.iter();
            rules.any(|rule| rule.allows(attributes.verb, &attributes.target))
        };
        match self.of_its_own(node, attributes) {
            Verdict::Yes => Decision::Allow(String::new()),
            Verdict::No(why) => Decision::NoOpinion(why),
            Verdict::ByRules if by_rules() => Decision::Allow(String::new()),
            Verdict::ByRules => Decision::NoOpinion(String::new()),
        }
    }

    fn rules(&self, user: &User, _namespace: &str) -> Rules {
        match user.as_node() {
            None => Rules::default(),
            Some(_) => Rules {
                incomplete: true,
                error: "node authorizer does not support user rule resolution".into(),
                ..Rules::default()
            },
        }
    }
}

/// What is asked of one resource.
struct Asked<'a> {
    verb: &'a str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

enum Verdict {
    Yes,
    No(String),
    /// The resource is not divided among nodes.
    ByRules,
}

fn no(why: impl Into<String>) -> Verdict {
    Verdict::No(why.into())
}

fn unrelated(node: &str) -> String {
    format!("no relationship found between node '{node}' and this object")
}

fn own_node(node: &str, asked: &Asked<'_>) -> Verdict {
    match (asked.subresource, asked.verb) {
        // The NodeRestriction plugin limits these to the node's own object.
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Verdict::Yes,
        ("", "get" | "list" | "watch") if asked.name == node => Verdict::Yes,
        ("", "get" | "list" | "watch") if asked.name.is_empty() => no(format!(
            "node '{node}' cannot read all nodes, only its own Node object"
        )),
        ("", "get" | "list" | "watch") => no(format!(
            "node '{node}' cannot read '{}', only its own Node object",
            asked.name
        )),
        _ => no(""),
    }
}

fn own_lease(node: &str, asked: &Asked<'_>) -> Verdict {
    match asked.verb {
        "get" | "create" | "update" | "patch" | "delete" => {}
        _ => return no("can only get, create, update, patch, or delete a node lease"),
    }
    if asked.namespace != LEASES {
        return no(format!(
            "can only access leases in the \"{LEASES}\" system namespace"
        ));
    }
    match asked.verb == "create" || asked.name == node {
        true => Verdict::Yes,
        false => no("can only access node lease with the same name as the requesting node"),
    }
}

fn own_csi_node(node: &str, asked: &Asked<'_>) -> Verdict {
    match asked.verb {
        "get" | "create" | "update" | "patch" | "delete" => {}
        _ => return no("can only get, create, update, patch, or delete a CSINode"),
    }
    match asked.verb == "create" || asked.name == node {
        true if asked.subresource.is_empty() => Verdict::Yes,
        true => no("cannot authorize CSINode subresources"),
        false => no("can only access CSINode with the same name as the requesting node"),
    }
}
