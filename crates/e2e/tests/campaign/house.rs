//! What the cluster shall be, and what of it must be so at rest: in the API
//! and on the machine.

use crate::processes::Processes;
use e2e::machine::names_in;
use e2e::{Cluster, Kubectl, patiently, until};
use serde_json::Value;
use std::collections::BTreeSet;

/// A Deployment of web servers, and its Service.
pub const WEB: &str = "web";
/// A Deployment of pods that come and go.
pub const CROWD: &str = "crowd";
const WEB_REPLICAS: usize = 3;
const CROWD_REPLICAS: usize = 3;
/// A container that was restarted so often waits long for its next start.
const WORN: u64 = 2;

/// Makes the Deployments.
pub fn furnish(kubectl: &Kubectl) {
    kubectl.ok(&format!(
        "create deployment {WEB} --image=nginx:1.22 --replicas={WEB_REPLICAS}"
    ));
    kubectl.ok(&format!("expose deployment {WEB} --port=80"));
    kubectl.ok(&format!(
        "create deployment {CROWD} --image=busybox:1.35 --replicas={CROWD_REPLICAS} -- tail -f /dev/null"
    ));
    for name in [WEB, CROWD] {
        let patch = r#"{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}"#;
        kubectl.ok(&format!("patch deployment {name} -p '{patch}'"));
        kubectl.ok(&format!("rollout status deployment/{name} --timeout=60s"));
    }
}

/// Deletes everything.
pub fn clear(kubectl: &Kubectl) {
    kubectl.ok(&format!(
        "delete deployment,service {WEB} {CROWD} --ignore-not-found --timeout=60s"
    ));
    kubectl.ok("delete pod --all --timeout=90s");
}

/// Deletes pods of Deployments whose containers died often.
pub fn replace_the_worn(kubectl: &Kubectl) {
    let pods = kubectl.get("pods");
    for pod in items(&pods).filter(|pod| app(pod).is_some()) {
        let statuses = pod["status"]["containerStatuses"].as_array();
        let mut restarts = statuses.into_iter().flatten();
        if restarts.any(|status| status["restartCount"].as_u64().unwrap_or(0) >= WORN) {
            let name = text(&pod["metadata"]["name"]);
            kubectl.ok(&format!(
                "delete pod {name} --wait=false --ignore-not-found"
            ));
        }
    }
}

/// The Deployment that a pod belongs to.
fn app(pod: &Value) -> Option<&str> {
    let app = pod["metadata"]["labels"]["app"].as_str();
    app.filter(|app| [WEB, CROWD].contains(app))
}

/// Waits until everything is there, and nothing that is on its way.
#[track_caller]
pub fn wait_for_peace(cluster: &Cluster, kubectl: &Kubectl) {
    cluster.wait_for_node();
    for name in [WEB, CROWD] {
        kubectl.ok(&format!("rollout status deployment/{name} --timeout=90s"));
    }
    patiently(
        "no pod comes or goes",
        || kubectl.run("get deployments,pods -o json").stdout,
        |said| {
            let all: Value = serde_json::from_str(said).unwrap_or_default();
            !all.is_null() && is_peaceful(&all)
        },
    );
}

/// Deployments have as many pods as they shall have, all of them ready: of one
/// that shrinks, `rollout status` says too early that it has.
fn is_peaceful(all: &Value) -> bool {
    let (sets, pods): (Vec<&Value>, Vec<&Value>) =
        items(all).partition(|one| one["kind"] == "Deployment");
    let is_whole = |set: &Value| {
        let name = text(&set["metadata"]["name"]);
        let own = pods.iter().filter(|pod| app(pod) == Some(name)).count();
        set["spec"]["replicas"] == own
    };
    let is_settled = |pod: &Value| {
        let goes = pod["metadata"]["deletionTimestamp"].is_string();
        !goes && (app(pod).is_none() || is_ready(pod))
    };
    sets.into_iter().all(is_whole) && pods.iter().all(|pod| is_settled(pod))
}

/// Looks at the cluster from the outside: addresses, endpoints, and what the
/// machine has of each pod.
#[track_caller]
pub fn check(cluster: &Cluster, kubectl: &Kubectl) {
    let pods = kubectl.get("pods -A");
    let all: Vec<&Value> = items(&pods).collect();
    let addresses: BTreeSet<&str> = all.iter().map(|p| text(&p["status"]["podIP"])).collect();
    assert_eq!(addresses.len(), all.len(), "two pods have one address");
    check_endpoints(kubectl, &all);
    let uids: BTreeSet<&str> = all
        .iter()
        .map(|pod| text(&pod["metadata"]["uid"]))
        .collect();
    let agent = cluster.data().join("agent");
    for (what, folder) in [
        ("directory", agent.join("kubelet/pods")),
        ("address", agent.join("network/addresses")),
    ] {
        patiently(
            &format!("one {what} for each of {} pods", uids.len()),
            || names_in(&folder).count(),
            |count| *count == uids.len(),
        );
    }
    // Of the counted pods every third has a holder of its processes.
    let holders = holders(&all);
    patiently(
        "one monitor for each pod",
        || Processes::of(cluster).monitors.len(),
        |count| *count == uids.len() + holders,
    );
}

fn holders(pods: &[&Value]) -> usize {
    let shared = |pod: &&&Value| pod["spec"]["shareProcessNamespace"] == true;
    pods.iter().filter(shared).count()
}

/// The endpoints of the Service are its pods that are ready, and no others.
#[track_caller]
fn check_endpoints(kubectl: &Kubectl, pods: &[&Value]) {
    let own = pods.iter().filter(|pod| app(pod) == Some(WEB));
    let right: BTreeSet<String> = own
        .map(|pod| text(&pod["status"]["podIP"]).into())
        .collect();
    let get = format!("get endpointslices -l kubernetes.io/service-name={WEB} -o json");
    until("the endpoints are the pods that are ready", || {
        let said = kubectl.run(&get).stdout;
        let slices: Value = serde_json::from_str(&said).unwrap_or_default();
        let endpoints = items(&slices).filter_map(|slice| slice["endpoints"].as_array());
        let ready = endpoints
            .flatten()
            .filter(|endpoint| endpoint["conditions"]["ready"] == true);
        let found: BTreeSet<String> = ready
            .map(|endpoint| text(&endpoint["addresses"][0]).into())
            .collect();
        found == right
    });
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
    ready.any(|condition| condition["status"] == "True")
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
