//! What a RuntimeClass may hold. Follows pkg/apis/node/validation/validation.go.

use crate::check;
use crate::core::pod::spec::{validate_overhead, validate_tolerations};
use crate::metadata::{immutable, validate_labels};
use meta::{Errors, Field};

pub(super) fn create(class: &Field<'_>, errors: &mut Errors) {
    check::dns_label(&class.get("handler"), errors);
    let overhead = class.at(&["overhead", "podFixed"]);
    validate_overhead(
        &Field::new(class.get("overhead").path, overhead.value),
        errors,
    );
    let scheduling = class.get("scheduling");
    validate_labels(&scheduling.get("nodeSelector"), errors);
    let tolerations = scheduling.get("tolerations");
    validate_tolerations(&tolerations, errors);
    let all: Vec<Field<'_>> = tolerations.items().collect();
    for (i, toleration) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.value == toleration.value) {
            errors.push(toleration.duplicate());
        }
    }
}

pub(super) fn update(class: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    create(class, errors);
    immutable(&class.get("handler"), &old.get("handler"), errors);
}
