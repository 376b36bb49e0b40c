//! SubjectAccessReview: may they?

use crate::authorization::attributes;
use crate::kind::{Card, Kind, NameRule, Verbs};
use meta::{Errors, Field};

/// SubjectAccessReview.
pub struct SubjectAccessReview;

static CARD: Card = Card {
    group: "authorization.k8s.io",
    version: "v1",
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::CreateOnly,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::authorization_v1::SUBJECT_ACCESS_REVIEW),
    name: NameRule::Any,
    generation: false,
};

impl Kind for SubjectAccessReview {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        attributes::validate_metadata(object, false, errors);
        attributes::validate(&object.get("spec"), true, errors);
    }
}
