//! Cases of IPAddress.

use super::IPAddress;
use crate::testing::{check_columns, check_valid};
use meta::value;

#[test]
fn an_address_is_called_by_itself() {
    let parent = || value!({"resource": "services", "namespace": "d", "name": "s"});
    let object = value!({"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": parent()}});
    check_valid(&IPAddress, object.clone(), &[]);
    check_columns(
        &IPAddress,
        &object,
        "2024-01-01T00:00:00Z",
        &["10.0.0.1", "services/d/s", "<unknown>"],
    );
    check_valid(
        &IPAddress,
        value!({"metadata": {"name": "::01"}, "spec": {"parentRef": {"resource": "services"}}}),
        &[
            "metadata.name: Invalid value: \"::01\": must be in canonical form (\"::1\")",
            "spec.parentRef.name: Required value",
        ],
    );
}
