//! Cases of Lease.

use super::Lease;
use crate::testing::{check_columns, check_valid};
use meta::value;

#[test]
fn durations_are_positive() {
    check_valid(
        &Lease,
        value!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}),
        &[
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    check_columns(
        &Lease,
        &value!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}),
        "2024-01-01T00:00:00Z",
        &["l", "me", "<unknown>"],
    );
}
