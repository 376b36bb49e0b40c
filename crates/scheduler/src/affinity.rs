//! Terms of inter-pod affinity and anti-affinity, compiled.
//!
//! Follows pkg/scheduler/framework/types.go (`AffinityTerm`).

use std::sync::Arc;

use typed::api::core::v1 as core;

use crate::labels::Labels;
use crate::selector::{Selector, SelectorError};

/// Which pods a term speaks of, and over which topology.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AffinityTerm {
    namespaces: Box<[Box<str>]>,
    namespace_selector: Selector,
    selector: Selector,
    pub(crate) topology_key: Box<str>,
}

/// A namespace with its labels, as far as they are known.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceRef<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Option<&'a Labels>,
}

/// All terms of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Affinity {
    /// A single pod that matches all of these must be near.
    pub(crate) required: Arc<[Arc<AffinityTerm>]>,
    /// No pod that matches any of these may be near.
    pub(crate) required_anti: Box<[Arc<AffinityTerm>]>,
    /// Pods that match these should be near (weight above 0) or far (below).
    pub(crate) preferred: Box<[(Arc<AffinityTerm>, i64)]>,
}

impl AffinityTerm {
    fn new(
        term: &core::PodAffinityTerm,
        namespace: &str,
        labels: &Labels,
    ) -> Result<Self, SelectorError> {
        let mut namespaces: Vec<Box<str>> = term
            .namespaces
            .iter()
            .flatten()
            .map(|name| name.as_str().into())
            .collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(namespace.into());
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        let selector = Selector::compile(term.label_selector.as_ref())?;
        // The API server merges these keys into the selector when the pod is
        // created; doing it again changes nothing.
        let selector = with_label_keys(selector, &term.match_label_keys, labels, true);
        let selector = with_label_keys(selector, &term.mismatch_label_keys, labels, false);
        Ok(Self {
            namespaces: namespaces.into_boxed_slice(),
            namespace_selector: Selector::compile(term.namespace_selector.as_ref())?,
            selector,
            topology_key: term.topology_key.as_str().into(),
        })
    }

    /// Whether the term speaks of a pod with these labels in this namespace.
    pub(crate) fn matches(&self, namespace: NamespaceRef<'_>, labels: &Labels) -> bool {
        self.matches_namespace(namespace) && self.selector.matches(labels)
    }

    /// The hash of a label pair that matching pods must have.
    pub(crate) fn required_pair(&self) -> Option<u64> {
        self.selector.required_pair()
    }

    /// Whether a change of a namespace's labels can change what matches.
    pub(crate) fn depends_on_namespace_labels(&self) -> bool {
        let selector = &self.namespace_selector;
        !selector.is_everything() && *selector != Selector::Nothing
    }

    fn matches_namespace(&self, namespace: NamespaceRef<'_>) -> bool {
        if self.namespaces.iter().any(|name| **name == *namespace.name) {
            return true;
        }
        self.namespace_selector.is_everything()
            || namespace
                .labels
                .is_some_and(|labels| self.namespace_selector.matches(labels))
    }
}

/// Whether a pod matches every term, of which there must be one.
pub(crate) fn matches_all(
    terms: &[Arc<AffinityTerm>],
    namespace: NamespaceRef<'_>,
    labels: &Labels,
) -> bool {
    !terms.is_empty() && terms.iter().all(|term| term.matches(namespace, labels))
}

impl Affinity {
    /// The terms of a pod's spec.
    pub fn of(
        spec: &core::PodSpec,
        namespace: &str,
        labels: &Labels,
    ) -> Result<Self, SelectorError> {
        let compile = |term: &core::PodAffinityTerm| AffinityTerm::new(term, namespace, labels);
        let weighted = |term: &core::WeightedPodAffinityTerm, sign: i64| {
            let weight = sign * i64::from(term.weight);
            Ok((Arc::new(compile(&term.pod_affinity_term)?), weight))
        };
        let affinity = spec.affinity.as_ref();
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let far = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let mut result = Self::default();
        let mut preferred = Vec::new();
        if let Some(near) = near {
            let required = &near.required_during_scheduling_ignored_during_execution;
            let required = required.iter().flatten().map(|t| compile(t).map(Arc::new));
            result.required = required.collect::<Result<_, _>>()?;
            let wanted = &near.preferred_during_scheduling_ignored_during_execution;
            for term in wanted.iter().flatten() {
                preferred.push(weighted(term, 1)?);
            }
        }
        if let Some(far) = far {
            let required = &far.required_during_scheduling_ignored_during_execution;
            let required = required.iter().flatten().map(|t| compile(t).map(Arc::new));
            result.required_anti = required.collect::<Result<_, _>>()?;
            let wanted = &far.preferred_during_scheduling_ignored_during_execution;
            for term in wanted.iter().flatten() {
                preferred.push(weighted(term, -1)?);
            }
        }
        result.preferred = preferred.into_boxed_slice();
        Ok(result)
    }

    /// Whether there is no term at all.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.required_anti.is_empty() && self.preferred.is_empty()
    }

    /// The topology keys of all terms that are required.
    pub(crate) fn required_keys(&self) -> impl Iterator<Item = &str> {
        let all = self.required.iter().chain(&self.required_anti);
        all.map(|term| &*term.topology_key)
    }
}

/// The selector with the pod's own values of the listed keys required, or
/// excluded.
pub(crate) fn with_label_keys(
    selector: Selector,
    keys: &Option<Vec<String>>,
    labels: &Labels,
    wanted: bool,
) -> Selector {
    let keys = keys.iter().flatten();
    keys.fold(selector, |selector, key| match labels.get(key) {
        Some(value) => selector.and(key, value, wanted),
        None => selector,
    })
}
