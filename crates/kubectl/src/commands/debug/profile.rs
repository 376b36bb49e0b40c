//! Profiles: what a debugging container may do, and what of a pod its copy keeps.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/debug/profiles.go.

use super::spec::{any_mut, find_mut};
use crate::error::{Result, said};
use clap::ArgAction;
use meta::{Value, value};

/// What a copy keeps of its original.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Keep {
    /// If true, keep the original pod annotations (with '--copy-to').
    #[arg(long)]
    keep_annotations: bool,
    /// Run the init containers for the pod (with '--copy-to').
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    keep_init_containers: bool,
    /// If true, keep the original pod labels (with '--copy-to').
    #[arg(long)]
    keep_labels: bool,
    /// If true, keep the original pod liveness probes (with '--copy-to').
    #[arg(long)]
    keep_liveness: bool,
    /// If true, keep the original pod readiness probes (with '--copy-to').
    #[arg(long)]
    keep_readiness: bool,
    /// If true, keep the original startup probes (with '--copy-to').
    #[arg(long)]
    keep_startup: bool,
}

/// How an object is debugged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// By a container that joins the pod.
    Ephemeral,
    /// By a copy of the pod.
    Copy,
    /// By a pod that sees its node.
    Node,
}

/// A profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// As before there were profiles.
    Legacy,
    /// Reasonable for most.
    General,
    /// Within the baseline of pod security.
    Baseline,
    /// Within what pod security calls restricted.
    Restricted,
    /// To debug the network.
    Netadmin,
    /// With all privileges.
    Sysadmin,
}

impl Profile {
    pub(super) fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "legacy" => Profile::Legacy,
            "general" => Profile::General,
            "baseline" => Profile::Baseline,
            "restricted" => Profile::Restricted,
            "netadmin" => Profile::Netadmin,
            "sysadmin" => Profile::Sysadmin,
            other => return said(format!("unknown profile: {other}")),
        })
    }

    /// Changes a pod and its debugging container.
    pub(super) fn apply(self, pod: &mut Value, container: &str, style: Style, keep: Keep) {
        self.grant(pod, container, style);
        match style {
            Style::Copy if self == Profile::Legacy => {
                pod.remove_at(&["metadata", "labels"]);
            }
            Style::Copy => {
                strip(pod, keep);
                if pod.at(&["spec", "shareProcessNamespace"]).is_none() {
                    pod.set_at(&["spec", "shareProcessNamespace"], true);
                }
            }
            Style::Node => self.see_the_node(pod, container),
            Style::Ephemeral => {}
        }
    }

    fn grant(self, pod: &mut Value, name: &str, style: Style) {
        let Some(container) = any_mut(pod, name) else {
            return;
        };
        match self {
            Profile::General if style == Style::Node => {
                container.remove_at(&["securityContext"]);
            }
            Profile::Legacy => {}
            Profile::General => add_capability(container, "SYS_PTRACE"),
            Profile::Baseline => {
                container.remove_at(&["securityContext"]);
            }
            Profile::Restricted => container.set_at(
                &["securityContext"],
                value!({
                    "runAsNonRoot": true, "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"}
                }),
            ),
            Profile::Netadmin => {
                add_capability(container, "NET_ADMIN");
                add_capability(container, "NET_RAW");
            }
            Profile::Sysadmin => container.set_at(&["securityContext", "privileged"], true),
        }
    }

    fn see_the_node(self, pod: &mut Value, container: &str) {
        let sees = |profiles: &[Profile]| profiles.contains(&self);
        if sees(&[Profile::Legacy, Profile::General, Profile::Sysadmin]) {
            mount_root(pod, container);
        }
        if !sees(&[Profile::Baseline, Profile::Restricted]) {
            for namespace in ["hostNetwork", "hostPID", "hostIPC"] {
                pod.set_at(&["spec", namespace], true);
            }
        }
    }
}

