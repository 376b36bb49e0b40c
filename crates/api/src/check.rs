//! Checks of single fields that many kinds share: what is wanted, how long,
//! how large, one of which. Wording follows apimachinery's pkg/util/validation
//! and pkg/apis/core/validation.

use meta::{Errors, Field, FieldError, Quantity, names};
use std::net::IpAddr;

/// The largest `int32`.
pub(crate) const INT32_MAX: i64 = i32::MAX as i64;

/// A feature of a served kind that is not there yet, refused by name.
pub(crate) fn unsupported(field: &Field<'_>, what: &str) -> FieldError {
    field.forbidden(format!("{what} is not supported yet"))
}

/// Something must be there.
pub(crate) fn required(field: &Field<'_>, errors: &mut Errors) {
    if field.is_empty() {
        errors.push(field.required(""));
    }
}

/// One of the known values, when something is there.
pub(crate) fn one_of(field: &Field<'_>, known: &[&str], errors: &mut Errors) {
    if !field.is_empty() && !known.contains(&field.str()) {
        errors.push(field.not_supported(known));
    }
}

/// One of the known values.
pub(crate) fn required_one_of(field: &Field<'_>, known: &[&str], errors: &mut Errors) {
    required(field, errors);
    one_of(field, known, errors);
}

/// Zero or more.
pub(crate) fn nonnegative(field: &Field<'_>, errors: &mut Errors) {
    if field.int() < 0 {
        errors.push(field.invalid("must be greater than or equal to 0"));
    }
}

/// Between two numbers, both included, when something is there.
pub(crate) fn range(field: &Field<'_>, min: i64, max: i64, errors: &mut Errors) {
    if field.i64().is_some_and(|i| !(min..=max).contains(&i)) {
        errors.push(field.invalid(format!("must be between {min} and {max}, inclusive")));
    }
}

/// A user or group number.
pub(crate) fn user_id(field: &Field<'_>, errors: &mut Errors) {
    range(field, 0, INT32_MAX, errors);
}

/// An RFC 1123 label.
pub(crate) fn dns_label(field: &Field<'_>, errors: &mut Errors) {
    errors.invalid_each(field, names::dns1123_label(field.str()));
}

/// An RFC 1123 subdomain.
pub(crate) fn dns_subdomain(field: &Field<'_>, errors: &mut Errors) {
    errors.invalid_each(field, names::dns1123_subdomain(field.str()));
}

/// A qualified name.
pub(crate) fn qualified_name(field: &Field<'_>, errors: &mut Errors) {
    errors.invalid_each(field, names::qualified_name(field.str()));
}

/// A number of a port.
pub(crate) fn port(field: &Field<'_>, errors: &mut Errors) {
    for detail in names::port_number(field.int()) {
        errors.push(FieldError::invalid(&field.path, field.int(), detail));
    }
}

/// A number of a port, or its name.
pub(crate) fn port_or_name(field: &Field<'_>, errors: &mut Errors) {
    match field.value.and_then(|v| v.as_str()) {
        Some(name) => errors.invalid_each(field, names::port_name(name)),
        None => port(field, errors),
    }
}

/// TCP, UDP or SCTP.
pub(crate) fn protocol(field: &Field<'_>, errors: &mut Errors) {
    required_one_of(field, &["SCTP", "TCP", "UDP"], errors);
}

/// An address.
pub(crate) fn ip(field: &Field<'_>, errors: &mut Errors) {
    if field.str().parse::<IpAddr>().is_err() {
        let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.push(FieldError::invalid(&field.path, field.str(), detail));
    }
}

/// Whether text is a range of addresses.
pub(crate) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let max = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|b| b <= max)
}

/// A range of addresses.
pub(crate) fn cidr(field: &Field<'_>, errors: &mut Errors) {
    if !is_cidr(field.str()) {
        let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        errors.push(FieldError::invalid(&field.path, field.str(), detail));
    }
}

/// An address that a service may lead to.
pub(crate) fn non_special_ip(field: &Field<'_>, errors: &mut Errors) {
    let text = field.str();
    let Ok(ip) = text.parse::<IpAddr>() else {
        errors.push(FieldError::invalid(
            &field.path,
            text,
            "must be a valid IP address",
        ));
        return;
    };
    if ip.is_unspecified() {
        errors.push(field.invalid(format!("may not be unspecified ({text})")));
    }
    if ip.is_loopback() {
        errors.push(field.invalid("may not be in the loopback range (127.0.0.0/8, ::1/128)"));
    }
    let (unicast, multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (
            v6.segments()[0] & 0xffc0 == 0xfe80,
            v6.segments()[0] & 0xff0f == 0xff02,
        ),
    };
    if unicast {
        errors
            .push(field.invalid("may not be in the link-local range (169.254.0.0/16, fe80::/10)"));
    }
    if multicast {
        errors.push(
            field.invalid("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        );
    }
}

/// The quantity that text is, when it is one: the decoder has seen to that.
pub(crate) fn quantity(field: &Field<'_>) -> Option<Quantity> {
    field.str().parse().ok()
}

/// No `..` among the parts of a path.
pub(crate) fn no_backsteps(field: &Field<'_>, errors: &mut Errors) {
    if field.str().split('/').any(|part| part == "..") {
        errors.push(field.invalid("must not contain '..'"));
    }
}

/// A path that leads down.
pub(crate) fn local_path(field: &Field<'_>, errors: &mut Errors) {
    if field.str().starts_with('/') {
        errors.push(field.invalid("must be a relative path"));
    }
    no_backsteps(field, errors);
}

/// A path that leads down and is no name of the volume writer's own.
pub(crate) fn local_free_path(field: &Field<'_>, errors: &mut Errors) {
    local_path(field, errors);
    if field.str().starts_with("..") && !field.str().starts_with("../") {
        errors.push(field.invalid("must not start with '..'"));
    }
}

/// A file's permissions.
pub(crate) fn file_mode(field: &Field<'_>, errors: &mut Errors) {
    if !(0..=0o777).contains(&field.int()) {
        errors.push(field.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_addresses_are_told_from_other_text() {
        for (text, is) in [
            ("10.0.0.0/8", true),
            ("2001:db8::/64", true),
            ("10.0.0.0/33", false),
            ("10.0.0.0", false),
            ("10.0.0.0/+8", false),
            ("x/8", false),
        ] {
            assert_eq!(is_cidr(text), is, "{text}");
        }
    }
}
