//! What a Node may hold. Follows pkg/apis/core/validation/validation.go.

use crate::check;
use crate::core::pod::spec::{validate_quantity, validate_taints};
use crate::fill;
use meta::{Errors, Field, Value};
use std::collections::BTreeSet;
use std::net::IpAddr;

const CIDR_STAYS: &str = "node updates may not change podCIDR except from \"\" to valid";

/// Fills in what is left out.
pub(super) fn default(node: &mut Value) {
    if let Some(spec) = fill::part(node, "spec") {
        agree_on_cidrs(spec);
    }
    let Some(status) = fill::part(node, "status") else {
        return;
    };
    for list in ["capacity", "allocatable"] {
        fill::round_to_milli(status.get_mut(list));
    }
    if let Some(capacity) = status.get("capacity").cloned() {
        fill::absent(status, "allocatable", capacity);
    }
}

/// `podCIDR` is the older name of the first of `podCIDRs`; where they differ,
/// an older client has written the older.
fn agree_on_cidrs(spec: &mut Value) {
    let first = spec.items_at(&["podCIDRs"]).first().and_then(Value::as_str);
    let first = first.unwrap_or_default().to_string();
    let one = spec.str_at(&["podCIDR"]).to_string();
    if one.is_empty() && !first.is_empty() {
        spec.set_at(&["podCIDR"], first);
    } else if !one.is_empty() && one != first {
        spec.set_at(&["podCIDRs"], vec![one]);
    }
}

pub(super) fn create(node: &Field<'_>, errors: &mut Errors) {
    taints(node, errors);
    resources(node, errors);
    let cidrs = node.at(&["spec", "podCIDRs"]);
    cidrs.items().for_each(|cidr| check::cidr(&cidr, errors));
    if cidrs.len() < 2 {
        return;
    }
    let is_four = |cidr: &Field<'_>| {
        let address = cidr.str().split('/').next().unwrap_or_default();
        address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
    };
    let fours = cidrs.items().filter(is_four).count();
    if fours != 1 || cidrs.len() > 2 {
        errors.push(cidrs.invalid("may specify no more than one CIDR for each IP family"));
    }
    let mut seen = BTreeSet::new();
    for cidr in cidrs.items() {
        if !seen.insert(cidr.str()) {
            errors.push(cidr.duplicate());
        }
    }
}

pub(super) fn update(node: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    resources(node, errors);
    let mut seen = Vec::new();
    for address in node.at(&["status", "addresses"]).items() {
        match seen.contains(&address.value) {
            true => errors.push(address.duplicate()),
            false => seen.push(address.value),
        }
    }
    let (spec, before) = (node.get("spec"), old.get("spec"));
    let (cidrs, were) = (spec.get("podCIDRs"), before.get("podCIDRs"));
    if !were.is_empty() && cidrs.value != were.value {
        errors.push(cidrs.forbidden(CIDR_STAYS));
    }
    let (id, was) = (spec.get("providerID"), before.get("providerID"));
    if !was.is_empty() && id.str() != was.str() {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.push(id.forbidden(detail));
    }
    taints(node, errors);
    let id = spec.get("externalID");
    if id.str() != before.get("externalID").str() {
        errors.push(id.forbidden("may not be updated"));
    }
    for key in ["configSource", "podPreemptionPolicy"] {
        if spec.get(key).is_present() {
            errors.push(check::unsupported(&spec.get(key), key));
        }
    }
}

/// Upstream's paths place taints below the metadata.
fn taints(node: &Field<'_>, errors: &mut Errors) {
    let taints = node.at(&["spec", "taints"]);
    let path = node.path.child("metadata").child("taints");
    validate_taints(&Field::new(path, taints.value), errors);
}

fn resources(node: &Field<'_>, errors: &mut Errors) {
    for list in ["capacity", "allocatable"] {
        let list = node.at(&["status", list]);
        for (name, quantity) in list.entries() {
            let field = Field::new(list.path.child(name), quantity.value);
            validate_quantity(name, &field, errors);
        }
    }
}
