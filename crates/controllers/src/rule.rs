//! What controllers may do, from which their bootstrap ClusterRoles are made.

use crate::{CONTROLLERS, Controller};
use std::collections::BTreeMap;

/// A rule of a ClusterRole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The API groups.
    pub groups: &'static [&'static str],
    /// The resources, with subresources after a slash.
    pub resources: &'static [&'static str],
    /// The verbs.
    pub verbs: &'static [&'static str],
}

/// A bootstrap ClusterRole; its binding has the same name and binds the identity's service account
/// in kube-system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRole {
    /// `system:controller:<identity>`.
    pub name: String,
    /// The service account in kube-system.
    pub identity: &'static str,
    /// What it may do.
    pub rules: Vec<Rule>,
}

impl Rule {
    /// These verbs on these resources of one group.
    pub const fn new(
        groups: &'static [&'static str],
        resources: &'static [&'static str],
        verbs: &'static [&'static str],
    ) -> Self {
        Self {
            groups,
            resources,
            verbs,
        }
    }
}

/// Recording events, which every controller may do.
pub(crate) const EVENTS: Rule = Rule::new(
    &["", "events.k8s.io"],
    &["events"],
    &["create", "patch", "update"],
);

/// The ClusterRoles of all controllers, by name. Identities that several controllers share have
/// the rules of all of them.
pub fn bootstrap_roles() -> Vec<ClusterRole> {
    let mut roles: BTreeMap<&str, Vec<Rule>> = BTreeMap::new();
    let own_role = |c: &&Controller| !c.identity.starts_with("system:");
    for controller in CONTROLLERS.iter().filter(own_role) {
        let rules = roles.entry(controller.identity).or_default();
        for rule in controller.rules {
            if !rules.contains(rule) {
                rules.push(*rule);
            }
        }
    }
    let role = |(identity, rules)| ClusterRole {
        name: format!("system:controller:{identity}"),
        identity,
        rules,
    };
    roles.into_iter().map(role).collect()
}
