//! Topology spread constraints, compiled.
//!
//! Follows pkg/scheduler/framework/plugins/podtopologyspread/common.go.

use std::sync::Arc;

use typed::api::core::v1 as core;

use crate::affinity::with_label_keys;
use crate::labels::Labels;
use crate::node::{LABEL_HOSTNAME, LABEL_ZONE};
use crate::selector::{Selector, SelectorError};

/// How evenly pods that match the selector shall lie over a topology.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpreadConstraint {
    pub(crate) max_skew: i64,
    pub(crate) topology_key: Box<str>,
    /// Whether nodes that break this are out of the question.
    pub(crate) required: bool,
    pub(crate) selector: Arc<Selector>,
    pub(crate) min_domains: usize,
    /// Whether nodes count that the pod's node affinity excludes.
    pub(crate) honor_affinity: bool,
    /// Whether nodes count whose taints the pod does not tolerate.
    pub(crate) honor_taints: bool,
}

impl SpreadConstraint {
    /// Compiles a constraint of a pod with the given labels.
    pub fn new(
        constraint: &core::TopologySpreadConstraint,
        labels: &Labels,
    ) -> Result<Self, SelectorError> {
        let selector = Selector::compile(constraint.label_selector.as_ref())?;
        let selector = with_label_keys(selector, &constraint.match_label_keys, labels, true);
        let honors = |policy: &Option<String>, default: &str| {
            policy.as_deref().unwrap_or(default) == "Honor"
        };
        Ok(Self {
            max_skew: constraint.max_skew.into(),
            topology_key: constraint.topology_key.as_str().into(),
            required: constraint.when_unsatisfiable == "DoNotSchedule",
            selector: Arc::new(selector),
            min_domains: constraint
                .min_domains
                .and_then(|domains| usize::try_from(domains).ok())
                .unwrap_or(1),
            honor_affinity: honors(&constraint.node_affinity_policy, "Honor"),
            honor_taints: honors(&constraint.node_taints_policy, "Ignore"),
        })
    }

    /// What the system wishes for pods that state no constraint of their own,
    /// where `selector` names their siblings.
    pub fn system_defaults(selector: &Arc<Selector>) -> [Self; 2] {
        [(LABEL_HOSTNAME, 3), (LABEL_ZONE, 5)].map(|(key, max_skew)| Self {
            max_skew,
            topology_key: key.into(),
            required: false,
            selector: Arc::clone(selector),
            min_domains: 1,
            honor_affinity: true,
            honor_taints: false,
        })
    }
}
