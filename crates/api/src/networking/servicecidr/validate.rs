//! What a ServiceCIDR may hold. Follows
//! pkg/apis/networking/validation/validation.go.

use crate::check;
use meta::{Errors, Field, FieldError};

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    let cidrs = object.at(&["spec", "cidrs"]);
    if cidrs.is_empty() {
        errors.push(cidrs.required("at least one CIDR required"));
        return;
    }
    if cidrs.len() > 2 {
        let shown = object.get("spec").value.cloned().unwrap_or_default();
        let detail = "may only hold up to 2 values";
        errors.push(FieldError::invalid(&cidrs.path, shown, detail));
        return;
    }
    cidrs.items().for_each(|cidr| check::cidr(&cidr, errors));
    let fours = cidrs.items().filter(|c| !c.str().contains(':')).count();
    if cidrs.len() == 2 && fours != 1 {
        errors.push(cidrs.invalid("may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"));
    }
}

/// Ranges stay; a second one, of the other family, may come.
pub(super) fn update(object: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let keys = ["spec", "cidrs"];
    let (cidrs, before) = (object.at(&keys), old.at(&keys));
    let grows = before.len() == 1 && cidrs.len() == 2;
    if before.len() != cidrs.len() && !grows {
        errors.push(cidrs.invalid("field is immutable"));
        return;
    }
    for (cidr, was) in cidrs.items().zip(before.items()) {
        if cidr.str() != was.str() {
            errors.push(cidr.invalid("field is immutable"));
        }
    }
    if grows {
        create(object, errors);
    }
}
