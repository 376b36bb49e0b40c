//! Cases of Node.

use super::Node;
use crate::kind::Kind;
use crate::testing::{check_columns, check_default, check_update, check_valid};
use meta::value;

#[test]
fn the_first_range_has_two_names() {
    check_default(
        &Node,
        value!({"spec": {"podCIDR": "10.0.0.0/24"}, "status": {"capacity": {"cpu": "2"}}}),
        value!({
            "spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]},
            "status": {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "2"}}
        }),
    );
}

#[test]
fn taints_are_told_apart_and_ranges_stay() {
    check_valid(
        &Node,
        value!({"spec": {"taints": [
            {"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "Never"}
        ], "podCIDRs": ["x"]}}),
        &[
            "metadata.taints[1]: Duplicate value: {\"effect\":\"NoSchedule\",\"key\":\"a\"}: taints must be unique by key and effect pair",
            "metadata.taints[2].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            "spec.podCIDRs[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ],
    );
    check_update(
        &Node,
        &value!({"spec": {"podCIDRs": ["10.0.0.0/24"], "providerID": "a"}}),
        value!({"spec": {"podCIDRs": ["10.0.1.0/24"], "providerID": "b"}}),
        &[
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
            "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
        ],
    );
}

#[test]
fn columns_say_whether_it_is_ready() {
    let node = value!({
        "metadata": {"name": "n", "creationTimestamp": "2024-01-01T00:00:00Z", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": true},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian"}
        }
    });
    check_columns(
        &Node,
        &node,
        "2024-01-01T00:00:30Z",
        &[
            "n",
            "Ready,SchedulingDisabled",
            "control-plane",
            "30s",
            "v1.37.0",
            "10.0.0.1",
            "<none>",
            "Debian",
            "<unknown>",
            "<unknown>",
        ],
    );
    assert_eq!(Node.field(&node, "spec.unschedulable"), "true");
}
