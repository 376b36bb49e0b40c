//! Pod: containers that live and die together.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, STATUS, Subresource, Verbs};
use jiff::Timestamp;
use meta::Value;

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
            name: "log",
            verbs: &["get"],
            body: None,
        },
        STATUS,
    ],
    schema: &crate::generated::core_v1::POD,
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for Pod {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
}
