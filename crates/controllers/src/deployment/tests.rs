//! Deployments and their ReplicaSets against the API server's double.

use crate::testing::Cluster;
use serde_json::{Value, json};
use testkit::fake::Refusal;

const CONTROLLERS: &[&str] = &["deployment-controller", "replicaset-controller"];

fn deployment(replicas: i32) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "progressDeadlineSeconds": 600,
                 "revisionHistoryLimit": 10,
                 "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                 "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}}},
    })
}

fn set_image(cluster: &Cluster, image: &str) {
    cluster.api.edit("deployments", "a", "web", |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    });
}

fn get(cluster: &Cluster) -> Value {
    cluster.api.get("deployments", "a", "web").unwrap()
}

fn condition(cluster: &Cluster, kind: &str) -> String {
    let deployment = get(cluster);
    let conditions = deployment["status"]["conditions"].as_array().unwrap();
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == kind);
    found.map_or("none".to_owned(), |condition| {
        let text = |field: &str| condition[field].as_str().unwrap();
        format!("{} {}", text("status"), text("reason"))
    })
}

/// Image, size and revision of each set, by revision.
fn sets(cluster: &Cluster) -> Vec<String> {
    let mut sets: Vec<String> = cluster
        .api
        .list("replicasets")
        .iter()
        .map(|set| {
            let image = set["spec"]["template"]["spec"]["containers"][0]["image"]
                .as_str()
                .unwrap();
            let revision = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
                .as_str()
                .unwrap();
            format!("{revision}:{image}={}", set["spec"]["replicas"])
        })
        .collect();
    sets.sort();
    sets
}

fn scalings(cluster: &Cluster) -> Vec<String> {
    let events = cluster.events().into_iter().filter_map(|event| {
        let text = event.strip_prefix("ScalingReplicaSet: ")?.to_owned();
        let words: Vec<&str> = text.split(' ').collect();
        Some(format!("{} {} {}", words[1], words[6], words[8]))
    });
    events.collect()
}

