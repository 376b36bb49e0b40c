//! How far a rollout is. Follows kubectl's pkg/polymorphichelpers/rollout_status.go.

use crate::api::query;
use crate::error::{Error, Result, said};
use crate::io;
use crate::select::Info;
use crate::shell::Shell;
use crate::words::quote;
use futures::StreamExt as _;
use meta::Value;
use std::time::Duration;

/// Says how far, until it is done.
pub(super) async fn show(
    shell: &Shell,
    infos: &[Info],
    watch: bool,
    revision: i64,
    limit: Option<Duration>,
) -> Result {
    if infos.is_empty() {
        io::warn("No resources found");
    }
    for info in infos {
        let follow = follow(shell, info, watch, revision);
        match limit {
            None => follow.await?,
            Some(limit) => match tokio::time::timeout(limit, follow).await {
                Ok(done) => done?,
                Err(_) => return said("timed out waiting for the condition"),
            },
        }
    }
    Ok(())
}

async fn follow(shell: &Shell, info: &Info, watch: bool, revision: i64) -> Result {
    let api = shell.api().await?;
    let fields = format!("metadata.name={}", info.name);
    let path = query(
        &info.resource.collection(&info.namespace),
        &[("fieldSelector", &fields)],
    );
    let mut last = String::new();
    loop {
        let list = api.get(&path).await?;
        if let Some(object) = list.items_at(&["items"]).first() {
            let (words, done) = status(&info.resource.kind, object, &info.name, revision)?;
            if words != last {
                io::out(&words);
                last = words;
            }
            if done || !watch {
                return Ok(());
            }
        }
        let version = list.str_at(&["metadata", "resourceVersion"]);
        let watching = query(&path, &[("watch", "true"), ("resourceVersion", version)]);
        let mut events = api.watch(&watching, "application/json").await?;
        while let Some(Ok(event)) = events.next().await {
            let object = event.get("object").cloned().unwrap_or_default();
            match event.str_at(&["type"]) {
                "ERROR" => break,
                "DELETED" => return said("object has been deleted"),
                _ => {
                    let (words, done) = status(&info.resource.kind, &object, &info.name, revision)?;
                    if words != last {
                        io::out(&words);
                        last = words;
                    }
                    if done {
                        return Ok(());
                    }
                }
            }
        }
    }
}

fn status(kind: &str, object: &Value, name: &str, revision: i64) -> Result<(String, bool)> {
    match kind {
        "Deployment" => deployment(object, name, revision),
        "DaemonSet" => Ok(daemon_set(object, name)),
        "StatefulSet" => stateful_set(object, name),
        other => said(format!("no status viewer has been implemented for {other}")),
    }
}

fn observed(object: &Value) -> bool {
    let generation = object.i64_at(&["metadata", "generation"]).unwrap_or(0);
    generation
        <= object
            .i64_at(&["status", "observedGeneration"])
            .unwrap_or(0)
}

fn deployment(object: &Value, name: &str, revision: i64) -> Result<(String, bool)> {
    if revision > 0 {
        let annotation = object.str_at(&[
            "metadata",
            "annotations",
            "deployment.kubernetes.io/revision",
        ]);
        if annotation.parse::<i64>().ok() != Some(revision) {
            return said(format!(
                "desired revision ({revision}) is different from the running revision ({annotation})"
            ));
        }
    }
    if !observed(object) {
        return Ok((
            "Waiting for deployment spec update to be observed...\n".into(),
            false,
        ));
    }
    let mut conditions = object.items_at(&["status", "conditions"]).iter();
    let progressing = conditions.find(|c| c.str_at(&["type"]) == "Progressing");
    if progressing.is_some_and(|c| c.str_at(&["reason"]) == "ProgressDeadlineExceeded") {
        return Err(Error::Said(format!(
            "deployment {} exceeded its progress deadline",
            quote(name)
        )));
    }
    let count = |field: &str| object.i64_at(&["status", field]).unwrap_or(0);
    let wanted = object.i64_at(&["spec", "replicas"]).unwrap_or(1);
    let (updated, all, available) = (
        count("updatedReplicas"),
        count("replicas"),
        count("availableReplicas"),
    );
    let name = quote(name);
    let waiting = format!("Waiting for deployment {name} rollout to finish: ");
    if updated < wanted {
        return Ok((
            format!("{waiting}{updated} out of {wanted} new replicas have been updated...\n"),
            false,
        ));
    }
    if all > updated {
        return Ok((
            format!(
                "{waiting}{} old replicas are pending termination...\n",
                all - updated
            ),
            false,
        ));
    }
    if available < updated {
        return Ok((
            format!("{waiting}{available} of {updated} updated replicas are available...\n"),
            false,
        ));
    }
    Ok((format!("deployment {name} successfully rolled out\n"), true))
}

fn daemon_set(object: &Value, name: &str) -> (String, bool) {
    if !observed(object) {
        return (
            "Waiting for daemon set spec update to be observed...\n".into(),
            false,
        );
    }
    let count = |field: &str| object.i64_at(&["status", field]).unwrap_or(0);
    let (wanted, updated, available) = (
        count("desiredNumberScheduled"),
        count("updatedNumberScheduled"),
        count("numberAvailable"),
    );
    let name = quote(name);
    let waiting = format!("Waiting for daemon set {name} rollout to finish: ");
    if updated < wanted {
        return (
            format!("{waiting}{updated} out of {wanted} new pods have been updated...\n"),
            false,
        );
    }
    if available < wanted {
        return (
            format!("{waiting}{available} of {wanted} updated pods are available...\n"),
            false,
        );
    }
    (format!("daemon set {name} successfully rolled out\n"), true)
}

fn stateful_set(object: &Value, _: &str) -> Result<(String, bool)> {
    if object.str_at(&["spec", "updateStrategy", "type"]) == "OnDelete" {
        return said("rollout status is only available for RollingUpdate strategy type");
    }
    if !observed(object) {
        return Ok((
            "Waiting for statefulset spec update to be observed...\n".into(),
            false,
        ));
    }
    let count = |field: &str| object.i64_at(&["status", field]).unwrap_or(0);
    let wanted = object.i64_at(&["spec", "replicas"]).unwrap_or(1);
    if count("readyReplicas") < wanted {
        return Ok((
            format!(
                "Waiting for {} pods to be ready...\n",
                wanted - count("readyReplicas")
            ),
            false,
        ));
    }
    let revision = object.str_at(&["status", "updateRevision"]);
    if revision != object.str_at(&["status", "currentRevision"]) {
        return Ok((
            format!(
                "waiting for statefulset rolling update to complete {} pods at revision {revision}...\n",
                count("updatedReplicas")
            ),
            false,
        ));
    }
    let revision = object.str_at(&["status", "currentRevision"]);
    Ok((
        format!(
            "statefulset rolling update complete {} pods at revision {revision}...\n",
            count("currentReplicas")
        ),
        true,
    ))
}
