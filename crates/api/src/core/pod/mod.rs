//! Pod: containers that live and die together.

pub mod amounts;
mod columns;
mod defaults;
pub(crate) mod qos;
pub(crate) mod spec;
mod status;
mod strategy;
pub(crate) mod template;
pub(crate) mod tolerance;
mod update;
pub(crate) mod validate;
mod warnings;

use crate::kind::{Card, Column, Door, Kind, NameRule, STATUS, Subresource, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// Pod.
pub struct Pod;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[
        Subresource {
            name: "attach",
            verbs: &["create", "get"],
            body: Some(("", "v1", "PodAttachOptions")),
        },
        Subresource {
            name: "binding",
            verbs: &["create"],
            body: Some(("", "v1", "Binding")),
        },
        Subresource {
            name: "eviction",
            verbs: &["create"],
            body: Some(("policy", "v1", "Eviction")),
        },
        Subresource {
            name: "exec",
            verbs: &["create", "get"],
            body: Some(("", "v1", "PodExecOptions")),
        },
        Subresource {
            name: "ephemeralcontainers",
            verbs: &["get", "patch", "update"],
            body: None,
        },
        Subresource {
            name: "log",
            verbs: &["get"],
            body: None,
        },
        Subresource {
            name: "portforward",
            verbs: &["create", "get"],
            body: Some(("", "v1", "PodPortForwardOptions")),
        },
        Subresource {
            name: "proxy",
            verbs: &["create", "delete", "get", "patch", "update"],
            body: Some(("", "v1", "PodProxyOptions")),
        },
        STATUS,
    ],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::POD),
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for Pod {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        defaults::pod(object);
    }
    fn prepare_create(&self, object: &mut Value) {
        strategy::prepare_create(object);
    }
    fn prepare_update(&self, object: &mut Value, old: &Value, door: Door) {
        strategy::prepare_update(object, old, door);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        door: Door,
        errors: &mut Errors,
    ) {
        match door {
            Door::Main => update::main(object, old, errors),
            Door::Status => status::validate(object, old, errors),
            Door::Other("ephemeralcontainers") => {
                update::ephemeral_containers(object, old, errors);
            }
            Door::Other("resize") => update::resize(object, old, errors),
            Door::Other(_) => {}
        }
    }
    fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        match old {
            None => warnings::of_pod(object),
            Some(_) => Vec::new(),
        }
    }
    fn row_conditions(&self, object: &Value) -> Vec<Value> {
        columns::row_conditions(object)
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
    fn selectable(&self) -> &'static [&'static str] {
        &[
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ]
    }
    fn field(&self, object: &Value, name: &str) -> String {
        match name {
            "spec.hostNetwork" => object.is_true_at(&["spec", "hostNetwork"]).to_string(),
            _ => crate::print::text_at(object, name),
        }
    }
    fn returns_deleted(&self) -> bool {
        true
    }
    fn grace(&self, object: &Value, asked: Option<i64>) -> Option<i64> {
        Some(strategy::grace(object, asked))
    }
}

#[cfg(test)]
mod tests;
