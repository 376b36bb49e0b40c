//! Names: how a pod resolves them, and which it knows by itself.

use crate::check;
use meta::{Errors, Field, FieldError, names};

const POLICIES: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

pub(super) fn validate(spec: &Field<'_>, errors: &mut Errors) {
    check::required_one_of(&spec.get("dnsPolicy"), POLICIES, errors);
    validate_config(spec, errors);
    for alias in spec.get("hostAliases").items() {
        check::ip(&alias.get("ip"), errors);
        for name in alias.get("hostnames").items() {
            check::dns_subdomain(&name, errors);
        }
    }
}

fn validate_config(spec: &Field<'_>, errors: &mut Errors) {
    let config = spec.get("dnsConfig");
    let (servers, searches) = (config.get("nameservers"), config.get("searches"));
    if spec.get("dnsPolicy").str() == "None" {
        if !config.is_present() {
            errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.is_empty() {
            errors.push(
                servers
                    .required("must provide at least one DNS nameserver when `dnsPolicy` is None"),
            );
            return;
        }
    }
    if servers.len() > 3 {
        errors.push(servers.invalid("must not have more than 3 nameservers"));
    }
    servers
        .items()
        .for_each(|server| check::ip(&server, errors));
    validate_searches(&searches, errors);
    for option in config.get("options").items() {
        if option.get("name").is_empty() {
            errors.push(option.required("must not be empty"));
        }
    }
}

fn validate_searches(searches: &Field<'_>, errors: &mut Errors) {
    if searches.len() > 32 {
        errors.push(searches.invalid("must not have more than 32 search paths"));
    }
    let letters: usize = searches.items().map(|s| s.str().len() + 1).sum();
    if letters > 2049 {
        errors.push(searches.invalid(
            "must not have more than 2048 characters (including spaces) in the search list",
        ));
    }
    for search in searches.items().filter(|s| s.str() != ".") {
        let name = search.str().strip_suffix('.').unwrap_or(search.str());
        for detail in search_complaints(name) {
            errors.push(FieldError::invalid(&search.path, name, detail));
        }
    }
}

/// A subdomain whose labels may begin and go on with underscores.
fn search_complaints(name: &str) -> Vec<String> {
    let masked = name.replace('_', "a");
    match names::dns1123_subdomain(&masked).is_empty() {
        true => Vec::new(),
        false => vec![names::regex_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            r"[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?(\.[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?)*",
            &["example.com"],
        )],
    }
}
