//! From a pod to the sandbox that the runtime makes.
//!
//! Follows pkg/kubelet/kuberuntime/kuberuntime_sandbox.go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use container::config::{DnsConfig, NamespaceMode, PortMapping, SandboxConfig, SandboxNamespaces};
use typed::Typed;
use typed::api::core::v1::Pod;

use crate::config::Config;
use crate::hosts::HostName;
use crate::labels::{sandbox_annotations, sandbox_labels};
use crate::pod::{containers, is_host_network, spec};
use crate::qos::qos;
use crate::resources::pod_cgroup_limits;

/// What is not in the pod itself.
pub struct SandboxParts {
    /// Sandboxes before this one.
    pub attempt: u32,
    /// The pod's name for itself.
    pub host_name: HostName,
    /// Its resolver.
    pub dns: DnsConfig,
    /// Where its logs are written.
    pub log_directory: PathBuf,
    /// The handler that its RuntimeClass names.
    pub runtime_handler: String,
}

/// The sandbox of a pod.
pub fn sandbox_config(pod: &Pod, config: &Config, parts: SandboxParts) -> SandboxConfig {
    let host_network = is_host_network(pod);
    SandboxConfig {
        name: pod.name().to_owned(),
        namespace: pod.namespace().to_owned(),
        uid: pod.uid().to_owned(),
        attempt: parts.attempt,
        hostname: if host_network {
            String::new()
        } else {
            parts.host_name.kernel
        },
        log_directory: Some(parts.log_directory),
        dns: Some(parts.dns),
        port_mappings: port_mappings(pod),
        labels: sandbox_labels(pod),
        annotations: sandbox_annotations(pod),
        cgroup_parent: cgroup(pod, config),
        namespaces: namespaces(pod),
        sysctls: sysctls(pod),
        resources: Some(pod_cgroup_limits(pod, config.pod_pids_limit)),
        privileged: is_privileged(pod),
        runtime_handler: parts.runtime_handler,
    }
}

/// The pod's cgroup.
pub fn cgroup(pod: &Pod, config: &Config) -> String {
    let above = config.kubepods();
    match qos(pod).cgroup() {
        Some(class) => format!("{above}/{class}/pod{}", pod.uid()),
        None => format!("{above}/pod{}", pod.uid()),
    }
}

/// Ports of the node that lead to the pod.
pub fn port_mappings(pod: &Pod) -> Vec<PortMapping> {
    if is_host_network(pod) {
        return Vec::new();
    }
    let mut mappings = Vec::new();
    for (_, container) in containers(pod) {
        for port in container.ports.iter().flatten() {
            let number = |port: i32| u16::try_from(port).unwrap_or(0);
            let host_port = number(port.host_port.unwrap_or(0));
            if host_port > 0 {
                mappings.push(PortMapping {
                    protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                    container_port: number(port.container_port),
                    host_port,
                    host_ip: port.host_ip.clone().unwrap_or_default(),
                });
            }
        }
    }
    mappings
}

fn namespaces(pod: &Pod) -> SandboxNamespaces {
    let spec = spec(pod);
    let node_if = |host: Option<bool>| match host {
        Some(true) => NamespaceMode::Node,
        _ => NamespaceMode::Pod,
    };
    SandboxNamespaces {
        network: node_if(spec.host_network),
        pid: match (spec.host_pid, spec.share_process_namespace) {
            (Some(true), _) => NamespaceMode::Node,
            (_, Some(true)) => NamespaceMode::Pod,
            _ => NamespaceMode::Container,
        },
        ipc: node_if(spec.host_ipc),
        netns: None,
    }
}

fn sysctls(pod: &Pod) -> BTreeMap<String, String> {
    let context = spec(pod).security_context.as_ref();
    let sysctls = context.and_then(|context| context.sysctls.as_ref());
    sysctls
        .into_iter()
        .flatten()
        .map(|sysctl| (sysctl.name.replace('/', "."), sysctl.value.clone()))
        .collect()
}

fn is_privileged(pod: &Pod) -> bool {
    containers(pod).any(|(_, container)| {
        container
            .security_context
            .as_ref()
            .is_some_and(|context| context.privileged == Some(true))
    })
}
