//! The node's status: what it is, what it has, how it does.
//!
//! Written when it changed, looked at every 10 s, and written every 5 min even
//! if it did not. Follows pkg/kubelet/kubelet_node_status.go and
//! nodestatus/setters.go.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use client::Patch;
use container::status::{SandboxFilter, SandboxState};
use serde_json::{Value, json};
use stdx::{Backoff, Instant, Timestamp};
use tokio::sync::Notify;
use typed::api::core::v1::{
    DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeFeatures,
    NodeRuntimeHandler, NodeRuntimeHandlerFeatures, NodeStatus, NodeSwapStatus, NodeSystemInfo,
};
use typed::{Time, Wire};

use super::{room, wire};
use crate::config::Config;
use crate::context::Context;
use crate::doors::{Kind, MachineFacts};
use crate::events::node_reference;
use crate::eviction::Pressure;
use crate::status::manager::whole_seconds;

const LOOK: Duration = Duration::from_secs(10);
const REPORT: Duration = Duration::from_secs(300);
const IMAGES_MAX: usize = 50;

/// A condition before it has times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    kind: &'static str,
    is_true: bool,
    reason: &'static str,
    message: String,
}

/// The verdicts on the node, from what is short and why pods cannot run.
pub fn verdicts(pressure: Pressure, unready: &[String]) -> Vec<Verdict> {
    let verdict = |kind, is_true, words: [&'static str; 4]| {
        let [bad_reason, bad, good_reason, good] = words;
        let (reason, message) = if is_true {
            (bad_reason, bad)
        } else {
            (good_reason, good)
        };
        Verdict {
            kind,
            is_true,
            reason,
            message: message.to_owned(),
        }
    };
    let memory = [
        "KubeletHasInsufficientMemory",
        "kubelet has insufficient memory available",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ];
    let disk = [
        "KubeletHasDiskPressure",
        "kubelet has disk pressure",
        "KubeletHasNoDiskPressure",
        "kubelet has no disk pressure",
    ];
    let pids = [
        "KubeletHasInsufficientPID",
        "kubelet has insufficient PID available",
        "KubeletHasSufficientPID",
        "kubelet has sufficient PID available",
    ];
    let ready = match unready {
        [] => "kubelet is posting ready status".to_owned(),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    vec![
        verdict("MemoryPressure", pressure.memory, memory),
        verdict("DiskPressure", pressure.disk, disk),
        verdict("PIDPressure", pressure.pids, pids),
        Verdict {
            kind: "Ready",
            is_true: unready.is_empty(),
            reason: if unready.is_empty() {
                "KubeletReady"
            } else {
                "KubeletNotReady"
            },
            message: ready,
        },
    ]
}

/// Conditions with their times; `old` says since when they are so.
pub fn conditions(
    verdicts: &[Verdict],
    old: &[NodeCondition],
    now: Timestamp,
) -> Vec<NodeCondition> {
    let condition = |verdict: &Verdict| {
        let status = if verdict.is_true { "True" } else { "False" };
        let before = old
            .iter()
            .find(|condition| condition.type_ == verdict.kind && condition.status == status);
        let since = before.and_then(|condition| condition.last_transition_time.clone());
        NodeCondition {
            type_: verdict.kind.to_owned(),
            status: status.to_owned(),
            reason: Some(verdict.reason.to_owned()),
            message: Some(verdict.message.clone()),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: Some(since.unwrap_or(Time(now))),
        }
    };
    verdicts.iter().map(condition).collect()
}

/// What does not change from look to look.
pub fn fixed(config: &Config, machine: &MachineFacts, runtime: &str) -> NodeStatus {
    let mut addresses: Vec<NodeAddress> = config
        .node_ips
        .iter()
        .map(|ip| address("InternalIP", ip))
        .collect();
    addresses.push(address("Hostname", &config.hostname));
    NodeStatus {
        addresses: Some(addresses),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint {
                port: i32::from(config.port),
            }),
        }),
        features: Some(NodeFeatures {
            supplemental_groups_policy: Some(true),
        }),
        node_info: Some(NodeSystemInfo {
            architecture: machine.architecture.clone(),
            boot_id: machine.boot_id.clone(),
            container_runtime_version: runtime.to_owned(),
            kernel_version: machine.kernel_version.clone(),
            kube_proxy_version: String::new(),
            kubelet_version: config.version.clone(),
            machine_id: machine.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: machine.os_image.clone(),
            running_in_user_namespace: None,
            swap: Some(NodeSwapStatus {
                capacity: i64::try_from(machine.swap_bytes).ok().filter(|s| *s > 0),
            })
            .filter(|swap| swap.capacity.is_some()),
            system_uuid: machine.system_uuid.clone(),
        }),
        runtime_handlers: Some(vec![NodeRuntimeHandler {
            name: Some(String::new()),
            features: Some(NodeRuntimeHandlerFeatures {
                recursive_read_only_mounts: Some(true),
                user_namespaces: Some(false),
            }),
        }]),
        ..NodeStatus::default()
    }
}

