//! PodTemplate: a pod to be made later.

mod columns;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// PodTemplate.
pub struct PodTemplate;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "PodTemplate",
    plural: "podtemplates",
    singular: "podtemplate",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::POD_TEMPLATE),
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for PodTemplate {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        crate::core::pod::template::default(object.make_object().entry("template"));
    }
    fn prepare_create(&self, object: &mut Value) {
        crate::core::pod::template::prepare(object.get_mut("template"));
    }
    fn prepare_update(&self, object: &mut Value, _old: &Value, _door: Door) {
        crate::core::pod::template::prepare(object.get_mut("template"));
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        _door: Door,
        errors: &mut Errors,
    ) {
        validate::update(object, old, errors);
    }
    fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        crate::core::pod::template::warnings(object, old, &["template"])
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
