//! ServiceAccount: who a pod is to the API.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, Subresource, Verbs};
use jiff::Timestamp;
use meta::Value;

/// ServiceAccount.
pub struct ServiceAccount;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[Subresource {
        name: "token",
        verbs: &["create"],
        body: Some(("authentication.k8s.io", "v1", "TokenRequest")),
    }],
    schema: &crate::generated::core_v1::SERVICE_ACCOUNT,
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for ServiceAccount {
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
