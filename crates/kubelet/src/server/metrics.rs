//! `/metrics` and `/metrics/resource`: counters, and what pods use.
//!
//! The second is what a metrics server reads. Follows
//! pkg/kubelet/metrics/collectors/resource_metrics.go.

use std::fmt::Write;

use http::StatusCode;

use super::{Answer, Server, whole};
use crate::usage::{self, PodUsage, Usage};

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn answer(server: &Server) -> Answer {
    whole(StatusCode::OK, KIND, server.handle.metrics())
}

pub(super) async fn resource(server: &Server) -> Answer {
    let usage = usage::read(&server.handle.cx).await;
    whole(StatusCode::OK, KIND, render(&usage))
}

fn render(usage: &Usage) -> String {
    let mut text = String::new();
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let mut family = |name: &str, kind: &str, lines: Vec<(String, f64, i64)>| {
        let _ = writeln!(text, "# TYPE {name} {kind}");
        for (labels, value, millis) in lines {
            let _ = match millis {
                0 => writeln!(text, "{name}{labels} {value}"),
                millis => writeln!(text, "{name}{labels} {value} {millis}"),
            };
        }
    };
    let pods = || usage.pods.iter();
    let containers =
        || pods().flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)));
    let of_container = |pod: &PodUsage, name: &str| {
        format!(
            "{{container=\"{name}\",namespace=\"{}\",pod=\"{}\"}}",
            pod.namespace, pod.name
        )
    };
    let of_pod =
        |pod: &PodUsage| format!("{{namespace=\"{}\",pod=\"{}\"}}", pod.namespace, pod.name);
    family(
        "container_cpu_usage_seconds_total",
        "counter",
        containers()
            .map(|(pod, c)| {
                (
                    of_container(pod, &c.name),
                    seconds(c.stats.cpu_usage_ns),
                    c.stats.timestamp_ns / 1_000_000,
                )
            })
            .collect(),
    );
    family(
        "container_memory_working_set_bytes",
        "gauge",
        containers()
            .map(|(pod, c)| {
                (
                    of_container(pod, &c.name),
                    c.stats.memory_working_set_bytes as f64,
                    c.stats.timestamp_ns / 1_000_000,
                )
            })
            .collect(),
    );
    family(
        "container_start_time_seconds",
        "gauge",
        containers()
            .map(|(pod, c)| (of_container(pod, &c.name), c.started_ns as f64 / 1e9, 0))
            .collect(),
    );
    family(
        "node_cpu_usage_seconds_total",
        "counter",
        vec![(String::new(), seconds(usage.node_cpu_ns), usage.time_ms)],
    );
    family(
        "node_memory_working_set_bytes",
        "gauge",
        vec![(String::new(), usage.node_memory as f64, usage.time_ms)],
    );
    family(
        "pod_cpu_usage_seconds_total",
        "counter",
        pods()
            .map(|pod| {
                (
                    of_pod(pod),
                    seconds(pod.stats.cpu_usage_ns),
                    pod.stats.timestamp_ns / 1_000_000,
                )
            })
            .collect(),
    );
    family(
        "pod_memory_working_set_bytes",
        "gauge",
        pods()
            .map(|pod| {
                (
                    of_pod(pod),
                    pod.stats.memory_working_set_bytes as f64,
                    pod.stats.timestamp_ns / 1_000_000,
                )
            })
            .collect(),
    );
    let failed = f64::from(u8::from(usage.failed));
    family(
        "resource_scrape_error",
        "gauge",
        vec![(String::new(), failed, 0)],
    );
    text
}
