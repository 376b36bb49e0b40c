//! ServiceAccount: who a pod is to the API.

mod columns;

use crate::kind::{Card, Column, Door, Kind, NameRule, Subresource, Verbs};
use jiff::Timestamp;
use meta::Value;
use meta::object::Object as _;

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
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::SERVICE_ACCOUNT),
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for ServiceAccount {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn prepare_create(&self, object: &mut Value) {
        keep_names(object);
    }
    fn prepare_update(&self, object: &mut Value, _old: &Value, _door: Door) {
        keep_names(object);
    }
    fn warnings(&self, object: &Value, _old: Option<&Value>) -> Vec<String> {
        let key = "kubernetes.io/enforce-mountable-secrets";
        match object.annotation(key) {
            Some("true") => vec![format!(
                "metadata.annotations[{key}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
            )],
            _ => Vec::new(),
        }
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
}

/// Of the secrets only the names are kept.
fn keep_names(account: &mut Value) {
    for secret in crate::fill::items(account, "secrets") {
        if let Some(secret) = secret.as_object_mut() {
            secret.retain(|key, _| key == "name");
        }
    }
}