#[tokio::test(start_paused = true)]
async fn a_first_rollout_completes() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("deployments", deployment(3));
    cluster.settle().await;
    assert_eq!(
        condition(&cluster, "Available"),
        "False MinimumReplicasUnavailable"
    );
    assert_eq!(condition(&cluster, "Progressing"), "True ReplicaSetUpdated");
    cluster.run_pods_until_quiet().await;
    let after = get(&cluster);
    assert_eq!(
        after["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "1"
    );
    let status = &after["status"];
    for field in [
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ] {
        assert_eq!(status[field], 3, "{field} in {status}");
    }
    assert_eq!(
        condition(&cluster, "Available"),
        "True MinimumReplicasAvailable"
    );
    assert_eq!(
        condition(&cluster, "Progressing"),
        "True NewReplicaSetAvailable"
    );
    assert_eq!(scalings(&cluster), ["up 0 3"]);
    let set = &cluster.api.list("replicasets")[0];
    let hash = set["metadata"]["labels"]["pod-template-hash"]
        .as_str()
        .unwrap();
    assert_eq!(set["metadata"]["name"], format!("web-{hash}"));
    assert_eq!(
        set["spec"]["selector"]["matchLabels"]["pod-template-hash"],
        hash
    );
    cluster.api.take_writes();
    cluster.pass(3600).await;
    assert_eq!(
        cluster.api.take_writes(),
        Vec::<String>::new(),
        "nothing changes, nothing is written"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rolling_update_keeps_enough_pods_and_can_be_undone() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("deployments", deployment(10));
    cluster.run_pods_until_quiet().await;
    set_image(&cluster, "v2");
    for _ in 0..20 {
        cluster.settle().await;
        let available = get(&cluster)["status"]["availableReplicas"]
            .as_i64()
            .unwrap_or(0);
        assert!(available >= 8, "{available} available");
        let alive = cluster
            .api
            .list("pods")
            .iter()
            .filter(|pod| pod["metadata"].get("deletionTimestamp").is_none())
            .count();
        assert!(alive <= 13, "{alive} pods");
        cluster.run_pods(|_| true);
    }
    assert_eq!(sets(&cluster), ["1:v1=0", "2:v2=10"]);
    assert_eq!(
        scalings(&cluster)[..4],
        ["up 0 10", "up 0 3", "down 10 8", "up 3 5"]
    );
    set_image(&cluster, "v1");
    cluster.run_pods_until_quiet().await;
    assert_eq!(sets(&cluster), ["2:v2=0", "3:v1=10"]);
    let set = cluster
        .api
        .list("replicasets")
        .into_iter()
        .find(|set| set["spec"]["replicas"] == 10)
        .unwrap();
    assert_eq!(
        set["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"],
        "1"
    );
    assert_eq!(
        condition(&cluster, "Progressing"),
        "True NewReplicaSetAvailable"
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_template_stops_and_times_out() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("deployments", deployment(4));
    cluster.run_pods_until_quiet().await;
    set_image(&cluster, "broken");
    let works = |pod: &Value| pod["spec"]["containers"][0]["image"] != "broken";
    for _ in 0..5 {
        cluster.settle().await;
        cluster.run_pods(works);
    }
    assert_eq!(sets(&cluster), ["1:v1=3", "2:broken=2"]);
    assert_eq!(condition(&cluster, "Progressing"), "True ReplicaSetUpdated");
    cluster.pass(620).await;
    assert_eq!(
        condition(&cluster, "Progressing"),
        "False ProgressDeadlineExceeded"
    );
    assert_eq!(
        condition(&cluster, "Available"),
        "True MinimumReplicasAvailable"
    );
    set_image(&cluster, "v3");
    cluster.run_pods_until_quiet().await;
    assert_eq!(sets(&cluster), ["1:v1=0", "2:broken=0", "3:v3=4"]);
    assert_eq!(
        condition(&cluster, "Progressing"),
        "True NewReplicaSetAvailable"
    );
}

#[tokio::test(start_paused = true)]
async fn scaling_in_the_middle_of_a_rollout_is_proportional() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("deployments", deployment(10));
    cluster.run_pods_until_quiet().await;
    set_image(&cluster, "broken");
    let works = |pod: &Value| pod["spec"]["containers"][0]["image"] != "broken";
    for _ in 0..5 {
        cluster.settle().await;
        cluster.run_pods(works);
    }
    assert_eq!(sets(&cluster), ["1:v1=8", "2:broken=5"]);
    cluster.api.edit("deployments", "a", "web", |deployment| {
        deployment["spec"]["replicas"] = json!(20)
    });
    cluster.settle().await;
    // 25 may be there: 8 and 5 of 13 become 15 and 10.
    assert_eq!(sets(&cluster), ["1:v1=15", "2:broken=10"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_becomes_a_replacement_and_another_size_ends() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("deployments", deployment(5));
    cluster.run_pods_until_quiet().await;
    set_image(&cluster, "v2");
    cluster.settle().await;
    assert_eq!(sets(&cluster).len(), 2);
    cluster.api.edit("deployments", "a", "web", |deployment| {
        deployment["spec"]["replicas"] = json!(2);
        deployment["spec"]["strategy"] = json!({"type": "Recreate"});
    });
    cluster.run_pods_until_quiet().await;
    assert_eq!(sets(&cluster), ["1:v1=0", "2:v2=2"]);
}

/// Before a set's own controller has looked, its status still tells of pods that are going.
#[tokio::test(start_paused = true)]
async fn a_set_of_the_right_size_that_notes_another_holds_nothing_up() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("deployments", deployment(2));
    cluster.run_pods_until_quiet().await;
    let name = cluster.api.list("replicasets")[0]["metadata"]["name"].clone();
    let name = name.as_str().unwrap();
    cluster.api.edit("replicasets", "a", name, |set| {
        set["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] = json!("6");
    });
    set_image(&cluster, "v2");
    cluster.run_pods_until_quiet().await;
    assert_eq!(sets(&cluster), ["1:v1=0", "2:v2=2"]);
    assert_eq!(
        condition(&cluster, "Progressing"),
        "True NewReplicaSetAvailable"
    );
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_going_do_not_count_as_available() {
    let cluster = Cluster::start(&["deployment-controller"]);
    let mut doubling = deployment(2);
    doubling["spec"]["strategy"]["rollingUpdate"] =
        json!({"maxSurge": "100%", "maxUnavailable": "50%"});
    cluster.api.create("deployments", doubling);
    cluster.settle().await;
    let name = cluster.api.list("replicasets")[0]["metadata"]["name"].clone();
    cluster
        .api
        .edit("replicasets", "a", name.as_str().unwrap(), |set| {
            set["status"] = json!({"replicas": 3, "readyReplicas": 3, "availableReplicas": 3});
        });
    set_image(&cluster, "v2");
    cluster.settle().await;
    assert_eq!(sets(&cluster), ["1:v1=1", "2:v2=2"]);
}

#[tokio::test(start_paused = true)]
async fn recreate_waits_for_the_last_old_pod() {
    let cluster = Cluster::start(CONTROLLERS);
    let mut all_at_once = deployment(3);
    all_at_once["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.api.create("deployments", all_at_once);
    cluster.run_pods_until_quiet().await;
    set_image(&cluster, "v2");
    cluster.settle().await;
    assert_eq!(sets(&cluster), ["1:v1=0"], "old pods are still ending");
    cluster.run_pods_until_quiet().await;
    assert_eq!(sets(&cluster), ["1:v1=0", "2:v2=3"]);
    assert_eq!(
        condition(&cluster, "Progressing"),
        "True NewReplicaSetAvailable"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_the_rollout_but_not_scaling() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("deployments", deployment(2));
    cluster.run_pods_until_quiet().await;
    cluster.api.edit("deployments", "a", "web", |deployment| {
        deployment["spec"]["paused"] = json!(true)
    });
    set_image(&cluster, "v2");
    cluster.api.edit("deployments", "a", "web", |deployment| {
        deployment["spec"]["replicas"] = json!(5)
    });
    cluster.run_pods_until_quiet().await;
    assert_eq!(sets(&cluster), ["1:v1=5"]);
    assert_eq!(
        condition(&cluster, "Progressing"),
        "Unknown DeploymentPaused"
    );
    cluster.api.edit("deployments", "a", "web", |deployment| {
        deployment["spec"]["paused"] = json!(false)
    });
    cluster.run_pods_until_quiet().await;
    assert_eq!(sets(&cluster), ["1:v1=0", "2:v2=5"]);
}

#[tokio::test(start_paused = true)]
async fn history_is_limited() {
    let cluster = Cluster::start(CONTROLLERS);
    let mut forgetful = deployment(1);
    forgetful["spec"]["revisionHistoryLimit"] = json!(2);
    cluster.api.create("deployments", forgetful);
    for version in 2..7 {
        cluster.run_pods_until_quiet().await;
        set_image(&cluster, &format!("v{version}"));
    }
    cluster.run_pods_until_quiet().await;
    assert_eq!(sets(&cluster), ["4:v4=0", "5:v5=0", "6:v6=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_hash_that_is_taken_leads_to_another() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("deployments", deployment(1));
    cluster.settle().await;
    let mut taken = cluster.api.list("replicasets").remove(0);
    let name = taken["metadata"]["name"].as_str().unwrap().to_owned();
    cluster.api.remove("deployments", "a", "web");
    cluster.api.remove("replicasets", "a", &name);
    taken["metadata"] = json!({"name": name, "namespace": "a"});
    taken["spec"]["selector"] = json!({"matchLabels": {"app": "other"}});
    taken["spec"]["replicas"] = json!(0);
    cluster.api.create("replicasets", taken);
    cluster.api.create("deployments", deployment(1));
    cluster.settle().await;
    assert_eq!(get(&cluster)["status"]["collisionCount"], 1);
    assert_eq!(cluster.api.list("replicasets").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_created_is_told() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.react(|method, path| {
        let refused = method.as_str() == "POST" && path.ends_with("/replicasets");
        refused.then(|| Refusal::new(403, "Forbidden", "no sets today"))
    });
    cluster.api.create("deployments", deployment(1));
    cluster.settle().await;
    assert_eq!(
        condition(&cluster, "Progressing"),
        "False ReplicaSetCreateError"
    );
    assert!(
        cluster.events()[0].contains("Failed to create new replica set"),
        "{:?}",
        cluster.events()
    );
}

#[tokio::test(start_paused = true)]
async fn a_selector_of_everything_is_refused() {
    let cluster = Cluster::start(CONTROLLERS);
    let mut greedy = deployment(1);
    greedy["spec"]["selector"] = json!({});
    cluster.api.create("deployments", greedy);
    cluster.settle().await;
    assert!(cluster.api.list("replicasets").is_empty());
    assert!(cluster.events()[0].starts_with("SelectingAll: "));
}
