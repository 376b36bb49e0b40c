//! Service: one address for many pods.

mod addresses;
mod columns;
mod defaults;
mod strategy;
mod validate;
mod warnings;

use crate::kind::{Card, Column, Door, Kind, NameRule, STATUS, Subresource, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// Service.
pub struct Service;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[
        Subresource {
            name: "proxy",
            verbs: &["create", "delete", "get", "patch", "update"],
            body: Some(("", "v1", "ServiceProxyOptions")),
        },
        STATUS,
    ],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::SERVICE),
    name: NameRule::Label1035,
    generation: false,
};

impl Kind for Service {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        defaults::fill(object);
    }
    fn prepare_create(&self, object: &mut Value) {
        strategy::prepare_create(object);
    }
    fn prepare_update(&self, object: &mut Value, old: &Value, door: Door) {
        if door == Door::Main {
            strategy::prepare_update(object, old)
        };
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
            Door::Status => validate::status(object, errors),
            _ => validate::update(object, old, errors),
        };
    }
    fn warnings(&self, object: &Value, _old: Option<&Value>) -> Vec<String> {
        warnings::of(object)
    }
    fn returns_deleted(&self) -> bool {
        true
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
    fn creates_on_update(&self) -> bool {
        true
    }
    fn selectable(&self) -> &'static [&'static str] {
        &["spec.clusterIP", "spec.type"]
    }
}

/// Whether clients from outside the cluster may reach a service of this spec.
pub(crate) fn externally_accessible(spec: &Value) -> bool {
    match spec.str_at(&["type"]) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !spec.items_at(&["externalIPs"]).is_empty(),
        _ => false,
    }
}

/// Whether nodes must say if they have endpoints of their own.
pub(crate) fn needs_health_check(spec: &Value) -> bool {
    spec.str_at(&["type"]) == "LoadBalancer" && spec.str_at(&["externalTrafficPolicy"]) == "Local"
}

#[cfg(test)]
mod tests;
