//! What a namespace's conditions tell of its deletion. Follows
//! pkg/controller/namespace/deletion/status_condition_utils.go.

use super::content::Remaining;
use client::Error;
use std::collections::BTreeMap;
use stdx::Timestamp;
use typed::Time;
use typed::api::core::v1::{NamespaceCondition, NamespaceStatus};

/// A condition: its type, and reason and message when all is well.
type Well = (&'static str, &'static str, &'static str);

const DISCOVERY: &str = "NamespaceDeletionDiscoveryFailure";
const CONTENT: &str = "NamespaceDeletionContentFailure";
const REMAINING: &str = "NamespaceContentRemaining";
const FINALIZERS: &str = "NamespaceFinalizersRemaining";

const WELL: [Well; 5] = [
    (
        DISCOVERY,
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        CONTENT,
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    (
        REMAINING,
        "ContentRemoved",
        "All content successfully removed",
    ),
    (
        FINALIZERS,
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
];

/// What was found while deleting a namespace's content.
#[derive(Default)]
pub(super) struct Findings {
    undiscovered: Vec<String>,
    undeleted: Vec<String>,
    /// Type of a condition to its reason and message.
    found: BTreeMap<&'static str, (&'static str, String)>,
}

impl Findings {
    /// These groups could not be looked at.
    pub(super) fn undiscovered(&mut self, failures: &[(String, Error)]) {
        if failures.is_empty() {
            return;
        }
        self.undiscovered = failures
            .iter()
            .map(|(group, error)| format!("{group}: {}", error.message()))
            .collect();
        let groups = self.undiscovered.join(", ");
        let message = format!(
            "Discovery failed for some groups, {} failing: {groups}",
            failures.len()
        );
        self.found.insert(DISCOVERY, ("DiscoveryFailed", message));
    }

    /// Something could not be deleted.
    pub(super) fn undeleted(&mut self, problem: String) {
        self.undeleted.push(problem);
        self.undeleted.sort();
        let (count, problems) = (self.undeleted.len(), self.undeleted.join(", "));
        let message = format!("Failed to delete all resource types, {count} remaining: {problems}");
        self.found
            .insert(CONTENT, ("ContentDeletionFailed", message));
    }

    /// These objects are still there.
    pub(super) fn remaining(&mut self, remaining: &Remaining) {
        if !remaining.objects.is_empty() {
            let parts = remaining
                .objects
                .iter()
                .map(|(resource, count)| format!("{resource} has {count} resource instances"));
            let message = format!(
                "Some resources are remaining: {}",
                parts.collect::<Vec<_>>().join(", ")
            );
            self.found
                .insert(REMAINING, ("SomeResourcesRemain", message));
        }
        if !remaining.finalizers.is_empty() {
            let parts = remaining
                .finalizers
                .iter()
                .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"));
            let message = format!(
                "Some content in the namespace has finalizers remaining: {}",
                parts.collect::<Vec<_>>().join(", ")
            );
            self.found
                .insert(FINALIZERS, ("SomeFinalizersRemain", message));
        }
    }

    /// What went wrong, if something did.
    pub(super) fn problems(&self) -> Option<String> {
        let problems: Vec<&str> = self
            .undiscovered
            .iter()
            .chain(&self.undeleted)
            .map(String::as_str)
            .collect();
        (!problems.is_empty()).then(|| problems.join(", "))
    }

    /// Brings a status' conditions up to date. Returns whether something changed.
    pub(super) fn update(&self, status: &mut NamespaceStatus, now: Timestamp) -> bool {
        let mut changed = false;
        for (kind, reason, message) in WELL {
            changed |= match self.found.get(kind) {
                Some((reason, message)) => put(status, kind, "True", reason, message, now),
                None => put(status, kind, "False", reason, message, now),
            };
        }
        changed
    }
}

fn put(
    status: &mut NamespaceStatus,
    kind: &str,
    state: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    let known = conditions
        .iter_mut()
        .find(|condition| condition.type_ == kind);
    let (condition, is_new) = match known {
        Some(condition) => (condition, false),
        None => {
            conditions.push(NamespaceCondition {
                type_: kind.to_owned(),
                ..Default::default()
            });
            match conditions.last_mut() {
                Some(condition) => (condition, true),
                None => return false,
            }
        }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    if !is_new
        && condition.status == state
        && text(&condition.reason) == reason
        && text(&condition.message) == message
    {
        return false;
    }
    if condition.status != state {
        condition.last_transition_time = Some(Time(now));
    }
    condition.status = state.to_owned();
    condition.reason = Some(reason.to_owned());
    condition.message = Some(message.to_owned());
    true
}
