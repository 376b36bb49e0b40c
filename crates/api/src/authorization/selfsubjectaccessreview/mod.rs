//! SelfSubjectAccessReview: may I?

use crate::kind::{Card, Kind, NameRule, Verbs};

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
    schema: &crate::generated::authorization_v1::SELF_SUBJECT_ACCESS_REVIEW,
    name: NameRule::Any,
    generation: false,
};

impl Kind for SelfSubjectAccessReview {
    fn card(&self) -> &'static Card {
        &CARD
    }
}
