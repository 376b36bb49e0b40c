//! Node: a machine that runs pods.

mod columns;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, STATUS, Subresource, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// Node.
pub struct Node;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[
        Subresource {
            name: "proxy",
            verbs: &["create", "delete", "get", "patch", "update"],
            body: Some(("", "v1", "NodeProxyOptions")),
        },
        STATUS,
    ],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::NODE),
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for Node {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        validate::default(object);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        _door: Door,
        errors: &mut Errors,
    ) {
        validate::update(object, old, errors);
    }
    /// A kubelet may register its node with all that it knows of it
    /// (pkg/registry/core/node/strategy.go).
    fn keeps_status_on_create(&self) -> bool {
        true
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
    fn selectable(&self) -> &'static [&'static str] {
        &["spec.unschedulable"]
    }
    fn field(&self, object: &Value, name: &str) -> String {
        match name {
            "spec.unschedulable" => object.is_true_at(&["spec", "unschedulable"]).to_string(),
            _ => crate::print::text_at(object, name),
        }
    }
}

#[cfg(test)]
mod tests;
