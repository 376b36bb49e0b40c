//! SelfSubjectRulesReview: what may I?

use crate::kind::{Card, Kind, NameRule, Verbs};

/// SelfSubjectRulesReview.
pub struct SelfSubjectRulesReview;

static CARD: Card = Card {
    group: "authorization.k8s.io",
    version: "v1",
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::CreateOnly,
    subresources: &[],
    schema: meta::schema::Ref::Static(
        &crate::generated::authorization_v1::SELF_SUBJECT_RULES_REVIEW,
    ),
    name: NameRule::Any,
    generation: false,
};

impl Kind for SelfSubjectRulesReview {
    fn card(&self) -> &'static Card {
        &CARD
    }
}
