//! Each invariant is told of something that breaks it, and finds it. What it is
//! told first is as it has to be.

use super::*;
use bytes::Bytes;
use serde_json::json;
use store::{Change, Event, Record, Revision};

/// What one invariant is told.
struct Told {
    history: History,
    knowledge: Knowledge,
    asks: Asks,
    scenario: Scenario,
    invariant: Box<dyn Invariant>,
}

type Write<'a> = (&'a str, Option<Value>);

impl Told {
    fn to(name: &str) -> Self {
        let invariant = all().into_iter().find(|invariant| invariant.name() == name);
        let mut scenario = Scenario::draw(1);
        scenario.orphaning = false;
        scenario.nodes = 1;
        Self {
            history: History::default(),
            knowledge: Knowledge::default(),
            asks: Asks::default(),
            scenario,
            invariant: invariant.unwrap(),
        }
    }

    /// One commit: objects by kind, namespace and name, and what becomes of them.
    fn commit(&mut self, writes: &[Write<'_>]) -> Result<(), String> {
        let revision = Revision(self.history.revision + 1);
        let at = Instant::ORIGIN + std::time::Duration::from_secs(revision.0);
        let event = |(place, object): &Write<'_>| {
            let key = Bytes::from(format!("/registry/{}", place.replace(' ', "/")));
            let change = match object {
                Some(object) => Change::Put {
                    record: Record {
                        key,
                        value: format!("1{object}").into(),
                        created: revision,
                        modified: revision,
                        version: 1,
                    },
                    prev: None,
                },
                None => Change::Delete { key, prev: None },
            };
            Event { revision, change }
        };
        let events: Vec<Event> = writes.iter().map(event).collect();
        let step = self.history.take(&events, at)?;
        let (invariant, view) = self.split(at);
        invariant.step(&view, &step)
    }

    fn put(&mut self, place: &str, object: Value) -> Result<(), String> {
        self.commit(&[(place, Some(object))])
    }

    fn remove(&mut self, place: &str) -> Result<(), String> {
        self.commit(&[(place, None)])
    }

    fn rest(&mut self) -> Result<(), String> {
        let at = Instant::ORIGIN + std::time::Duration::from_secs(self.history.revision);
        let (invariant, view) = self.split(at);
        invariant.rest(&view)
    }

    fn asks(&mut self, who: &str, verb: crate::request::Verb, place: (&str, &str, &str)) {
        let at = Instant::ORIGIN + std::time::Duration::from_secs(self.history.revision + 1);
        let place = crate::history::Place::new(place.0, place.1, place.2);
        self.asks.note(&place, who, verb, at);
    }

    fn split(&mut self, now: Instant) -> (&mut Box<dyn Invariant>, View<'_>) {
        let view = View {
            history: &self.history,
            knowledge: &self.knowledge,
            asks: &self.asks,
            scenario: &self.scenario,
            now,
        };
        (&mut self.invariant, view)
    }
}

/// An outcome's text, to be told apart from none.
fn found(outcome: Result<(), String>) -> String {
    outcome.expect_err("nothing was found")
}

