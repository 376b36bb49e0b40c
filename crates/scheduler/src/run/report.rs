//! Reports: what users shall read of a pod that was not placed.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use client::events::{SeriesEvent, SeriesRecorder, WARNING};
use client::{Client, Patch};
use informer::Store;
use rustc_hash::FxHasher;
use serde_json::json;
use stdx::Clock;
use tokio::sync::mpsc;
use typed::api::core::v1::Pod;

use super::pods::{CachedPod, Refusal};
use crate::pod::PodInfo;

/// The reason of a pod that fits nowhere.
pub const UNSCHEDULABLE: &str = "Unschedulable";
/// The reason of a pod that may not be tried.
pub const SCHEDULING_GATED: &str = "SchedulingGated";
/// The reason of a pod whose attempt failed by an error.
pub const SCHEDULER_ERROR: &str = "SchedulerError";

/// Something that users shall read of a pod.
pub struct Report {
    pod: Arc<PodInfo>,
    reason: &'static str,
    message: String,
    /// Whether it is worth an event.
    event: bool,
}

/// The queues of all reporters; a pod always has the same one.
#[derive(Clone)]
pub struct Reports(pub Arc<[mpsc::Sender<Report>]>);

impl Reports {
    /// Has a report written, when its turn comes.
    pub async fn send(&self, report: Report) {
        let mut hasher = FxHasher::default();
        report.pod.uid().hash(&mut hasher);
        let at = hasher.finish() as usize % self.0.len();
        // Reporters live as long as the tasks that send.
        let _ = self.0[at].send(report).await;
    }
}

impl Report {
    /// A report.
    pub fn new(pod: Arc<PodInfo>, reason: &'static str, message: String, event: bool) -> Self {
        Self {
            pod,
            reason,
            message,
            event,
        }
    }
}

/// Writes reports, one after the other.
pub struct Reporter {
    pub client: Client,
    pub clock: Clock,
    pub recorder: SeriesRecorder,
    pub pods: Store<CachedPod>,
}

impl Reporter {
    /// Follows handleSchedulingFailure of pkg/scheduler/schedule_one.go.
    pub async fn report(&self, report: Report) {
        let pod = &report.pod;
        let known = self.pods.get(pod.namespace(), pod.name());
        let Some(known) = known.filter(|known| known.uid() == pod.uid()) else {
            return;
        };
        if report.event {
            self.recorder.event(SeriesEvent {
                regarding: &known.object_reference(),
                related: None,
                kind: WARNING,
                reason: "FailedScheduling",
                action: "Scheduling",
                note: report.message.clone(),
            });
        }
        let Some(patch) = self.condition_patch(&known, &report) else {
            return;
        };
        let pods = self.client.api::<Pod>().namespace(pod.namespace());
        if let Err(error) = pods.patch_status(pod.name(), &patch).await
            && !error.is_not_found()
        {
            tracing::warn!(pod = pod.key(), error = %client::chain(&error), "condition not written");
        }
    }

    /// The change that makes PodScheduled say what the report says; nothing if
    /// it does already.
    fn condition_patch(&self, pod: &CachedPod, report: &Report) -> Option<Patch> {
        let old = pod.refusal.as_deref();
        let generation = pod.generation;
        if old.is_some_and(|old| says(old, report) && old.generation == generation) {
            return None;
        }
        let since = match old {
            Some(old) => json!(old.since),
            None => json!(stdx::format_seconds(self.clock.wall())),
        };
        let mut condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "reason": report.reason,
            "message": report.message,
            "lastTransitionTime": since,
        });
        if let Some(generation) = generation {
            condition["observedGeneration"] = json!(generation);
        }
        Some(Patch::Strategic(json!({
            "metadata": {"uid": pod.uid()},
            "status": {"conditions": [condition]},
        })))
    }
}

fn says(refusal: &Refusal, report: &Report) -> bool {
    *refusal.reason == *report.reason && *refusal.message == *report.message
}
