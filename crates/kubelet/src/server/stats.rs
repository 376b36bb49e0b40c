//! `/stats/summary`: what the node and its pods use.
//!
//! Follows the types of staging/src/k8s.io/kubelet/pkg/apis/stats/v1alpha1.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use container::status::Stats;
use http::StatusCode;
use serde_json::{Value, json};
use stdx::Timestamp;

use super::{Answer, Server};
use crate::doors::Disk;
use crate::usage::{self, PodUsage};

/// The reading before, by what was read: rates need two.
#[derive(Default)]
pub(super) struct Samples(Mutex<HashMap<String, (i64, u64, u64)>>);

impl Samples {
    /// CPU nanoseconds per second since the last reading that is not too fresh.
    fn rate(&self, key: &str, time_ns: i64, cpu_ns: u64) -> u64 {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, before, rate) = samples.get(key).copied().unwrap_or((0, cpu_ns, 0));
        let passed = u64::try_from(time_ns - then).unwrap_or(0);
        if then != 0 && passed < 1_000_000_000 {
            return rate;
        }
        let used = u128::from(cpu_ns.saturating_sub(before));
        let rate = if then == 0 {
            0
        } else {
            u64::try_from(used * 1_000_000_000 / u128::from(passed.max(1))).unwrap_or(0)
        };
        samples.insert(key.to_owned(), (time_ns, cpu_ns, rate));
        rate
    }

    /// Forgets what is not there any more.
    fn retain(&self, keys: &[String]) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.retain(|key, _| key.is_empty() || keys.contains(key));
    }
}

pub(super) async fn answer(server: &Server) -> Answer {
    let cx = &server.handle.cx;
    let usage = usage::read(cx).await;
    let time = cx.clock.wall();
    let now_ns = i64::try_from(time.as_nanosecond()).unwrap_or(0);
    let facts = cx.machine.facts();
    let disk = cx.machine.disk(&cx.config.root).unwrap_or_default();
    let image_disk = cx.machine.disk(&cx.config.image_root).unwrap_or_default();
    let node_rate = server.samples.rate("", now_ns, usage.node_cpu_ns);
    let shown = stdx::format_seconds(time);
    let mut keys = Vec::new();
    let pods: Vec<Value> = usage
        .pods
        .iter()
        .map(|pod| show_pod(server, pod, &mut keys))
        .collect();
    server.samples.retain(&keys);
    let summary = json!({
        "node": {
            "nodeName": cx.config.node_name,
            "startTime": shown,
            "cpu": {"time": shown, "usageNanoCores": node_rate, "usageCoreNanoSeconds": usage.node_cpu_ns},
            "memory": {
                "time": shown,
                "availableBytes": facts.memory_bytes.saturating_sub(usage.node_memory),
                "usageBytes": usage.node_memory, "workingSetBytes": usage.node_memory,
            },
            "fs": show_disk(&shown, disk),
            "runtime": {"imageFs": show_disk(&shown, image_disk)},
        },
        "pods": pods,
    });
    super::json(StatusCode::OK, &summary)
}

fn show_disk(time: &str, disk: Disk) -> Value {
    json!({
        "time": time, "availableBytes": disk.available_bytes, "capacityBytes": disk.capacity_bytes,
        "usedBytes": disk.capacity_bytes.saturating_sub(disk.available_bytes),
        "inodesFree": disk.inodes_free, "inodes": disk.inodes,
        "inodesUsed": disk.inodes.saturating_sub(disk.inodes_free),
    })
}

fn show_pod(server: &Server, pod: &PodUsage, keys: &mut Vec<String>) -> Value {
    let mut containers = Vec::new();
    for container in &pod.containers {
        let (cpu, memory) = show(server, &container.id, &container.stats, keys);
        let mut shown = json!({
            "name": container.name, "startTime": time(container.started_ns),
            "cpu": cpu, "memory": memory,
        });
        if let Some(layer) = container.stats.writable_layer {
            shown["rootfs"] = json!({
                "time": time(container.stats.timestamp_ns),
                "usedBytes": layer.used_bytes, "inodesUsed": layer.inodes_used,
            });
        }
        containers.push(shown);
    }
    let (cpu, memory) = show(server, &pod.uid, &pod.stats, keys);
    json!({
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "startTime": time(pod.created_ns), "containers": containers,
        "cpu": cpu, "memory": memory, "process_stats": {"process_count": pod.stats.pids},
    })
}

fn show(server: &Server, key: &str, stats: &Stats, keys: &mut Vec<String>) -> (Value, Value) {
    keys.push(key.to_owned());
    let rate = server
        .samples
        .rate(key, stats.timestamp_ns, stats.cpu_usage_ns);
    let time = time(stats.timestamp_ns);
    let cpu = json!({
        "time": time, "usageNanoCores": rate, "usageCoreNanoSeconds": stats.cpu_usage_ns,
    });
    let mut memory = json!({
        "time": time, "usageBytes": stats.memory_usage_bytes,
        "workingSetBytes": stats.memory_working_set_bytes, "rssBytes": stats.memory_rss_bytes,
        "pageFaults": stats.page_faults, "majorPageFaults": stats.major_page_faults,
    });
    if let Some(limit) = stats.memory_limit_bytes {
        memory["availableBytes"] = json!(limit.saturating_sub(stats.memory_working_set_bytes));
    }
    (cpu, memory)
}

fn time(nanos: i64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
    stdx::format_seconds(time)
}
