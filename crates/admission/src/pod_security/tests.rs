//! Namespaces, pods and workloads under a policy.

use super::*;
use crate::testing::{Case, Objects, create, update};
use meta::value;

fn namespace(labels: Value) -> Value {
    value!({"metadata": {"name": "ns", "labels": labels}})
}

fn with(labels: Value) -> Objects {
    Objects::default().with("namespaces", namespace(labels))
}

fn enforce(level: &str) -> Value {
    value!({"pod-security.kubernetes.io/enforce": level})
}

fn host_pod(name: &str) -> Value {
    value!({
        "metadata": {"namespace": "ns", "name": name},
        "spec": {"hostNetwork": true, "containers": [{"name": "c", "image": "i"}]},
    })
}

async fn check(case: Case, objects: &Objects, wanted: Result<&[&str], &str>) {
    let found = case.validate(&PodSecurity, objects).await;
    let found = found.map_err(|status| status.message);
    let wanted = wanted.map_err(str::to_string);
    assert_eq!(
        found,
        wanted.map(|w| w.iter().map(ToString::to_string).collect())
    );
}

const VIOLATION: &str = "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)";
const WARNING: &str =
    "would violate PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)";

#[tokio::test]
async fn pods_are_refused_or_warned_of() {
    let pod = || create("pods", "ns", host_pod("p"));
    check(pod(), &with(value!({})), Ok(&[])).await;
    check(pod(), &with(enforce("privileged")), Ok(&[])).await;
    check(pod(), &with(enforce("baseline")), Err(VIOLATION)).await;
    check(
        pod(),
        &with(value!({"pod-security.kubernetes.io/warn": "baseline"})),
        Ok(&[WARNING]),
    )
    .await;
    check(
        pod(),
        &with(value!({"pod-security.kubernetes.io/audit": "baseline"})),
        Ok(&[]),
    )
    .await;
    check(
        create("pods/binding", "ns", host_pod("p")),
        &with(enforce("baseline")),
        Ok(&[]),
    )
    .await;
}

#[tokio::test]
async fn updates_are_checked_when_they_matter() {
    let objects = with(enforce("baseline"));
    let mut other_image = host_pod("p");
    other_image.set_at(
        &["spec", "containers"],
        value!([{"name": "c", "image": "j"}]),
    );
    check(
        update("pods", "ns", host_pod("p"), other_image),
        &objects,
        Ok(&[]),
    )
    .await;
    let mut more = host_pod("p");
    more.set_at(&["spec", "ephemeralContainers"], value!([{"name": "e"}]));
    check(
        update("pods/ephemeralcontainers", "ns", host_pod("p"), more),
        &objects,
        Err(VIOLATION),
    )
    .await;
    check(
        update("pods/status", "ns", host_pod("p"), host_pod("p")),
        &objects,
        Ok(&[]),
    )
    .await;
}

#[tokio::test]
async fn workloads_are_warned_of_and_never_refused() {
    let spec = host_pod("p").get("spec").cloned().unwrap();
    let workload =
        || value!({"metadata": {"name": "w"}, "spec": {"template": {"spec": spec.clone()}}});
    let objects = with(enforce("baseline"));
    check(
        create("apps:deployments", "ns", workload()),
        &objects,
        Ok(&[WARNING]),
    )
    .await;
    check(
        create("replicationcontrollers", "ns", workload()),
        &objects,
        Ok(&[WARNING]),
    )
    .await;
    check(
        create("apps:deployments/scale", "ns", workload()),
        &objects,
        Ok(&[]),
    )
    .await;
    check(create("services", "ns", workload()), &objects, Ok(&[])).await;
}

#[tokio::test]
async fn namespaces_need_labels_that_mean_something() {
    let objects = Objects::default();
    let why = " \"ns\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"x\": must be one of privileged, baseline, restricted";
    check(
        create("namespaces", "", namespace(enforce("x"))),
        &objects,
        Err(why),
    )
    .await;
    check(
        create("namespaces", "", namespace(enforce("baseline"))),
        &objects,
        Ok(&[]),
    )
    .await;
    let change = |old: &str, new: &str| {
        update(
            "namespaces",
            "",
            namespace(enforce(old)),
            namespace(enforce(new)),
        )
    };
    check(change("baseline", "x"), &objects, Err(why)).await;
    check(change("x", "x"), &objects, Ok(&[])).await;
}

#[tokio::test]
async fn a_stricter_namespace_tells_who_would_not_be_let_in() {
    let mut privileged = host_pod("z");
    privileged.set_at(
        &["spec", "containers"],
        value!([{"name": "c", "securityContext": {"privileged": true}}]),
    );
    let objects = Objects::default()
        .with("pods", host_pod("b"))
        .with("pods", host_pod("a"))
        .with("pods", host_pod("c"))
        .with("pods", privileged)
        .with("pods", value!({"metadata": {"namespace": "ns", "name": "good"}, "spec": {"containers": [{"name": "c"}]}}));
    let change = |old: Value, new: Value| update("namespaces", "", namespace(old), namespace(new));
    let wanted: &[&str] = &[
        "existing pods in namespace \"ns\" violate the new PodSecurity enforce level \"baseline:latest\"",
        "a (and 2 other pods): host namespaces",
        "z: host namespaces, privileged",
    ];
    check(
        change(value!({}), enforce("baseline")),
        &objects,
        Ok(wanted),
    )
    .await;
    check(
        change(enforce("restricted"), enforce("baseline")),
        &objects,
        Ok(&[]),
    )
    .await;
    check(
        change(enforce("baseline"), enforce("baseline")),
        &objects,
        Ok(&[]),
    )
    .await;
}