fn address(kind: &str, address: &str) -> NodeAddress {
    NodeAddress {
        type_: kind.to_owned(),
        address: address.to_owned(),
    }
}

/// Keeps the node's status true.
pub struct StatusLoop {
    cx: Arc<Context>,
    fixed: NodeStatus,
    machine: MachineFacts,
    wake: Arc<Notify>,
    written: Option<Instant>,
    last: Vec<Verdict>,
}

impl StatusLoop {
    /// A loop that looks at once when it is woken.
    pub fn new(cx: Arc<Context>, runtime: &str, wake: Arc<Notify>) -> Self {
        let machine = cx.machine.facts();
        let fixed = fixed(&cx.config, &machine, runtime);
        Self {
            cx,
            fixed,
            machine,
            wake,
            written: None,
            last: Vec::new(),
        }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(10), LOOK);
        loop {
            if let Some(node) = self.cx.node()
                && let Err(error) = self.look(&node).await
            {
                // At first the node's other writers come in between.
                if backoff.failures() > 3 {
                    let error = error.message();
                    tracing::warn!(error, "cannot write the node's status");
                }
                self.cx.clock.sleep(backoff.next(&self.cx.rng)).await;
                continue;
            }
            backoff.reset();
            tokio::select! {
                () = self.wake.notified() => {}
                () = self.cx.clock.sleep(LOOK) => {}
            }
        }
    }

    /// The status as it is now.
    pub async fn status(&mut self, old: &[NodeCondition]) -> NodeStatus {
        let cx = &self.cx;
        let disk = cx.machine.disk(&cx.config.root).unwrap_or_default();
        let room = room(&cx.config, &self.machine, disk);
        *cx.allocatable
            .write()
            .unwrap_or_else(PoisonError::into_inner) = room.allocatable.clone();
        let mut unready = Vec::new();
        match cx.runtime.status().await {
            Ok(status) if status.runtime_ready => {}
            Ok(status) => unready.push(format!(
                "container runtime status check may not have completed yet: {}",
                status.message
            )),
            Err(error) => unready.push(format!("container runtime is down: {}", error.chain())),
        }
        if let Some(why) = cx.network.unready() {
            unready.push(format!(
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:{why}"
            ));
        }
        let verdicts = verdicts(cx.pressure(), &unready);
        let mut images = cx.images.list().await;
        images.sort_by_key(|image| std::cmp::Reverse(image.size_bytes));
        images.truncate(IMAGES_MAX);
        let now = whole_seconds(cx.clock.wall());
        let status = NodeStatus {
            capacity: Some(wire(&room.capacity)),
            allocatable: Some(wire(&room.allocatable)),
            conditions: Some(conditions(&verdicts, old, now)),
            images: Some(images).filter(|images| !images.is_empty()),
            ..self.fixed.clone()
        };
        self.tell(verdicts);
        status
    }

    async fn look(&mut self, node: &Node) -> Result<(), client::Error> {
        self.configure_network(node).await;
        let known = node.status.clone().unwrap_or_default();
        let old = known.conditions.clone().unwrap_or_default();
        let new = self.status(&old).await;
        let now = self.cx.clock.now();
        let due = self.written.is_none_or(|written| now - written >= REPORT);
        let patch = patch(&known, &new);
        if patch.is_none() && !due {
            return Ok(());
        }
        self.check_reboot(&known);
        let status = patch.unwrap_or_else(|| heartbeat(&new));
        let api = self.cx.client.api::<Node>();
        let document = Patch::Strategic(json!({"status": status}));
        api.patch_status(&self.cx.config.node_name, &document)
            .await?;
        self.written = Some(now);
        Ok(())
    }

    async fn configure_network(&self, node: &Node) {
        let spec = node.spec.clone().unwrap_or_default();
        let cidrs = spec
            .pod_cidrs
            .or_else(|| spec.pod_cidr.map(|cidr| vec![cidr]))
            .unwrap_or_default();
        if cidrs.is_empty() {
            return;
        }
        if self.cx.network.unready().is_none() {
            return;
        }
        let live = match self
            .cx
            .runtime
            .list_sandboxes(&SandboxFilter::default())
            .await
        {
            Ok(sandboxes) => sandboxes,
            Err(error) => {
                tracing::warn!(error = error.chain(), "cannot list sandboxes");
                return;
            }
        };
        let connected = live
            .into_iter()
            .filter(|sandbox| sandbox.state == SandboxState::Ready && sandbox.netns.is_some());
        let live: Vec<String> = connected.map(|sandbox| sandbox.uid).collect();
        match self.cx.network.configure(&cidrs, &live).await {
            Ok(()) => self.cx.wakes.wake_all(),
            Err(error) => tracing::warn!(%error, "cannot set up the pod network"),
        }
    }

    fn check_reboot(&self, known: &NodeStatus) {
        let before = known.node_info.as_ref().map(|info| info.boot_id.as_str());
        let now = &self.machine.boot_id;
        if let Some(before) = before.filter(|before| !before.is_empty() && before != now) {
            tracing::debug!(before, "the machine was restarted");
            let name = &self.cx.config.node_name;
            let text = format!("Node {name} has been rebooted, boot id: {now}");
            self.event(Kind::Warning, "Rebooted", text);
        }
    }

    /// Tells of verdicts that changed.
    fn tell(&mut self, verdicts: Vec<Verdict>) {
        let name = &self.cx.config.node_name;
        for verdict in &verdicts {
            let before = self.last.iter().find(|known| known.kind == verdict.kind);
            if before.is_some_and(|before| before.is_true == verdict.is_true) {
                continue;
            }
            let reason = match (verdict.kind, verdict.is_true) {
                ("Ready", true) => "NodeReady",
                ("Ready", false) => "NodeNotReady",
                ("MemoryPressure", true) => "NodeHasInsufficientMemory",
                ("MemoryPressure", false) => "NodeHasSufficientMemory",
                ("DiskPressure", true) => "NodeHasDiskPressure",
                ("DiskPressure", false) => "NodeHasNoDiskPressure",
                (_, true) => "NodeHasInsufficientPID",
                (_, false) => "NodeHasSufficientPID",
            };
            let text = format!("Node {name} status is now: {reason}");
            self.event(Kind::Normal, reason, text);
        }
        self.last = verdicts;
    }

    fn event(&self, kind: Kind, reason: &str, text: String) {
        let object = node_reference(&self.cx.config.node_name);
        self.cx.events.event(&object, kind, reason, text);
    }
}

