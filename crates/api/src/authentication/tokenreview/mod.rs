//! TokenReview: whose token is this?

use crate::kind::{Card, Kind, NameRule, Verbs};

/// TokenReview.
pub struct TokenReview;

static CARD: Card = Card {
    group: "authentication.k8s.io",
    version: "v1",
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::CreateOnly,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::authentication_v1::TOKEN_REVIEW),
    name: NameRule::Any,
    generation: false,
};

impl Kind for TokenReview {
    fn card(&self) -> &'static Card {
        &CARD
    }
}
