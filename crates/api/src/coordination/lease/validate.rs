//! What a Lease may hold. Follows pkg/apis/coordination/validation/validation.go.

use meta::{Errors, Field, Value};

/// Coordinated leader election is gated off by default: its fields are dropped.
pub(super) fn prepare(lease: &mut Value) {
    lease.remove_at(&["spec", "strategy"]);
    lease.remove_at(&["spec", "preferredHolder"]);
}

pub(super) fn create(lease: &Field<'_>, errors: &mut Errors) {
    let spec = lease.get("spec");
    let duration = spec.get("leaseDurationSeconds");
    if duration.i64().is_some_and(|s| s <= 0) {
        errors.push(duration.invalid("must be greater than 0"));
    }
    crate::check::nonnegative(&spec.get("leaseTransitions"), errors);
}
