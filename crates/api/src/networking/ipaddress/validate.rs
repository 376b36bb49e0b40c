//! What an IPAddress may hold. Follows
//! pkg/apis/networking/validation/validation.go.

use crate::metadata::immutable;
use meta::{Errors, Field, names};
use std::net::IpAddr;

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    let name = object.at(&["metadata", "name"]);
    match name.str().parse::<IpAddr>() {
        Ok(ip) if ip.to_string() == name.str() => {}
        Ok(ip) => {
            errors.push(name.invalid(format!("must be in canonical form ({:?})", ip.to_string())))
        }
        Err(_) if name.is_empty() => {}
        Err(_) => crate::check::ip(&name, errors),
    }
    let parent = object.at(&["spec", "parentRef"]);
    if !parent.is_present() {
        errors.push(parent.required(""));
        return;
    }
    let group = parent.get("group");
    if !group.is_empty() {
        crate::check::dns_subdomain(&group, errors);
    }
    for key in ["resource", "name"] {
        let field = parent.get(key);
        match field.str() {
            "" => errors.push(field.required("")),
            text => errors.invalid_each(&field, names::path_segment(text)),
        }
    }
    let namespace = parent.get("namespace");
    if !namespace.is_empty() {
        errors.invalid_each(&namespace, names::path_segment(namespace.str()));
    }
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let keys = ["spec", "parentRef"];
    immutable(&object.at(&keys), &old.at(&keys), errors);
}
