//! Cases of LimitRange.

use super::LimitRange;
use crate::testing::{check_columns, check_default, check_valid};
use meta::{Value, value};

fn range(limit: Value) -> Value {
    value!({
        "metadata": {"name": "a", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"limits": [limit]},
    })
}

#[test]
fn containers_get_what_follows_from_the_bounds() {
    check_default(
        &LimitRange,
        range(
            value!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "10m", "memory": "1Mi"}}),
        ),
        range(value!({
            "type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "10m", "memory": "1Mi"},
            "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1", "memory": "1Mi"},
        })),
    );
    let pods = range(value!({"type": "Pod", "max": {"cpu": "1"}}));
    check_default(&LimitRange, pods.clone(), pods.clone());
    check_columns(
        &LimitRange,
        &pods,
        "2024-01-01T00:00:00Z",
        &["a", "2024-01-01T00:00:00Z"],
    );
}

#[test]
fn bounds_must_hold_together() {
    check_valid(
        &LimitRange,
        range(value!({
            "type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"},
            "default": {"cpu": "1500m"}, "defaultRequest": {"cpu": "1600m"},
            "maxLimitRequestRatio": {"cpu": "500m"},
        })),
        &[
            "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1600m\": min value 2 is greater than default request value 1600m",
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1600m\": default request value 1600m is greater than max value 1",
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1600m\": default request value 1600m is greater than default limit value 1500m",
            "spec.limits[0].default[cpu]: Invalid value: \"2\": min value 2 is greater than default value 1500m",
            "spec.limits[0].default[cpu]: Invalid value: \"1\": default value 1500m is greater than max value 1",
            "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1",
        ],
    );
    check_valid(
        &LimitRange,
        range(value!({"type": "Pod", "default": {"cpu": "1"}, "max": {"pods": "1"}})),
        &[
            "spec.limits[0].max[pods]: Invalid value: \"pods\": must be a standard resource for containers",
            "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
        ],
    );
    check_valid(
        &LimitRange,
        range(value!({"type": "Cup"})),
        &[
            "spec.limits[0].type: Invalid value: \"Cup\": must be a standard limit type or fully qualified",
        ],
    );
}