fn pod(uid: &str, more: Value) -> Value {
    let mut pod = json!({"metadata": {"uid": uid, "labels": {"app": "x"}},
        "spec": {"containers": [{"resources": {"requests": {"cpu": "1500m"}}}]}});
    merge(&mut pod, more);
    pod
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn ready() -> Value {
    json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
}

#[test]
fn a_uid_is_given_once() {
    let mut told = Told::to("identity");
    told.put("core/pods a p", pod("1", json!({}))).unwrap();
    told.remove("core/pods a p").unwrap();
    found(told.put("core/pods a q", pod("1", json!({}))));
}

#[test]
fn what_shall_go_goes() {
    let mut told = Told::to("identity");
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    told.put("core/pods a p", pod("1", going)).unwrap();
    found(told.put("core/pods a p", pod("1", json!({}))));
}

#[test]
fn a_pod_stays_on_its_node() {
    let mut told = Told::to("one node for each pod");
    let on = |node: &str| pod("1", json!({"spec": {"nodeName": node}}));
    told.put("core/pods a p", pod("1", json!({}))).unwrap();
    told.put("core/pods a p", on("node-0")).unwrap();
    found(told.put("core/pods a p", on("node-1")));
}

#[test]
fn a_node_has_only_so_much() {
    let mut told = Told::to("no node is overfull");
    let on = |uid: &str| pod(uid, json!({"spec": {"nodeName": "node-0"}}));
    told.put("core/nodes node-0", json!({"metadata": {"uid": "n"}}))
        .unwrap();
    told.put("core/pods a p", on("1")).unwrap();
    told.rest().unwrap();
    let _ = told.put("core/pods a q", on("2"));
    found(told.rest());
}

#[test]
fn one_controller_at_a_time() {
    let mut told = Told::to("at most one controller");
    let owned = |uid: &str| {
        pod(
            "1",
            json!({"metadata": {"ownerReferences": [{"uid": uid, "controller": true}]}}),
        )
    };
    told.put("core/pods a p", owned("one")).unwrap();
    found(told.put("core/pods a p", owned("two")));
}

#[test]
fn an_address_has_one_service() {
    let mut told = Told::to("addresses and node ports");
    let service = json!({"spec": {"clusterIPs": ["10.43.0.2"]}});
    let address = json!({"spec": {"parentRef": {"namespace": "a", "name": "s"}}});
    let both = [
        ("core/services a s", Some(service.clone())),
        ("networking.k8s.io/ipaddresses 10.43.0.2", Some(address)),
    ];
    told.commit(&both).unwrap();
    found(told.put("core/services a t", service));
}

#[test]
fn a_condition_is_there_once() {
    let mut told = Told::to("sane status");
    told.put("core/pods a p", pod("1", ready())).unwrap();
    let twice = json!({"status": {"conditions": [{"type": "Ready"}, {"type": "Ready"}]}});
    found(told.put("core/pods a p", pod("1", twice)));
}

#[test]
fn no_count_is_lost() {
    let mut told = Told::to("compare and swap");
    let count = |count: &str| json!({"data": {"count": count}});
    told.put("core/configmaps default counter", count("0"))
        .unwrap();
    told.put("core/configmaps default counter", count("1"))
        .unwrap();
    found(told.put("core/configmaps default counter", count("1")));
}

#[test]
fn nothing_goes_before_its_finalizers() {
    let mut told = Told::to("finalizers");
    let held = json!({"metadata": {"finalizers": ["hold"]}});
    told.put("core/pods a p", pod("1", held.clone())).unwrap();
    told.put("core/pods a q", pod("2", json!({}))).unwrap();
    told.remove("core/pods a q").unwrap();
    found(told.remove("core/pods a p"));
}

#[test]
fn a_finalizer_is_its_keepers() {
    use crate::request::Verb;
    let going = |finalizers: &[&str]| {
        pod(
            "1",
            json!({"metadata": {"deletionTimestamp": "t", "finalizers": finalizers}}),
        )
    };
    let mut told = Told::to("finalizers");
    for name in ["p", "q"] {
        let place = format!("core/pods a {name}");
        told.put(&place, going(&["orphan"])).unwrap();
    }
    told.asks(COLLECTOR, Verb::Write, ("core/pods", "a", "p"));
    told.remove("core/pods a p").unwrap();
    found(told.put("core/pods a q", going(&[])));
}

#[test]
fn nothing_waits_for_more_on_its_way_out() {
    let mut told = Told::to("finalizers");
    let mut going = json!({"metadata": {"deletionTimestamp": "t", "finalizers": ["one"]}});
    told.put("core/pods a p", pod("1", going.clone())).unwrap();
    going["metadata"]["finalizers"] = json!(["one", "two"]);
    found(told.put("core/pods a p", pod("1", going)));
}

const COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

#[test]
fn what_has_an_owner_is_no_garbage() {
    use crate::request::Verb;
    let owned = |uid: &str| {
        pod(
            uid,
            json!({"metadata": {"ownerReferences": [{"uid": "o"}]}}),
        )
    };
    let mut told = Told::to("only garbage is collected");
    told.put("core/pods a p", owned("1")).unwrap();
    told.asks(COLLECTOR, Verb::Delete, ("core/pods", "a", "p"));
    told.remove("core/pods a p").unwrap();
    told.put("apps/replicasets a o", json!({"metadata": {"uid": "o"}}))
        .unwrap();
    told.put("core/pods a q", owned("2")).unwrap();
    told.put("core/pods a r", owned("3")).unwrap();
    told.asks(COLLECTOR, Verb::Delete, ("core/pods", "a", "q"));
    told.asks(COLLECTOR, Verb::Delete, ("core/pods", "a", "r"));
    told.asks("user", Verb::Delete, ("core/pods", "a", "r"));
    told.remove("core/pods a r").unwrap();
    found(told.remove("core/pods a q"));
}

fn budget(allowed: i64, disrupted: &[&str]) -> Value {
    let disrupted: serde_json::Map<String, Value> = disrupted
        .iter()
        .map(|pod| ((*pod).to_owned(), json!("t")))
        .collect();
    json!({
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 1,
            "expectedPods": 2, "disruptedPods": disrupted}
    })
}