const FIELDS: [&str; 8] = [
    "addresses",
    "allocatable",
    "capacity",
    "daemonEndpoints",
    "features",
    "images",
    "nodeInfo",
    "runtimeHandlers",
];

/// What to write, if anything but the time changed. Conditions are written all
/// together, as each carries the time of the report.
fn patch(old: &NodeStatus, new: &NodeStatus) -> Option<Value> {
    let (old_tree, new_tree) = (tree(old), tree(new));
    let mut changes = serde_json::Map::new();
    for field in FIELDS {
        let (before, after) = (old_tree.get(field), new_tree.get(field));
        if before == after {
            continue;
        }
        let value = match (field, after) {
            // Merged by type: addresses that are gone would stay.
            ("addresses", Some(Value::Array(items))) if before.is_some() => {
                let mut whole = vec![json!({"$patch": "replace"})];
                whole.extend(items.iter().cloned());
                Value::Array(whole)
            }
            (_, after) => after.cloned().unwrap_or(Value::Null),
        };
        changes.insert(field.to_owned(), value);
    }
    let without_time = |status: &NodeStatus| -> Vec<NodeCondition> {
        let conditions = status.conditions.iter().flatten().cloned();
        conditions
            .map(|condition| NodeCondition {
                last_heartbeat_time: None,
                ..condition
            })
            .collect()
    };
    let known = without_time(old);
    let same = without_time(new).iter().all(|c| known.contains(c));
    if !same || !changes.is_empty() {
        changes.insert("conditions".to_owned(), new_tree["conditions"].clone());
        return Some(Value::Object(changes));
    }
    None
}

fn heartbeat(new: &NodeStatus) -> Value {
    json!({"conditions": tree(new)["conditions"]})
}

fn tree(status: &NodeStatus) -> Value {
    // What was just written is valid JSON.
    serde_json::from_slice(&status.encode()).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_upstreams_words() {
        let lines: Vec<String> = verdicts(Pressure::default(), &["a".into(), "b".into()])
            .iter()
            .map(|v| format!("{} {} {}: {}", v.kind, v.is_true, v.reason, v.message))
            .collect();
        expect_test::expect![[r#"
            MemoryPressure false KubeletHasSufficientMemory: kubelet has sufficient memory available
            DiskPressure false KubeletHasNoDiskPressure: kubelet has no disk pressure
            PIDPressure false KubeletHasSufficientPID: kubelet has sufficient PID available
            Ready false KubeletNotReady: [a, b]"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_new_time_alone_is_no_change() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let verdicts = verdicts(Pressure::default(), &[]);
        let old = NodeStatus {
            conditions: Some(conditions(&verdicts, &[], at(1))),
            ..NodeStatus::default()
        };
        let known = old.conditions.clone().unwrap_or_default();
        let new = NodeStatus {
            conditions: Some(conditions(&verdicts, &known, at(60))),
            ..NodeStatus::default()
        };
        assert_eq!(patch(&old, &new), None);
        let since = &new.conditions.as_ref().unwrap()[0].last_transition_time;
        assert_eq!(since, &Some(Time(at(1))));
    }
}
