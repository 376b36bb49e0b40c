//! What preemption would say: the second sentence of the message of a pod that
//! fits nowhere.
//!
//! Nothing is preempted yet. The sentence is added when it is true: that no
//! node would do even without its pods of lower priority. Where one would,
//! upstream would preempt and say so elsewhere, so nothing is added.
//! Follows pkg/scheduler/framework/preemption/preemption.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::diagnosis::{Diagnosis, join};
use crate::framework::{Code, Framework, PreFiltered};
use crate::pod::PodInfo;

/// More nodes than these are not tried without their pods: it would keep other
/// pods waiting, and what was not tried is not claimed.
const TRIES_MAX: usize = 500;

const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";

/// Why preemption cannot help, or nothing if it could.
pub fn explain(
    framework: &mut Framework,
    cluster: &mut Cluster,
    pod: &Arc<PodInfo>,
    diagnosis: &Diagnosis,
) -> Option<String> {
    if !pod.shape.preempts {
        return Some("preemption: not eligible due to preemptionPolicy=Never.".into());
    }
    let nodes = candidates(cluster, diagnosis);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let others = diagnosis.node_count.saturating_sub(nodes.len());
    if others > 0 {
        reasons.insert(NOT_HELPFUL.into(), others);
    }
    if cluster.pods_below(pod.priority()) == 0 {
        if !nodes.is_empty() {
            reasons.insert(NO_VICTIMS.into(), nodes.len());
        }
    } else if nodes.len() > TRIES_MAX {
        return None;
    } else {
        for node in nodes {
            for reason in without_victims(framework, cluster, pod, node)? {
                *reasons.entry(reason).or_default() += 1;
            }
        }
    }
    let reasons = join(reasons);
    let count = diagnosis.node_count;
    Some(format!(
        "preemption: 0/{count} nodes are available: {reasons}."
    ))
}

/// Nodes where removing pods might help.
fn candidates(cluster: &Cluster, diagnosis: &Diagnosis) -> Vec<NodeId> {
    match &diagnosis.pre_filter {
        Some((Code::Unschedulable, _)) => cluster.nodes().to_vec(),
        Some(_) => Vec::new(),
        None => diagnosis
            .resolvable()
            .map(|rejected| rejected.node)
            .collect(),
    }
}

/// Why the node does not fit without its pods of lower priority; `None` if it
/// does.
fn without_victims(
    framework: &mut Framework,
    cluster: &mut Cluster,
    pod: &Arc<PodInfo>,
    node: NodeId,
) -> Option<Vec<String>> {
    let placed = cluster.pods_on(node).iter();
    let victims = placed.filter(|placed| placed.priority() < pod.priority());
    let victims: Vec<Arc<str>> = victims.map(|victim| Arc::clone(&victim.uid)).collect();
    if victims.is_empty() {
        return Some(vec![NO_VICTIMS.into()]);
    }
    let removed: Vec<_> = victims
        .iter()
        .filter_map(|uid| {
            let assumed = cluster.placed(uid)?.assumed;
            let (victim, name) = cluster.remove_pod(uid)?;
            Some((victim, name, assumed))
        })
        .collect();
    let reasons = reasons_of(framework, cluster, pod, node);
    for (victim, name, assumed) in removed {
        cluster.add_pod(victim, &name, assumed);
    }
    reasons
}

fn reasons_of(
    framework: &mut Framework,
    cluster: &mut Cluster,
    pod: &Arc<PodInfo>,
    node: NodeId,
) -> Option<Vec<String>> {
    if let PreFiltered::Rejected { message, .. } = framework.run_pre_filter(cluster, pod) {
        return Some(vec![message]);
    }
    let rejected = framework.run_filter(cluster, pod, node).err()?;
    let reasons = rejected.rejection.reasons;
    Some(framework.reasons(pod, rejected.plugin, reasons).collect())
}