const BUDGET: &str = "policy/poddisruptionbudgets a x";

#[test]
fn an_eviction_is_taken_from_the_budget() {
    use crate::request::Verb;
    let mut told = Told::to("disruption budgets");
    told.put(BUDGET, budget(1, &[])).unwrap();
    told.put("core/pods a p", pod("1", ready())).unwrap();
    told.put("core/pods a q", pod("2", ready())).unwrap();
    told.rest().unwrap();
    told.asks("evictor", Verb::Evict, ("core/pods", "a", "p"));
    told.put(BUDGET, budget(0, &["p"])).unwrap();
    told.remove("core/pods a p").unwrap();
    found(told.rest());
    told.asks("evictor", Verb::Evict, ("core/pods", "a", "q"));
    found(told.remove("core/pods a q"));
}

#[test]
fn a_budget_is_spent_once() {
    let mut told = Told::to("disruption budgets");
    told.put(BUDGET, budget(1, &[])).unwrap();
    found(told.put(BUDGET, budget(0, &["p", "q"])));
}

#[test]
fn a_budget_allows_what_its_pods_can_bear() {
    let mut told = Told::to("disruption budgets");
    told.put(BUDGET, budget(0, &[])).unwrap();
    for name in ["p", "q"] {
        let mut known = pod(name, ready());
        known["metadata"]["namespace"] = json!("a");
        known["metadata"]["name"] = json!(name);
        let known = known.to_string().into();
        told.knowledge
            .tell("core/pods", &known, false, Instant::ORIGIN);
    }
    told.put(BUDGET, budget(1, &[])).unwrap();
    found(told.put(BUDGET, budget(2, &[])));
}

#[test]
fn nothing_is_made_beyond_a_quota() {
    let quota = |pods: &str, cpu: &str| {
        let hard = json!({"pods": "1", "requests.cpu": "2"});
        let status = json!({"hard": hard, "used": {"pods": pods, "requests.cpu": cpu}});
        json!({"spec": {"hard": hard}, "status": status})
    };
    let mut told = Told::to("quotas");
    let place = "core/resourcequotas a quota";
    told.put(place, quota("0", "0")).unwrap();
    told.put("core/pods b p", pod("0", json!({}))).unwrap();
    let made = ("core/pods a p", Some(pod("1", json!({}))));
    told.commit(&[made, (place, Some(quota("1", "1500m")))])
        .unwrap();
    told.rest().unwrap();
    let made = ("core/pods a q", Some(pod("2", json!({}))));
    found(told.commit(&[made, (place, Some(quota("2", "3")))]));
    told.put(place, quota("1", "1500m")).unwrap();
    found(told.rest());
}

#[test]
fn what_is_made_is_charged_to_a_quota() {
    let hard = json!({"pods": "9"});
    let quota = json!({"spec": {"hard": hard}, "status": {"hard": hard, "used": {"pods": "0"}}});
    let mut told = Told::to("quotas");
    told.put("core/resourcequotas a quota", quota).unwrap();
    // Who began before the quota was measured may not have known.
    told.put("core/pods a p", pod("1", json!({}))).unwrap();
    for number in 0..90 {
        let map = format!("core/secrets a s{number}");
        told.put(&map, json!({})).unwrap();
    }
    found(told.put("core/pods a q", pod("2", json!({}))));
}

