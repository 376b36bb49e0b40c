//! Cases of ResourceQuota.

use super::ResourceQuota;
use crate::testing::{check_columns, check_update, check_valid};
use meta::value;

#[test]
fn it_names_what_can_be_counted() {
    let quota = value!({"spec": {"hard": {
        "pods": "10", "requests.cpu": "1", "count/deployments.apps": "3",
        "requests.example.com/gpu": "1", "services.nodeports": "2",
    }}});
    check_valid(&ResourceQuota, quota, &[]);
    check_valid(
        &ResourceQuota,
        value!({"spec": {"hard": {"cups": "1", "pods": "-1", "secrets": "500m"}}}),
        &[
            "spec.hard[cups]: Invalid value: \"cups\": must be a standard resource type or fully qualified",
            "spec.hard[cups]: Invalid value: \"cups\": must be a standard resource for quota",
            "spec.hard[pods]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.hard[secrets]: Invalid value: \"500m\": must be an integer",
        ],
    );
}

#[test]
fn scopes_fit_what_is_counted_and_stay() {
    let quota = value!({"spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}});
    check_valid(&ResourceQuota, quota.clone(), &[]);
    check_valid(
        &ResourceQuota,
        value!({"spec": {"hard": {"services": "1"}, "scopes": ["Terminating", "NotTerminating"]}}),
        &[
            "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: unsupported scope applied to resource",
            "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: unsupported scope applied to resource",
            "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes",
        ],
    );
    check_update(
        &ResourceQuota,
        &quota,
        value!({"spec": {"hard": {"pods": "1"}, "scopes": ["Terminating"]}}),
        &["spec.scopes: Invalid value: [\"Terminating\"]: field is immutable"],
    );
    check_valid(
        &ResourceQuota,
        value!({"spec": {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In"},
        ]}}}),
        &[
            "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        ],
    );
}

#[test]
fn columns_show_used_of_allowed() {
    let quota = value!({
        "metadata": {"name": "q", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "status": {
            "hard": {"pods": "10", "limits.cpu": "2", "requests.cpu": "1"},
            "used": {"pods": "3", "limits.cpu": "500m"},
        },
    });
    check_columns(
        &ResourceQuota,
        &quota,
        "2024-01-01T00:05:00Z",
        &[
            "q",
            "pods: 3/10, requests.cpu: 0/1",
            "limits.cpu: 500m/2",
            "5m",
        ],
    );
}
