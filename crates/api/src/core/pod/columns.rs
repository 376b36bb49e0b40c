//! What `kubectl get pods` prints: the one word that says how a pod is.
//! Follows pkg/printers/internalversion/printers.go (printPod).

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::object::Object as _;
use meta::{Value, time, value};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Ready", "string"),
    Column::new("Status", "string"),
    Column::new("Restarts", "string"),
    AGE,
    Column::wide("IP", "string"),
    Column::wide("Node", "string"),
    Column::wide("Nominated Node", "string"),
    Column::wide("Readiness Gates", "string"),
];

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(pod);
    let ip = pod.items_at(&["status", "podIPs"]).first();
    let ip = ip.map(|ip| ip.str_at(&["ip"])).filter(|ip| !ip.is_empty());
    vec![
        print::name(pod),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.as_str().into(),
        summary.restarts_text(now).into(),
        print::age(pod, now),
        ip.unwrap_or("<none>").into(),
        print::text_or(pod, &["spec", "nodeName"], "<none>"),
        print::text_or(pod, &["status", "nominatedNodeName"], "<none>"),
        readiness_gates(pod).into(),
    ]
}

/// A pod that ran to its end is told as completed, so that clients can dim it.
pub(super) fn row_conditions(pod: &Value) -> Vec<Value> {
    let phase = pod.str_at(&["status", "phase"]);
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return Vec::new(),
    };
    vec![value!({"type": "Completed", "status": "True", "reason": phase, "message": message})]
}

/// What the columns say about a pod's containers together.
#[derive(Default)]
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts,
}

/// How often containers were restarted, and when the last one ended.
#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += status.i64_at(&["restartCount"]).unwrap_or_default();
        let finished = time::parse(status.str_at(&["lastState", "terminated", "finishedAt"]));
        self.last = self.last.max(finished);
    }
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let mut summary = Summary {
            total: pod.items_at(&["spec", "containers"]).len() + sidecars(pod).count(),
            reason: reason_of_pod(pod),
            ..Summary::default()
        };
        let sidecar_restarts = summary.read_init_containers(pod);
        if let Some(restarts) = sidecar_restarts {
            summary.restarts = restarts;
            summary.read_containers(pod);
        }
        summary.read_deletion(pod);
        summary
    }

    /// Reads the init containers. `None` while they are at work, else the
    /// restarts of those that go on beside the containers.
    fn read_init_containers(&mut self, pod: &Value) -> Option<Restarts> {
        let mut of_sidecars = Restarts::default();
        let mut initializing = false;
        for (i, status) in pod
            .items_at(&["status", "initContainerStatuses"])
            .iter()
            .enumerate()
        {
            self.restarts.add(status);
            let sidecar = sidecars(pod).any(|c| c == status.str_at(&["name"]));
            if sidecar {
                of_sidecars.add(status);
            }
            if status.i64_at(&["state", "terminated", "exitCode"]) == Some(0) {
                continue;
            }
            if sidecar && status.is_true_at(&["started"]) {
                self.ready += usize::from(status.is_true_at(&["ready"]));
                continue;
            }
            self.reason = init_reason(pod, status, i);
            initializing = true;
            break;
        }
        (!initializing || has_condition(pod, "Initialized")).then_some(of_sidecars)
    }

    fn read_containers(&mut self, pod: &Value) {
        let mut running = false;
        for status in pod.items_at(&["status", "containerStatuses"]).iter().rev() {
            self.restarts.add(status);
            let waiting = status.str_at(&["state", "waiting", "reason"]);
            if !waiting.is_empty() {
                self.reason = waiting.into();
            } else if let Some(terminated) = state(status, "terminated") {
                self.reason = ended(terminated);
            } else if status.is_true_at(&["ready"]) && state(status, "running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            self.reason = match has_condition(pod, "Ready") {
                true => "Running".into(),
                false => "NotReady".into(),
            };
        }
    }

    fn read_deletion(&mut self, pod: &Value) {
        if !pod.is_deleting() {
            return;
        }
        let phase = pod.str_at(&["status", "phase"]);
        if pod.str_at(&["status", "reason"]) == "NodeLost" {
            self.reason = "Unknown".into();
        } else if !matches!(phase, "Succeeded" | "Failed") {
            self.reason = "Terminating".into();
        }
    }

    fn restarts_text(&self, now: Timestamp) -> String {
        match self.restarts {
            Restarts {
                count,
                last: Some(at),
            } if count != 0 => {
                let ago = print::human_duration(now.as_second() - at.as_second());
                format!("{count} ({ago} ago)")
            }
            Restarts { count, .. } => count.to_string(),
        }
    }
}

fn reason_of_pod(pod: &Value) -> String {
    let gated = |c: &Value| {
        c.str_at(&["type"]) == "PodScheduled" && c.str_at(&["reason"]) == "SchedulingGated"
    };
    if pod.items_at(&["status", "conditions"]).iter().any(gated) {
        return "SchedulingGated".into();
    }
    match pod.str_at(&["status", "reason"]) {
        "" => pod.str_at(&["status", "phase"]).into(),
        reason => reason.into(),
    }
}

fn init_reason(pod: &Value, status: &Value, i: usize) -> String {
    if let Some(terminated) = state(status, "terminated") {
        return format!("Init:{}", ended(terminated));
    }
    match status.str_at(&["state", "waiting", "reason"]) {
        "" | "PodInitializing" => {
            let all = pod.items_at(&["spec", "initContainers"]).len();
            format!("Init:{i}/{all}")
        }
        reason => format!("Init:{reason}"),
    }
}

/// Why a container ended: its reason, or what it ended with.
fn ended(terminated: &Value) -> String {
    match terminated.str_at(&["reason"]) {
        "" => match terminated.i64_at(&["signal"]).unwrap_or_default() {
            0 => format!(
                "ExitCode:{}",
                terminated.i64_at(&["exitCode"]).unwrap_or_default()
            ),
            signal => format!("Signal:{signal}"),
        },
        reason => reason.into(),
    }
}

/// The names of the init containers that go on running.
fn sidecars(pod: &Value) -> impl Iterator<Item = &str> {
    pod.items_at(&["spec", "initContainers"])
        .iter()
        .filter(|c| c.str_at(&["restartPolicy"]) == "Always")
        .map(|c| c.str_at(&["name"]))
}

fn state<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status.at(&["state", name]).filter(|s| !s.is_null())
}

fn has_condition(pod: &Value, ty: &str) -> bool {
    let holds = |c: &Value| c.str_at(&["type"]) == ty && c.str_at(&["status"]) == "True";
    pod.items_at(&["status", "conditions"]).iter().any(holds)
}

fn readiness_gates(pod: &Value) -> String {
    let gates = pod.items_at(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".into();
    }
    let open = gates
        .iter()
        .filter(|g| has_condition(pod, g.str_at(&["conditionType"])));
    format!("{}/{}", open.count(), gates.len())
}