#[test]
fn a_machine_that_runs_is_a_node() {
    let mut told = Told::to("nodes");
    found(told.rest());
    told.put("core/nodes node-0", ready()).unwrap();
    told.rest().unwrap();
    let mut tainted = ready();
    tainted["spec"]["taints"] = json!([{"key": "node.kubernetes.io/unreachable"}]);
    told.put("core/nodes node-0", tainted).unwrap();
    found(told.rest());
}

#[test]
fn a_custom_object_has_a_definition() {
    let mut told = Told::to("custom kinds");
    told.rest().unwrap();
    told.put("sim.example/widgets a w", json!({})).unwrap();
    found(told.rest());
}

#[test]
fn endpoints_are_the_pods_of_a_service() {
    for (name, endpoints) in [
        ("endpoints", "core/endpoints a s"),
        ("endpoint slices", "discovery.k8s.io/endpointslices a s"),
    ] {
        let mut told = Told::to(name);
        told.put(
            "core/services a s",
            json!({"spec": {"selector": {"app": "x"}}}),
        )
        .unwrap();
        let told_of = json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "s"}},
            "subsets": [{"addresses": [{"ip": "10.42.0.1"}]}],
            "endpoints": [{"addresses": ["10.42.0.1"], "conditions": {"ready": true}}]
        });
        told.put(endpoints, told_of).unwrap();
        let mut running = ready();
        running["status"]["podIP"] = json!("10.42.0.1");
        told.put("core/pods a p", pod("1", running)).unwrap();
        told.rest().unwrap();
        told.remove("core/pods a p").unwrap();
        found(told.rest());
    }
}

#[test]
fn sets_have_the_pods_that_they_declare() {
    let mut told = Told::to("replica sets");
    let set = json!({"metadata": {"uid": "s"},
        "spec": {"replicas": 1, "selector": {"app": "x"}}});
    told.put("core/replicationcontrollers a s", set).unwrap();
    found(told.rest());
    let owned = json!({"metadata": {"ownerReferences": [{"uid": "s", "controller": true}]}});
    told.put("core/pods a p", pod("1", owned)).unwrap();
    told.rest().unwrap();
}

#[test]
fn generations_count_changes() {
    let mut told = Told::to("generations");
    let set = |generation: i64, replicas: i64| {
        json!({"metadata": {"generation": generation}, "spec": {"replicas": replicas},
            "status": {"observedGeneration": generation}})
    };
    told.put("apps/replicasets a s", set(1, 1)).unwrap();
    told.put("apps/replicasets a s", set(2, 2)).unwrap();
    found(told.put("apps/replicasets a s", set(2, 3)));
}

#[test]
fn nothing_outlives_its_owner() {
    let mut told = Told::to("nothing is left over");
    told.put("core/namespaces a", json!({"metadata": {"uid": "n"}}))
        .unwrap();
    told.put("core/pods a p", pod("1", json!({}))).unwrap();
    told.rest().unwrap();
    let owned = json!({"metadata": {"ownerReferences": [{"uid": "o"}]}});
    told.put("core/pods a q", pod("2", owned)).unwrap();
    found(told.rest());
}

#[test]
fn a_deployment_has_one_set_of_a_template() {
    let mut told = Told::to("deployments");
    let set = json!({"metadata": {"ownerReferences": [{"uid": "d", "controller": true}]},
        "spec": {"template": {"spec": {}}}});
    told.put("apps/replicasets a s", set.clone()).unwrap();
    found(told.put("apps/replicasets a t", set));
}

#[test]
fn sets_grow_no_further_than_their_deployment_allows() {
    let mut told = Told::to("surge and availability");
    let deployment = json!({"metadata": {"namespace": "a", "name": "d", "uid": "d"},
        "spec": {"replicas": 2, "strategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}});
    let known = deployment.to_string().into();
    told.knowledge
        .tell("apps/deployments", &known, false, Instant::ORIGIN);
    let set = |replicas: i64| {
        json!({"metadata": {"uid": "s", "ownerReferences":
            [{"kind": "Deployment", "name": "d", "uid": "d", "controller": true}]},
            "spec": {"replicas": replicas}})
    };
    told.put("apps/replicasets a s", set(3)).unwrap();
    found(told.put("apps/replicasets a s", set(4)));
}
