//! What a Namespace may hold. Follows pkg/apis/core/validation/validation.go.

use crate::kind::Door;
use crate::metadata::validate_finalizer;
use meta::{Errors, Field, FieldError, Path};

pub(super) fn create(namespace: &Field<'_>, errors: &mut Errors) {
    let finalizers = namespace.at(&["spec", "finalizers"]);
    for finalizer in finalizers.items() {
        let field = Field::new(finalizers.path.clone(), finalizer.value);
        validate_finalizer(&field, errors);
    }
}

pub(super) fn update(namespace: &Field<'_>, door: Door, errors: &mut Errors) {
    match door {
        Door::Status => status(namespace, errors),
        Door::Other("finalize") => {
            for finalizer in namespace.at(&["spec", "finalizers"]).items() {
                validate_finalizer(&finalizer, errors);
            }
        }
        _ => {}
    }
}

fn status(namespace: &Field<'_>, errors: &mut Errors) {
    let deleting = namespace
        .at(&["metadata", "deletionTimestamp"])
        .is_present();
    let phase = namespace.at(&["status", "phase"]).str();
    let (wanted, detail) = match deleting {
        false => (
            "Active",
            "may only be 'Active' if `deletionTimestamp` is empty",
        ),
        true => (
            "Terminating",
            "may only be 'Terminating' if `deletionTimestamp` is not empty",
        ),
    };
    if phase != wanted {
        errors.push(FieldError::invalid(
            &Path::new("status.Phase"),
            phase,
            detail,
        ));
    }
}
