//! What an EndpointSlice may hold. Follows
//! pkg/apis/discovery/validation/validation.go and v1/defaults.go.

use crate::check;
use crate::fill::{self, items};
use crate::metadata::immutable;
use meta::{Errors, Field, FieldError, Value, names};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

const ADDRESSES_MAX: usize = 100;
const ENDPOINTS_MAX: usize = 1000;
const HINTS_MAX: usize = 8;
const PORTS_MAX: usize = 20000;
const TOPOLOGY_MAX: usize = 16;

/// Fills in what is left out.
pub(super) fn default(slice: &mut Value) {
    for port in items(slice, "ports") {
        fill::absent(port, "name", "");
        fill::absent(port, "protocol", "TCP");
    }
}

pub(super) fn create(slice: &Field<'_>, errors: &mut Errors) {
    let ty = slice.get("addressType");
    check::required_one_of(&ty, &["FQDN", "IPv4", "IPv6"], errors);
    validate_endpoints(&slice.get("endpoints"), ty.str(), errors);
    validate_ports(&slice.get("ports"), errors);
}

pub(super) fn update(slice: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    create(slice, errors);
    immutable(&slice.get("addressType"), &old.get("addressType"), errors);
}

fn validate_endpoints(endpoints: &Field<'_>, ty: &str, errors: &mut Errors) {
    if endpoints.len() > ENDPOINTS_MAX {
        errors.push(endpoints.too_many(ENDPOINTS_MAX));
        return;
    }
    for endpoint in endpoints.items() {
        validate_addresses(&endpoint.get("addresses"), ty, errors);
        let (node, host) = (endpoint.get("nodeName"), endpoint.get("hostname"));
        if node.is_present() {
            check::dns_subdomain(&node, errors);
        }
        let topology = endpoint.get("deprecatedTopology");
        if topology.len() > TOPOLOGY_MAX {
            errors.push(topology.too_many(TOPOLOGY_MAX));
        }
        crate::metadata::validate_labels(&topology, errors);
        if host.is_present() {
            check::dns_label(&host, errors);
        }
        for list in ["forZones", "forNodes"] {
            validate_hints(&endpoint.get("hints").get(list), errors);
        }
    }
}

fn validate_addresses(addresses: &Field<'_>, ty: &str, errors: &mut Errors) {
    if addresses.is_empty() {
        errors.push(addresses.required("must contain at least 1 address"));
    } else if addresses.len() > ADDRESSES_MAX {
        errors.push(addresses.too_many(ADDRESSES_MAX));
    }
    for address in addresses.items() {
        let text = address.str();
        match ty {
            "IPv4" => {
                if text.parse::<Ipv4Addr>().is_err() {
                    errors.push(address.invalid("must be a valid IPv4 address"));
                }
                check::non_special_ip(&address, errors);
            }
            "IPv6" => {
                if text.parse::<Ipv6Addr>().is_err() {
                    errors.push(address.invalid("must be a valid IPv6 address"));
                }
                check::non_special_ip(&address, errors);
            }
            "FQDN" => validate_domain(&address, errors),
            _ => {}
        }
    }
}

fn validate_domain(address: &Field<'_>, errors: &mut Errors) {
    let name = address.str().strip_suffix('.').unwrap_or(address.str());
    if name.is_empty() {
        errors.push(address.required(""));
        return;
    }
    let complaints = names::dns1123_subdomain(name);
    if !complaints.is_empty() {
        errors.push(FieldError::invalid(
            &address.path,
            name,
            complaints.join(","),
        ));
    } else if !name.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        errors.push(FieldError::invalid(&address.path, name, detail));
    }
}

fn validate_hints(hints: &Field<'_>, errors: &mut Errors) {
    if hints.len() > HINTS_MAX {
        errors.push(hints.too_many(HINTS_MAX));
        return;
    }
    let mut seen = BTreeSet::new();
    for name in hints.items().map(|hint| hint.get("name")) {
        if !seen.insert(name.str()) {
            errors.push(name.duplicate());
        }
        errors.invalid_each(&name, names::label_value(name.str()));
    }
}

fn validate_ports(ports: &Field<'_>, errors: &mut Errors) {
    if ports.len() > PORTS_MAX {
        errors.push(ports.too_many(PORTS_MAX));
        return;
    }
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let (name, number, app) = (port.get("name"), port.get("port"), port.get("appProtocol"));
        if !name.is_empty() {
            check::dns_label(&name, errors);
        }
        if !seen.insert(name.str()) {
            let value = Value::from(name.str());
            errors.push(Field::new(name.path.clone(), Some(&value)).duplicate());
        }
        if number.is_present() {
            check::port(&number, errors);
        }
        let protocol = port.get("protocol");
        if !matches!(protocol.str(), "SCTP" | "TCP" | "UDP") {
            errors.push(protocol.not_supported(&["SCTP", "TCP", "UDP"]));
        }
        if app.is_present() {
            check::qualified_name(&app, errors);
        }
    }
}
