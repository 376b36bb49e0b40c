//! Why a pod fits nowhere, in upstream's words.
//!
//! Follows pkg/scheduler/framework/types.go (`FitError`).

use std::collections::BTreeMap;

use crate::framework::{Code, Framework, PluginSet, Rejected};
use crate::pod::PodInfo;

/// What a failed search found.
#[derive(Debug, Default)]
pub struct Diagnosis {
    pub node_count: usize,
    /// The words of the plugin that rejected the pod before any node was
    /// looked at.
    pub pre_filter: Option<(Code, String)>,
    /// Nodes that were looked at.
    pub rejected: Vec<Rejected>,
    /// Why the other nodes were not.
    pub absent: Option<String>,
    /// All plugins that had a part in this.
    pub plugins: PluginSet,
}

impl Diagnosis {
    /// The first sentence of the message: what keeps the pod from each node.
    pub fn message(&self, framework: &Framework, pod: &PodInfo) -> String {
        let mut message = format!("0/{} nodes are available:", self.node_count);
        match &self.pre_filter {
            Some((_, words)) if !words.is_empty() => {
                message.push_str(&format!(" {words}."));
            }
            _ => {
                let histogram = self.histogram(framework, pod);
                if !histogram.is_empty() {
                    message.push_str(&format!(" {histogram}."));
                }
            }
        }
        message
    }

    /// Whether removing pods from the node could help.
    pub fn resolvable(&self) -> impl Iterator<Item = &Rejected> {
        let rejected = self.rejected.iter();
        rejected.filter(|rejected| rejected.rejection.code == Code::Unschedulable)
    }

    fn histogram(&self, framework: &Framework, pod: &PodInfo) -> String {
        let mut counts: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        for rejected in &self.rejected {
            let key = (rejected.plugin, rejected.rejection.reasons);
            *counts.entry(key).or_default() += 1;
        }
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for ((plugin, numbers), count) in counts {
            for reason in framework.reasons(pod, plugin, numbers) {
                *reasons.entry(reason).or_default() += count;
            }
        }
        let absent = self.node_count.saturating_sub(self.rejected.len());
        if let Some(words) = self.absent.as_ref().filter(|_| absent > 0) {
            *reasons.entry(words.clone()).or_default() += absent;
        }
        join(reasons)
    }
}

/// Reasons with their counts, sorted as text, as upstream lists them.
pub fn join(reasons: BTreeMap<String, usize>) -> String {
    let reasons = reasons.into_iter();
    let mut lines: Vec<String> = reasons
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    lines.sort_unstable();
    lines.join(", ")
}
