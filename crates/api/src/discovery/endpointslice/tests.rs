//! Cases of EndpointSlice.

use super::EndpointSlice;
use crate::testing::{check_columns, check_default, check_update, check_valid};
use meta::value;

#[test]
fn ports_are_nameless_tcp_by_default() {
    check_default(
        &EndpointSlice,
        value!({"ports": [{"port": 80}]}),
        value!({"ports": [{"port": 80, "name": "", "protocol": "TCP"}]}),
    );
}

#[test]
fn addresses_are_of_their_type() {
    check_valid(
        &EndpointSlice,
        value!({"addressType": "IPv4", "endpoints": [
            {"addresses": []}, {"addresses": ["::1"]}, {"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}}
        ]}),
        &[
            "endpoints[0].addresses: Required value: must contain at least 1 address",
            "endpoints[1].addresses[0]: Invalid value: \"::1\": must be a valid IPv4 address",
            "endpoints[1].addresses[0]: Invalid value: \"::1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
            "endpoints[2].hints.forZones[1].name: Duplicate value: \"a\"",
        ],
    );
    check_valid(
        &EndpointSlice,
        value!({"addressType": "X"}),
        &["addressType: Unsupported value: \"X\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""],
    );
    check_update(
        &EndpointSlice,
        &value!({"addressType": "IPv4"}),
        value!({"addressType": "IPv6"}),
        &["addressType: Invalid value: \"IPv6\": field is immutable"],
    );
}

#[test]
fn columns_show_a_few() {
    let object = value!({
        "metadata": {"name": "s", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "addressType": "IPv4", "ports": [{"port": 80}, {"name": "x"}, {}],
        "endpoints": [{"addresses": ["1.1.1.1"]}, {"addresses": ["1.1.1.2"]}]
    });
    check_columns(
        &EndpointSlice,
        &object,
        "2024-01-01T00:00:01Z",
        &["s", "IPv4", "80,x,*", "1.1.1.1,1.1.1.2", "1s"],
    );
}
