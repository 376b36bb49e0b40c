//! SelfSubjectReview: who am I?

use crate::kind::{Card, Kind, NameRule, Verbs};

/// SelfSubjectReview.
pub struct SelfSubjectReview;

static CARD: Card = Card {
    group: "authentication.k8s.io",
    version: "v1",
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::CreateOnly,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::authentication_v1::SELF_SUBJECT_REVIEW),
    name: NameRule::Any,
    generation: false,
};

impl Kind for SelfSubjectReview {
    fn card(&self) -> &'static Card {
        &CARD
    }
}
