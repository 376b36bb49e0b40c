//! SelfSubjectAccessReview: may I?

use crate::authorization::attributes;
use crate::kind::{Card, Kind, NameRule, Verbs};
use meta::{Errors, Field};

/// SelfSubjectAccessReview.
pub struct SelfSubjectAccessReview;

static CARD: Card = Card {
    group: "authorization.k8s.io",
    version: "v1",
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::CreateOnly,
    subresources: &[],
    schema: meta::schema::Ref::Static(
        &crate::generated::authorization_v1::SELF_SUBJECT_ACCESS_REVIEW,
    ),
    name: NameRule::Any,
    generation: false,
};

impl Kind for SelfSubjectAccessReview {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        attributes::validate_metadata(object, false, errors);
        attributes::validate(&object.get("spec"), false, errors);
    }
}
