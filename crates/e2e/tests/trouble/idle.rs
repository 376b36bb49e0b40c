//! What a cluster does when nobody asks anything of it.

use e2e::wire::Door;
use e2e::{Cluster, Options, Vitals, dose};
use std::collections::BTreeMap;
use std::time::Duration;

pub fn an_idle_cluster_rests() {
    let cluster = Cluster::start(Options::default());
    let kubectl = cluster.kubectl();
    kubectl.ok("create deployment idle --image=busybox:1.35 --replicas=10 -- sleep 3600");
    kubectl.ok("rollout status deployment/idle --timeout=60s");
    kubectl.ok("expose deployment idle --port=80");
    let door = Door::of(&cluster);
    // How long nothing is done.
    let quiet = Duration::from_secs(dose(12, 60));
    // What follows the roll-out has an end.
    std::thread::sleep(Duration::from_secs(5));
    let mut watches: Vec<_> = WATCHED
        .iter()
        .map(|path| {
            let events = door.watch(&format!(
                "{path}?watch=1&resourceVersion={}",
                revision(&door)
            ));
            (path, events.expect("a watch"))
        })
        .collect();
    let before = Vitals::of(&cluster);
    std::thread::sleep(quiet);
    let after = Vitals::of(&cluster);
    let mut written = BTreeMap::<String, usize>::new();
    for (path, events) in &mut watches {
        events
            .set_patience(Duration::from_millis(200))
            .expect("patience");
        while let Ok(Some(event)) = events.event() {
            let name = event["object"]["metadata"]["name"]
                .as_str()
                .unwrap_or_default();
            *written.entry(format!("{path} {name}")).or_default() += 1;
        }
    }
    println!(
        "{} ticks, written: {written:#?}",
        after.ticks - before.ticks
    );
    // The node's lease every ten seconds, and its status once at the most.
    let node = cluster.node();
    for (object, times) in &written {
        let lease = format!("/apis/coordination.k8s.io/v1/leases {node}");
        let limit = match object {
            object if *object == lease => quiet.as_secs() as usize / 10 + 1,
            object if *object == format!("/api/v1/nodes {node}") => 1,
            _ => 0,
        };
        assert!(*times <= limit, "written while idle: {written:#?}");
    }
    // A debug build, and a busy machine: five times what is promised.
    let ticks = after.ticks - before.ticks;
    assert!(ticks <= quiet.as_secs() * 5, "{ticks} ticks while idle");
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// Everything that somebody might write.
const WATCHED: [&str; 12] = [
    "/api/v1/configmaps",
    "/api/v1/endpoints",
    "/api/v1/events",
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/api/v1/pods",
    "/api/v1/services",
    "/api/v1/serviceaccounts",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/discovery.k8s.io/v1/endpointslices",
];

fn revision(door: &Door) -> String {
    let list = door
        .ask("GET", "/api/v1/namespaces?limit=1", "")
        .expect("a list");
    let list = list.json();
    let revision = list["metadata"]["resourceVersion"].as_str();
    revision.expect("a revision").to_string()
}