fn strip(pod: &mut Value, keep: Keep) {
    if !keep.keep_labels {
        pod.remove_at(&["metadata", "labels"]);
    }
    if !keep.keep_annotations {
        pod.remove_at(&["metadata", "annotations"]);
    }
    if !keep.keep_init_containers {
        pod.remove_at(&["spec", "initContainers"]);
    }
    let probes = [
        ("livenessProbe", keep.keep_liveness),
        ("readinessProbe", keep.keep_readiness),
        ("startupProbe", keep.keep_startup),
    ];
    let containers = pod.at_mut(&["spec", "containers"]);
    for container in containers
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        for (probe, _) in probes.iter().filter(|(_, kept)| !kept) {
            container.remove_at(&[probe]);
        }
    }
}

/// The node's whole file system, at /host.
fn mount_root(pod: &mut Value, container: &str) {
    push(
        pod,
        &["spec", "volumes"],
        value!({"name": "host-root", "hostPath": {"path": "/"}}),
    );
    if let Some(container) = find_mut(pod, &["containers"], container) {
        push(
            container,
            &["volumeMounts"],
            value!({"mountPath": "/host", "name": "host-root"}),
        );
    }
}

fn add_capability(container: &mut Value, capability: &str) {
    push(
        container,
        &["securityContext", "capabilities", "add"],
        capability,
    );
}

/// Adds an item to a list that may not be there yet.
pub(super) fn push(tree: &mut Value, path: &[&str], item: impl Into<Value>) {
    let mut items = tree.items_at(path).to_vec();
    items.push(item.into());
    tree.set_at(path, items);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Keep = Keep {
        keep_annotations: false,
        keep_init_containers: true,
        keep_labels: false,
        keep_liveness: false,
        keep_readiness: false,
        keep_startup: false,
    };

    fn applied(profile: &str, style: Style, keep: Keep) -> String {
        let list = match style {
            Style::Ephemeral => "ephemeralContainers",
            _ => "containers",
        };
        let mut pod = value!({
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {(list): [{"name": "x", "livenessProbe": {}}]}
        });
        let profile = Profile::parse(profile).expect("a profile");
        profile.apply(&mut pod, "x", style, keep);
        pod.to_json()
    }

    #[test]
    fn containers_may_do_what_the_profile_grants() {
        use Style::{Copy, Ephemeral, Node};
        for (profile, style, expected) in [
            (
                "legacy",
                Ephemeral,
                r#""ephemeralContainers":[{"livenessProbe":{},"name":"x"}]"#,
            ),
            (
                "general",
                Ephemeral,
                r#""securityContext":{"capabilities":{"add":["SYS_PTRACE"]}}"#,
            ),
            (
                "general",
                Node,
                r#""volumeMounts":[{"mountPath":"/host","name":"host-root"}]"#,
            ),
            (
                "general",
                Node,
                r#""hostIPC":true,"hostNetwork":true,"hostPID":true"#,
            ),
            (
                "netadmin",
                Copy,
                r#""capabilities":{"add":["NET_ADMIN","NET_RAW"]}"#,
            ),
            (
                "sysadmin",
                Ephemeral,
                r#""securityContext":{"privileged":true}"#,
            ),
            (
                "restricted",
                Node,
                r#"{"spec":{"containers":[{"livenessProbe":{},"name":"x","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}}]}}"#,
            ),
            (
                "baseline",
                Copy,
                r#"{"metadata":{},"spec":{"containers":[{"name":"x"}],"shareProcessNamespace":true}}"#,
            ),
            ("legacy", Copy, r#""annotations":{"c":"d"}"#),
        ] {
            let pod = applied(profile, style, NONE);
            let pod_alone = pod.replace(
                r#""metadata":{"annotations":{"c":"d"},"labels":{"a":"b"}},"#,
                "",
            );
            assert!(
                pod.contains(expected) || pod_alone == expected,
                "{profile} {style:?}: {pod}"
            );
        }
        let keep = Keep {
            keep_labels: true,
            keep_liveness: true,
            ..NONE
        };
        let kept = applied("general", Copy, keep);
        assert!(
            kept.contains("livenessProbe") && kept.contains("labels"),
            "{kept}"
        );
        assert!(!kept.contains("annotations"), "{kept}");
    }
}
