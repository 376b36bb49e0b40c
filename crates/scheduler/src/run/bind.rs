//! Bindings: what was decided, asked of the API server.

use std::sync::Arc;

use client::Client;
use client::events::{NORMAL, SeriesEvent, SeriesRecorder};
use typed::api::core::v1::Pod;

use super::Core;
use super::pods::reference;
use super::report::{Report, Reports, SCHEDULER_ERROR};
use crate::pod::PodInfo;

/// A pod and the node that it shall have.
pub struct Binding {
    pub pod: Arc<PodInfo>,
    pub node: Arc<str>,
}

/// Carries bindings out, one after the other.
pub struct Binder {
    pub client: Client,
    pub core: Arc<Core>,
    pub recorder: SeriesRecorder,
    pub reports: Reports,
}

impl Binder {
    /// Binds a pod, or takes the decision back.
    pub async fn bind(&self, binding: Binding) {
        let Binding { pod, node } = binding;
        let pods = self.client.api::<Pod>().namespace(pod.namespace());
        match pods.bind(pod.name(), pod.uid(), &node).await {
            Ok(()) => {
                self.core.lock().bind_confirmed(pod.uid());
                self.recorder.event(SeriesEvent {
                    regarding: &reference(pod.namespace(), pod.name(), pod.uid()),
                    related: None,
                    kind: NORMAL,
                    reason: "Scheduled",
                    action: "Binding",
                    note: format!("Successfully assigned {} to {node}", pod.key()),
                });
            }
            Err(error) => {
                tracing::warn!(pod = pod.key(), %node, error = %client::chain(&error), "binding failed");
                self.core.tell(|scheduler| scheduler.bind_failed(pod.uid()));
                if !error.is_not_found() {
                    let message = format!(
                        "binding rejected: running Bind plugin \"DefaultBinder\": {}",
                        error.message()
                    );
                    self.reports
                        .send(Report::new(pod, SCHEDULER_ERROR, message, true))
                        .await;
                }
            }
        }
    }
}
