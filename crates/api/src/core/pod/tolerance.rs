//! What of a changed pod or template is tolerated, because it was so before:
//! who changes something else must not be held up by what older servers took.
//! Follows GetValidationOptionsFromPodSpecAndMeta of pkg/api/pod/util.go.

use super::spec::affinity;
use super::validate::has_invalid_cost;
use meta::{Errors, Field, names, selector};

/// What is tolerated; nothing of a new object.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tolerance {
    /// Values that are none of labels in selectors of affinity to pods, and in
    /// the selector of the workload with them.
    pub(crate) selector_values: bool,
    /// The same in what a node is required to be.
    pub(crate) node_values: bool,
    /// Selectors of topology spread constraints.
    pub(crate) spread_selectors: bool,
    /// The cost of the pod's deletion.
    pub(crate) deletion_cost: bool,
}

impl Tolerance {
    /// What an older pod or template has.
    pub(crate) fn of(old: &Field<'_>) -> Tolerance {
        let spec = old.get("spec");
        let constraints = spec.get("topologySpreadConstraints");
        let affinity = spec.get("affinity");
        Tolerance {
            selector_values: affinity::pod_terms(&affinity).iter().any(|term| {
                let parts = ["labelSelector", "namespaceSelector"];
                parts.iter().any(|part| is_invalid(&term.get(part)))
            }),
            node_values: affinity::required_of_nodes(&affinity)
                .iter()
                .any(|value| !names::label_value(value.str()).is_empty()),
            spread_selectors: constraints
                .items()
                .any(|constraint| is_invalid(&constraint.get("labelSelector"))),
            deletion_cost: has_invalid_cost(&old.at(&["metadata", "annotations"])),
        }
    }
}

fn is_invalid(labels: &Field<'_>) -> bool {
    let mut errors = Errors::new();
    selector::validate(labels, &mut errors);
    !errors.is_empty()
}
