//! What a ServiceCIDR may hold. Follows
//! pkg/apis/networking/validation/validation.go.

use crate::check;
use crate::metadata::immutable;
use meta::{Errors, Field};

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    let cidrs = object.at(&["spec", "cidrs"]);
    match cidrs.len() {
        0 => errors.push(cidrs.required("at least one CIDR required")),
        1 | 2 => {}
        _ => errors.push(cidrs.invalid("only up to two CIDRs")),
    }
    cidrs.items().for_each(|cidr| check::cidr(&cidr, errors));
    let fours = cidrs.items().filter(|c| !c.str().contains(':')).count();
    if cidrs.len() == 2 && fours != 1 {
        errors.push(cidrs.invalid("may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"));
    }
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let keys = ["spec", "cidrs"];
    immutable(&object.at(&keys), &old.at(&keys), errors);
}
