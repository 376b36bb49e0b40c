//! Dead containers go with their logs, and their sandboxes, except the newest:
//! its log and its exit code are asked for.
//!
//! Follows pkg/kubelet/kuberuntime/kuberuntime_gc.go: when the disk is short,
//! pods that are over keep nothing.

use std::collections::{HashMap, HashSet};

use container::status::{
    ContainerFilter, ContainerState, ContainerStatus, SandboxFilter, SandboxState,
};

use crate::context::Context;
use crate::logs::rotate;
use crate::metrics;
use crate::worker::PodWorkers;

/// Leaves one dead container of each name.
pub async fn collect(cx: &Context) {
    remove(cx, &HashSet::new()).await;
}

/// Leaves none of pods that are over either, and gives their images free.
pub async fn remove_unused(cx: &Context, workers: &PodWorkers) {
    let over: HashSet<String> = workers.over().into_iter().collect();
    remove(cx, &over).await;
    for uid in &over {
        cx.images.release(uid).await;
    }
}

async fn remove(cx: &Context, over: &HashSet<String>) {
    let filter = ContainerFilter::default();
    let all = match cx.runtime.list_containers(&filter).await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(error = error.chain(), "cannot list containers");
            return;
        }
    };
    count_running(cx, &all);
    let mut gone = HashSet::new();
    for container in dead(&all, over) {
        if remove_one(cx, container).await {
            gone.insert(&container.id);
        }
    }
    let left = all.iter().filter(|c| !gone.contains(&c.id));
    let in_use: HashSet<&str> = left.map(|c| c.sandbox_id.as_str()).collect();
    remove_old_sandboxes(cx, &in_use, over).await;
}

/// Removes a container and its log. Says whether it is gone.
async fn remove_one(cx: &Context, container: &ContainerStatus) -> bool {
    let id = &container.id;
    if let Err(error) = cx.runtime.remove_container(id).await {
        tracing::warn!(id, error = error.chain(), "cannot remove dead container");
        return false;
    }
    if let Some(path) = &container.log_path
        && let Err(error) = rotate::remove(path)
    {
        tracing::warn!(id, %error, "cannot remove the log of a dead container");
    }
    true
}

fn count_running(cx: &Context, all: &[ContainerStatus]) {
    let running = all.iter().filter(|c| c.state == ContainerState::Running);
    cx.metrics.set(
        metrics::RUNNING_CONTAINERS,
        "container_state=\"running\"".to_owned(),
        running.count() as f64,
    );
}

/// The containers that may go: also those that were made and never started,
/// when a kubelet died in between.
fn dead<'a>(all: &'a [ContainerStatus], over: &HashSet<String>) -> Vec<&'a ContainerStatus> {
    let mut dead: HashMap<(&str, &str), Vec<&ContainerStatus>> = HashMap::new();
    for container in all.iter().filter(|c| c.state != ContainerState::Running) {
        let uid = container.labels.get(crate::labels::POD_UID);
        let key = (uid.map_or("", String::as_str), container.name.as_str());
        dead.entry(key).or_default().push(container);
    }
    let mut found = Vec::new();
    for ((uid, _), mut containers) in dead {
        containers.sort_by_key(|container| (container.created_ns, &container.id));
        if !over.contains(uid) {
            containers.pop();
        }
        found.append(&mut containers);
    }
    found
}

/// Earlier sandboxes of a pod go when no container of theirs is left, and the
/// last one of a pod that is over.
async fn remove_old_sandboxes(cx: &Context, in_use: &HashSet<&str>, over: &HashSet<String>) {
    let Ok(sandboxes) = cx.runtime.list_sandboxes(&SandboxFilter::default()).await else {
        return;
    };
    let mut newest: HashMap<&str, u32> = HashMap::new();
    for sandbox in &sandboxes {
        let attempt = newest.entry(&sandbox.uid).or_default();
        *attempt = (*attempt).max(sandbox.attempt);
    }
    for sandbox in &sandboxes {
        let is_newest = newest.get(sandbox.uid.as_str()) == Some(&sandbox.attempt);
        let is_kept = is_newest && !over.contains(&sandbox.uid);
        let is_used = in_use.contains(sandbox.id.as_str());
        if is_kept || is_used || sandbox.state == SandboxState::Ready {
            continue;
        }
        if let Err(error) = cx.runtime.remove_sandbox(&sandbox.id).await {
            tracing::warn!(
                id = sandbox.id,
                error = error.chain(),
                "cannot remove old sandbox"
            );
        }
    }
}
