//! Counters under upstream's names.
//!
//! Follows pkg/kubelet/metrics/metrics.go and prober metrics.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::probes;

/// The counters of one kubelet. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics {
    counters: Arc<Mutex<BTreeMap<(&'static str, String), u64>>>,
    gauges: Arc<Mutex<BTreeMap<(&'static str, String), f64>>>,
}

/// Started pods.
pub const STARTED_PODS: &str = "kubelet_started_pods_total";
/// Pods whose sandbox could not be made.
pub const STARTED_PODS_ERRORS: &str = "kubelet_started_pods_errors_total";
/// Started containers.
pub const STARTED_CONTAINERS: &str = "kubelet_started_containers_total";
/// Containers that could not be started.
pub const STARTED_CONTAINERS_ERRORS: &str = "kubelet_started_containers_errors_total";
/// Attempts of probes.
pub const PROBES: &str = "prober_probe_total";
/// Pods that have a worker.
pub const RUNNING_PODS: &str = "kubelet_running_pods";
/// Containers by state.
pub const RUNNING_CONTAINERS: &str = "kubelet_running_containers";
/// Looks at pods.
pub const POD_SYNCS: &str = "kubelet_pod_worker_syncs_total";
/// Requests at the HTTPS door.
pub const HTTP_REQUESTS: &str = "kubelet_http_requests_total";

impl Metrics {
    /// Counts one; labels as `name="value"`, separated by commas.
    pub fn count(&self, name: &'static str, labels: String) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        *counters.entry((name, labels)).or_default() += 1;
    }

    /// Sets a value that goes up and down.
    pub fn set(&self, name: &'static str, labels: String, value: f64) {
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        gauges.insert((name, labels), value);
    }

    /// Counts an attempt of a probe.
    pub fn probe(&self, kind: probes::Kind, result: &str) {
        self.count(
            PROBES,
            format!("probe_type=\"{}\",result=\"{result}\"", kind.as_str()),
        );
    }

    /// The text form of Prometheus.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        render(&mut text, "counter", counters.iter());
        drop(counters);
        let gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        render(&mut text, "gauge", gauges.iter());
        text
    }
}

fn render<'a, V: std::fmt::Display + 'a>(
    text: &mut String,
    kind: &str,
    values: impl Iterator<Item = (&'a (&'static str, String), &'a V)>,
) {
    let mut last = "";
    for ((name, labels), value) in values {
        if *name != last {
            let _ = writeln!(text, "# TYPE {name} {kind}");
            last = name;
        }
        let _ = match labels.as_str() {
            "" => writeln!(text, "{name} {value}"),
            labels => writeln!(text, "{name}{{{labels}}} {value}"),
        };
    }
}
