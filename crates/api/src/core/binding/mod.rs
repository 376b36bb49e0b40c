//! Binding: a pod is given a node.

use crate::kind::{Card, Kind, NameRule, Verbs};
use meta::{Errors, Field};

/// Binding.
pub struct Binding;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: Verbs::CreateOnly,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::BINDING),
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for Binding {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        crate::core::pod::validate::binding(object, errors);
    }
}
