//! What a PodTemplate may hold.

use crate::core::pod::tolerance::Tolerance;
use crate::core::pod::validate::template;
use meta::{Errors, Field};

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    template(&object.get("template"), Tolerance::default(), errors);
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let tolerance = Tolerance::of(&old.get("template"));
    template(&object.get("template"), tolerance, errors);
}
