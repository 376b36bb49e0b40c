//! What a ControllerRevision may hold. Follows
//! pkg/apis/apps/validation/validation.go.

use crate::check;
use crate::metadata::immutable;
use meta::{Errors, Field};

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    let data = object.get("data");
    if !data.is_present() {
        errors.push(data.required("data is mandatory"));
    }
    check::nonnegative(&object.get("revision"), errors);
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    check::nonnegative(&object.get("revision"), errors);
    immutable(&object.get("data"), &old.get("data"), errors);
}
