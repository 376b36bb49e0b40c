//! The one pod of an object to which a session leads, and waiting for what a pod becomes.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/polymorphichelpers (attachablepodforobject.go,
//! helpers.go) and pkg/util/podutils.

use crate::api::query;
use crate::error::{Error, Result, said};
use crate::pods::{selected, selector};
use crate::select::Info;
use crate::shell::Shell;
use futures::StreamExt as _;
use meta::{Value, value};
use std::cmp::Reverse;
use std::time::Duration;

/// The pod itself, or the best of those that an object selects. Where there is none yet, the first
/// that appears in time.
pub async fn pod_of(shell: &Shell, info: &Info, limit: Duration) -> Result<Value> {
    if info.resource.kind == "Pod" && info.resource.group.is_empty() {
        return Ok(info.object.clone());
    }
    let selector = pods_selector(info)?;
    let mut pods = selected(shell, &info.namespace, &selector).await?;
    pods.sort_by_key(worth);
    if let Some(pod) = pods.into_iter().next() {
        return Ok(pod);
    }
    let path = format!("/api/v1/namespaces/{}/pods", info.namespace);
    let path = query(&path, &[("labelSelector", &selector)]);
    let appeared = |kind: &str, pod: &Value| Ok((kind != "DELETED").then(|| pod.clone()));
    in_time(limit, observe(shell, &path, appeared)).await
}

fn pods_selector(info: &Info) -> Result<String> {
    let kind = info.resource.kind.as_str();
    let version = info.object.str_at(&["apiVersion"]);
    let version = version.rsplit('/').next().unwrap_or(version);
    let name = &info.name;
    let known = [
        "DaemonSet",
        "Deployment",
        "Job",
        "ReplicaSet",
        "ReplicationController",
        "Service",
        "StatefulSet",
    ];
    if !known.contains(&kind) {
        return said(format!(
            "cannot attach to *{version}.{kind}: selector for *{version}.{kind} not implemented"
        ));
    }
    match selector(&info.object) {
        Err(_) if kind == "Service" => said(format!(
            "cannot attach to *{version}.{kind}: invalid service '{name}': Service is defined without a selector"
        )),
        found => found,
    }
}

/// The order in which pods are worth a session, the best first.
fn worth(pod: &Value) -> impl Ord + use<> {
    let phase = match pod.str_at(&["status", "phase"]) {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let ready_since = ready_since(pod);
    let created = pod.str_at(&["metadata", "creationTimestamp"]).to_string();
    let deleted = pod.str_at(&["metadata", "deletionTimestamp"]).to_string();
    (
        pod.str_at(&["spec", "nodeName"]).is_empty(),
        Reverse(phase),
        ready_since.is_none(),
        !deleted.is_empty(),
        Reverse(deleted),
        ready_since,
        restarts(pod),
        created,
    )
}

fn ready_since(pod: &Value) -> Option<String> {
    let mut conditions = pod.items_at(&["status", "conditions"]).iter();
    let ready = conditions
        .find(|one| one.str_at(&["type"]) == "Ready" && one.str_at(&["status"]) == "True")?;
    Some(ready.str_at(&["lastTransitionTime"]).to_string())
}

fn restarts(pod: &Value) -> i64 {
    let statuses = pod.items_at(&["status", "containerStatuses"]).iter();
    let counts = statuses.filter_map(|status| status.i64_at(&["restartCount"]));
    counts.max().unwrap_or(0)
}

/// Looks at a pod until it is as wanted, in time. That it goes is an error.
pub async fn until(
    shell: &Shell,
    (namespace, name): (&str, &str),
    limit: Option<Duration>,
    mut wanted: impl FnMut(&Value) -> Result<bool>,
) -> Result<Value> {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let fields = format!("metadata.name={name}");
    let path = query(&path, &[("fieldSelector", &fields)]);
    let observing = observe(shell, &path, |kind, pod| match kind {
        "DELETED" => Err(gone()),
        _ => Ok(wanted(pod)?.then(|| pod.clone())),
    });
    match limit {
        Some(limit) => in_time(limit, observing).await,
        None => observing.await,
    }
}

fn gone() -> Error {
    Error::refused(value!({
        "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "pods \"\" not found", "details": {"kind": "pods"}
    }))
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => said("timed out waiting for the condition"),
    }
}

/// Lists and watches until `seen` has seen what it waits for.
async fn observe(
    shell: &Shell,
    path: &str,
    mut seen: impl FnMut(&str, &Value) -> Result<Option<Value>>,
) -> Result<Value> {
    let api = shell.api().await?;
    loop {
        let list = api.get(path).await?;
        for pod in list.items_at(&["items"]) {
            let pod = crate::select::whole(pod, ("v1", "PodList"));
            if let Some(found) = seen("ADDED", &pod)? {
                return Ok(found);
            }
        }
        let version = list.str_at(&["metadata", "resourceVersion"]);
        let watch = query(path, &[("watch", "true"), ("resourceVersion", version)]);
        let mut events = match api.watch(&watch, "application/json").await {
            Ok(events) => events,
            // The version lies too far back: look again.
            Err(Error::Refused(refusal)) if refusal.status.i64_at(&["code"]) == Some(410) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        while let Some(event) = events.next().await {
            let event = event?;
            let kind = event.str_at(&["type"]);
            let Some(pod) = event.get("object").filter(|_| kind != "ERROR") else {
                break;
            };
            if kind == "BOOKMARK" {
                continue;
            }
            if let Some(found) = seen(kind, pod)? {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_that_serves_longest_comes_first() {
        let pod = |name: &str, node: &str, phase: &str, ready: &str| {
            let mut pod = value!({"metadata": {"name": (name)}, "spec": {"nodeName": (node)}, "status": {"phase": (phase)}});
            if !ready.is_empty() {
                let condition =
                    value!({"type": "Ready", "status": "True", "lastTransitionTime": (ready)});
                pod.set_at(&["status", "conditions"], vec![condition]);
            }
            pod
        };
        let mut deleted = pod("deleted", "n", "Running", "2026-01-01T00:00:00Z");
        deleted.set_at(&["metadata", "deletionTimestamp"], "2026-01-02T00:00:00Z");
        let mut restarted = pod("restarted", "n", "Running", "2026-01-03T00:00:00Z");
        restarted.set_at(
            &["status", "containerStatuses"],
            vec![value!({"restartCount": 3})],
        );
        let mut pods = vec![
            pod("unassigned", "", "Pending", ""),
            pod("pending", "n", "Pending", ""),
            pod("unready", "n", "Running", ""),
            deleted,
            restarted,
            pod("new", "n", "Running", "2026-01-03T00:00:00Z"),
            pod("old", "n", "Running", "2026-01-02T00:00:00Z"),
        ];
        pods.sort_by_key(worth);
        let names: Vec<&str> = pods
            .iter()
            .map(|p| p.str_at(&["metadata", "name"]))
            .collect();
        assert_eq!(
            names,
            [
                "old",
                "new",
                "restarted",
                "deleted",
                "unready",
                "pending",
                "unassigned"
            ]
        );
    }
}
