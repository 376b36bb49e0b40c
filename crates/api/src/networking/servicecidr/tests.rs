//! Cases of ServiceCIDR.

use super::ServiceCIDR;
use crate::testing::{check_columns, check_update, check_valid};
use meta::value;

#[test]
fn a_range_of_each_family_that_stays() {
    let object =
        value!({"metadata": {"name": "k"}, "spec": {"cidrs": ["10.0.0.0/16", "2001:db8::/64"]}});
    check_valid(&ServiceCIDR, object.clone(), &[]);
    check_columns(
        &ServiceCIDR,
        &object,
        "2024-01-01T00:00:00Z",
        &["k", "10.0.0.0/16,2001:db8::/64", "<unknown>"],
    );
    check_valid(
        &ServiceCIDR,
        value!({"spec": {}}),
        &["spec.cidrs: Required value: at least one CIDR required"],
    );
    check_update(
        &ServiceCIDR,
        &object,
        value!({"spec": {"cidrs": ["10.1.0.0/16"]}}),
        &["spec.cidrs: Invalid value: [\"10.1.0.0/16\"]: field is immutable"],
    );
}
