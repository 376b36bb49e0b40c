//! What Endpoints may hold. Follows pkg/apis/core/validation/validation.go.

use crate::check;
use crate::fill::{self, items};
use meta::{Errors, Field, Value};

/// Fills in what is left out.
pub(super) fn default(object: &mut Value) {
    for subset in items(object, "subsets") {
        for port in items(subset, "ports") {
            fill::empty(port, "protocol", "TCP");
        }
    }
}

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    for subset in object.get("subsets").items() {
        let (ready, unready) = (subset.get("addresses"), subset.get("notReadyAddresses"));
        if ready.len() + unready.len() == 0 {
            errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
        }
        for address in ready.items().chain(unready.items()) {
            validate_address(&address, errors);
        }
        let ports = subset.get("ports");
        for port in ports.items() {
            validate_port(&port, ports.len() > 1, errors);
        }
    }
}

fn validate_address(address: &Field<'_>, errors: &mut Errors) {
    let (ip, host, node) = (
        address.get("ip"),
        address.get("hostname"),
        address.get("nodeName"),
    );
    check::ip(&ip, errors);
    if !host.is_empty() {
        check::dns_label(&host, errors);
    }
    if node.is_present() {
        check::dns_subdomain(&node, errors);
    }
    check::non_special_ip(&ip, errors);
}

fn validate_port(port: &Field<'_>, named: bool, errors: &mut Errors) {
    let (name, app) = (port.get("name"), port.get("appProtocol"));
    match name.str() {
        "" if named => errors.push(name.required("")),
        "" => {}
        _ => check::dns_label(&name, errors),
    }
    check::port(&port.get("port"), errors);
    check::protocol(&port.get("protocol"), errors);
    if app.is_present() {
        check::qualified_name(&app, errors);
    }
}
