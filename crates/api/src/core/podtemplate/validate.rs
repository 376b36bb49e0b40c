//! What a PodTemplate may hold.

use crate::core::pod::validate::template;
use meta::{Errors, Field};

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    template(&object.get("template"), errors);
}
