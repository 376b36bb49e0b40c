//! Deployment: pods that are replaced step by step.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, SCALE, STATUS, Verbs};
use jiff::Timestamp;
use meta::Value;

/// Deployment.
pub struct Deployment;

static CARD: Card = Card {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[SCALE, STATUS],
    schema: &crate::generated::apps_v1::DEPLOYMENT,
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for Deployment {
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
