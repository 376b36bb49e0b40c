//! LocalSubjectAccessReview: may they, in this namespace?

use crate::authorization::attributes;
use crate::kind::{Card, Kind, NameRule, Verbs};
use meta::{Errors, Field};

/// LocalSubjectAccessReview.
pub struct LocalSubjectAccessReview;

static CARD: Card = Card {
    group: "authorization.k8s.io",
    version: "v1",
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: Verbs::CreateOnly,
    subresources: &[],
    schema: meta::schema::Ref::Static(
        &crate::generated::authorization_v1::LOCAL_SUBJECT_ACCESS_REVIEW,
    ),
    name: NameRule::Any,
    generation: false,
};

impl Kind for LocalSubjectAccessReview {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        attributes::validate_metadata(object, true, errors);
        attributes::validate(&object.get("spec"), true, errors);
        attributes::validate_local(object, errors);
    }
}
