//! The roles and bindings that every cluster starts with, as upstream ships
//! them (plugin/pkg/auth/authorizer/rbac/bootstrappolicy): tables, and the
//! objects made of them.

mod cluster_roles;
mod controllers;
mod namespaces;

use super::rule::Rule;
use meta::{Map, Str, Value, value};

/// The group of all these objects.
const GROUP: &str = "rbac.authorization.k8s.io";

/// A rule as the tables write it: lists are words between commas, and the core
/// group is the empty word.
#[derive(Clone, Copy, Debug)]
struct Entry {
    verbs: &'static str,
    groups: &'static str,
    resources: &'static str,
    names: &'static str,
    urls: &'static str,
}

/// What may be done with which resources.
const fn rule(verbs: &'static str, groups: &'static str, resources: &'static str) -> Entry {
    named(verbs, groups, resources, "")
}

/// What may be done with which objects.
const fn named(
    verbs: &'static str,
    groups: &'static str,
    resources: &'static str,
    names: &'static str,
) -> Entry {
    Entry {
        verbs,
        groups,
        resources,
        names,
        urls: "",
    }
}

/// What may be done with which paths.
const fn urls(verbs: &'static str, urls: &'static str) -> Entry {
    Entry {
        verbs,
        groups: "",
        resources: "",
        names: "",
        urls,
    }
}

/// The core group.
const CORE: &str = "";
/// Looking.
const READ: &str = "get,list,watch";
/// Changing.
const WRITE: &str = "create,update,patch,delete,deletecollection";
/// Telling what happens.
const EVENTS: Entry = rule("create,update,patch", ",events.k8s.io", "events");

impl Entry {
    fn read(&self) -> Rule {
        let words = |text: &str| -> Vec<Str> {
            let mut words: Vec<Str> = text.split(',').map(Str::from).collect();
            words.sort();
            words
        };
        let some = |text: &str| {
            if text.is_empty() {
                Vec::new()
            } else {
                words(text)
            }
        };
        Rule {
            verbs: words(self.verbs),
            groups: if self.resources.is_empty() {
                Vec::new()
            } else {
                words(self.groups)
            },
            resources: some(self.resources),
            names: some(self.names),
            urls: some(self.urls),
        }
    }
}

/// What the Node authoriser lets every kubelet do, as far as it does not look
/// at each object.
pub(crate) fn node_rules() -> Vec<Rule> {
    cluster_roles::NODE.iter().map(Entry::read).collect()
}

/// Every object, roles before the bindings to them. See
/// [`super::reconcile::plan`] for what to do with those that exist.
pub fn objects() -> Vec<Value> {
    let mut objects = Vec::new();
    for (name, aggregates_to, entries) in cluster_roles::ROLES {
        objects.push(cluster_role(name, aggregates_to, rules(entries)));
    }
    for (name, aggregates, aggregates_to) in cluster_roles::AGGREGATES {
        objects.push(aggregate(name, aggregates, aggregates_to));
    }
    for (controller, entries) in controllers::ROLES {
        let name = format!("system:controller:{controller}");
        objects.push(cluster_role(&name, "", rules(entries)));
    }
    for (name, subjects) in cluster_roles::BINDINGS {
        objects.push(binding(
            "ClusterRoleBinding",
            "",
            name,
            "ClusterRole",
            name,
            subjects,
        ));
    }
    for (controller, _) in controllers::ROLES {
        let name = format!("system:controller:{controller}");
        let subject = format!("s:kube-system/{controller}");
        let subjects = [subject.as_str()];
        objects.push(binding(
            "ClusterRoleBinding",
            "",
            &name,
            "ClusterRole",
            &name,
            &subjects,
        ));
    }
    for (namespace, name, entries) in namespaces::ROLES {
        let mut role = object("Role", name, rules(entries));
        role.set_at(&["metadata", "namespace"], *namespace);
        objects.push(role);
    }
    for (namespace, name, role, subjects) in namespaces::BINDINGS {
        objects.push(binding(
            "RoleBinding",
            namespace,
            name,
            "Role",
            role,
            subjects,
        ));
    }
    objects
}

fn rules(entries: &[Entry]) -> Vec<Rule> {
    entries.iter().map(Entry::read).collect()
}

fn object(kind: &str, name: &str, rules: Vec<Rule>) -> Value {
    let mut object = value!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
    });
    let rules: Vec<Value> = rules.iter().map(Rule::to_value).collect();
    if kind != "RoleBinding" && kind != "ClusterRoleBinding" {
        object.set_at(&["rules"], Value::Array(rules));
    }
    object
}

fn cluster_role(name: &str, aggregates_to: &str, rules: Vec<Rule>) -> Value {
    let mut role = object("ClusterRole", name, rules);
    if !aggregates_to.is_empty() {
        let label = format!("{GROUP}/aggregate-to-{aggregates_to}");
        role.set_at(&["metadata", "labels", &label], "true");
    }
    role
}

/// A role of which the aggregation controller takes care; it holds already
/// what that controller would find.
fn aggregate(name: &str, aggregates: &[&str], aggregates_to: &str) -> Value {
    let mut all: Vec<Rule> = Vec::new();
    for part in aggregates {
        let table = cluster_roles::ROLES
            .iter()
            .find(|(name, _, _)| name == part);
        for rule in table
            .map(|(_, _, entries)| rules(entries))
            .unwrap_or_default()
        {
            if !all.contains(&rule) {
                all.push(rule);
            }
        }
    }
    let mut role = cluster_role(name, aggregates_to, all);
    let mut labels = Map::new();
    labels.insert(format!("{GROUP}/aggregate-to-{name}"), "true");
    let selector = value!({"matchLabels": labels});
    role.set_at(&["aggregationRule", "clusterRoleSelectors"], vec![selector]);
    role
}

/// Subjects are `g:GROUP`, `u:USER` or `s:NAMESPACE/SERVICEACCOUNT`.
fn binding(
    kind: &str,
    namespace: &str,
    name: &str,
    role_kind: &str,
    role: &str,
    subjects: &[&str],
) -> Value {
    let mut binding = object(kind, name, Vec::new());
    if !namespace.is_empty() {
        binding.set_at(&["metadata", "namespace"], namespace);
    }
    binding.set_at(
        &["roleRef"],
        value!({"apiGroup": GROUP, "kind": role_kind, "name": role}),
    );
    let subjects: Vec<Value> = subjects.iter().map(|s| subject(s)).collect();
    if !subjects.is_empty() {
        binding.set_at(&["subjects"], Value::Array(subjects));
    }
    binding
}

fn subject(text: &str) -> Value {
    let (kind, name) = text.split_once(':').unwrap_or_default();
    match (kind, name.split_once('/')) {
        ("s", Some((namespace, name))) => {
            value!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
        }
        ("g", _) => value!({"apiGroup": GROUP, "kind": "Group", "name": name}),
        _ => value!({"apiGroup": GROUP, "kind": "User", "name": name}),
    }
}
