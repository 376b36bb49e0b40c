//! What is done now and then: leftovers, dead containers, unused images, long logs.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use container::status::{SandboxFilter, SandboxStatus};
use typed::Typed;
use typed::api::core::v1::Pod;

use crate::container_gc;
use crate::context::Context;
use crate::image_gc;
use crate::kubelet::{HOUSEKEEPING, uids};
use crate::labels::GRACE_PERIOD;
use crate::logs::rotate;
use crate::qos::{Qos, qos};
use crate::resources::{cpu_shares, pod_requests};
use crate::worker::PodWorkers;

/// Housekeeping rounds between two looks for leftovers.
const ROUNDS: u32 = 6;

/// Ends what an earlier kubelet left of pods that nobody knows any more.
pub async fn take_over(cx: &Arc<Context>, workers: &PodWorkers) {
    let cpus = i64::from(cx.machine.facts().cpus);
    let shares = cpu_shares(cpus * 1000);
    if let Err(error) = cx.cgroups.ensure(&cx.config.kubepods(), Some(shares)) {
        tracing::warn!(%error, "cannot make the cgroup of all pods");
    }
    weigh_classes(cx);
    end_orphans(cx, workers).await;
}

/// Runs until it is dropped.
pub async fn run(cx: Arc<Context>, workers: PodWorkers) {
    let (size, files) = (
        cx.config.container_log_max_size,
        cx.config.container_log_max_files,
    );
    let rotation = rotate::run(&*cx.runtime, &cx.clock, size, files);
    tokio::join!(rotation, tidy(Arc::clone(&cx), workers), image_gc::run(&cx));
}

async fn tidy(cx: Arc<Context>, workers: PodWorkers) {
    let mut round = 0u32;
    loop {
        cx.clock.sleep(HOUSEKEEPING).await;
        round = round.wrapping_add(1);
        container_gc::collect(&cx).await;
        if round.is_multiple_of(ROUNDS) {
            weigh_classes(&cx);
            end_orphans(&cx, &workers).await;
        }
    }
}

/// Sandboxes, directories and cgroups of pods that are neither known to the
/// API server nor being ended.
async fn end_orphans(cx: &Arc<Context>, workers: &PodWorkers) {
    let known = uids(&cx.pods.list());
    let filter = SandboxFilter::default();
    let sandboxes = match cx.runtime.list_sandboxes(&filter).await {
        Ok(sandboxes) => sandboxes,
        Err(error) => {
            tracing::warn!(error = error.chain(), "cannot list sandboxes");
            return;
        }
    };
    let mut orphans: BTreeMap<String, (Arc<Pod>, Option<i64>)> = BTreeMap::new();
    for sandbox in sandboxes {
        let grace = sandbox.annotations.get(GRACE_PERIOD);
        let grace = grace.and_then(|seconds| seconds.parse().ok());
        let pod = (Arc::new(pod_of(&sandbox)), grace);
        orphans.insert(sandbox.uid.clone(), pod);
    }
    for pod in leftover_logs(cx) {
        let uid = pod.uid().to_owned();
        orphans.entry(uid).or_insert_with(|| (Arc::new(pod), None));
    }
    for uid in leftover_directories(cx) {
        orphans
            .entry(uid.clone())
            .or_insert_with(|| (Arc::new(nameless(&uid)), None));
    }
    for (uid, (pod, grace)) in orphans {
        if known.contains(&uid) || workers.knows(&uid) {
            continue;
        }
        tracing::info!(
            pod = pod.key(),
            uid,
            "ending what is left of an unknown pod"
        );
        workers.add_orphan(pod, grace.or(Some(30)));
    }
}

/// As much of the pod as its sandbox tells.
fn pod_of(sandbox: &SandboxStatus) -> Pod {
    let mut pod = nameless(&sandbox.uid);
    pod.metadata.name = Some(sandbox.name.clone());
    pod.metadata.namespace = Some(sandbox.namespace.clone());
    pod
}

fn nameless(uid: &str) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.uid = Some(uid.to_owned());
    pod
}

/// The pods whose logs are there, as their directories' names tell.
///
/// Follows evictPodLogsDirectories of pkg/kubelet/kuberuntime/kuberuntime_gc.go.
fn leftover_logs(cx: &Context) -> Vec<Pod> {
    let entries = std::fs::read_dir(&cx.config.log_root).into_iter().flatten();
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| {
            let [namespace, name, uid] =
                <[&str; 3]>::try_from(name.split('_').collect::<Vec<_>>()).ok()?;
            let mut pod = nameless(uid);
            pod.metadata.name = Some(name.to_owned());
            pod.metadata.namespace = Some(namespace.to_owned());
            Some(pod)
        })
        .collect()
}

fn leftover_directories(cx: &Context) -> HashSet<String> {
    let mut found = HashSet::new();
    let directory = cx.config.root.join("pods");
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        found.extend(entry.file_name().into_string().ok());
    }
    let above = cx.config.kubepods();
    for class in [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort] {
        let path = match class.cgroup() {
            Some(class) => format!("{above}/{class}"),
            None => above.clone(),
        };
        let children = cx.cgroups.children(&path).unwrap_or_default();
        let uids = children
            .iter()
            .filter_map(|name| name.strip_prefix("pod"))
            .filter(|uid| !uid.is_empty());
        found.extend(uids.map(str::to_owned));
    }
    found
}

/// The classes share the CPU by what their pods ask for.
///
/// Follows pkg/kubelet/cm/qos_container_manager_linux.go.
fn weigh_classes(cx: &Context) {
    let above = cx.config.kubepods();
    let burstable: i64 = cx
        .pods
        .list()
        .iter()
        .filter(|pod| qos(pod) == Qos::Burstable)
        .filter_map(|pod| pod_requests(pod).get("cpu").map(|q| q.milli_value()))
        .sum();
    for (class, shares) in [("burstable", cpu_shares(burstable)), ("besteffort", 2)] {
        let path = format!("{above}/{class}");
        if let Err(error) = cx.cgroups.ensure(&path, Some(shares)) {
            tracing::warn!(path, %error, "cannot weigh a class of pods");
        }
    }
}
