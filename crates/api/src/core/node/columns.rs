//! What `kubectl get nodes` prints. Follows pkg/printers/internalversion/printers.go.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::object::Object as _;
use meta::{Map, Value};
use std::collections::BTreeSet;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Status", "string"),
    Column::new("Roles", "string"),
    AGE,
    Column::new("Version", "string"),
    Column::wide("Internal-IP", "string"),
    Column::wide("External-IP", "string"),
    Column::wide("OS-Image", "string"),
    Column::wide("Kernel-Version", "string"),
    Column::wide("Container-Runtime", "string"),
];

pub(super) fn cells(node: &Value, now: Timestamp) -> Vec<Value> {
    let info = |key| print::text_or(node, &["status", "nodeInfo", key], "<unknown>");
    vec![
        print::name(node),
        status(node).into(),
        roles(node).into(),
        print::age(node, now),
        node.str_at(&["status", "nodeInfo", "kubeletVersion"])
            .into(),
        address(node, "InternalIP").into(),
        address(node, "ExternalIP").into(),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn status(node: &Value) -> String {
    let conditions = node.items_at(&["status", "conditions"]);
    let ready = conditions.iter().find(|c| c.str_at(&["type"]) == "Ready");
    let ready = match ready.map(|c| c.str_at(&["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    match node.is_true_at(&["spec", "unschedulable"]) {
        true => format!("{ready},SchedulingDisabled"),
        false => ready.into(),
    }
}

fn roles(node: &Value) -> String {
    let labels = node.labels().and_then(Value::as_object);
    let roles: BTreeSet<&str> = labels
        .into_iter()
        .flat_map(Map::iter)
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None if key == "kubernetes.io/role" => value.as_str(),
                None => None,
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    match roles.is_empty() {
        true => "<none>".into(),
        false => roles.into_iter().collect::<Vec<_>>().join(","),
    }
}

fn address<'a>(node: &'a Value, ty: &str) -> &'a str {
    node.items_at(&["status", "addresses"])
        .iter()
        .find(|a| a.str_at(&["type"]) == ty)
        .map_or("<none>", |a| a.str_at(&["address"]))
}
