//! The loop against a ruleset in memory, with simulated time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use super::*;
use crate::{
    memory::Memory,
    model::{Conditions, Endpoint, Protocol, ServicePort, SlicePort},
};

type Services = BTreeMap<String, (Service, Vec<EndpointSlice>)>;

#[derive(Clone, Default)]
struct Cluster {
    services: Arc<Mutex<Services>>,
}

impl Cluster {
    fn lock(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap()
    }

    fn put(&self, name: &str, last: u8, endpoints: usize) {
        let port = |port| SlicePort {
            name: String::new(),
            protocol: Protocol::Udp,
            port,
        };
        let service = Service {
            cluster_ips: vec![[10, 43, 0, last].into()],
            ports: vec![ServicePort {
                name: String::new(),
                protocol: Protocol::Udp,
                port: 53,
                node_port: None,
            }],
            ..Service::default()
        };
        let endpoint = |number: usize| Endpoint {
            addresses: vec![[10, 42, 1, number as u8].into()],
            node: None,
            conditions: Conditions::READY,
            zone_hints: Vec::new(),
            node_hints: Vec::new(),
        };
        let slice = EndpointSlice {
            ports: vec![port(53)],
            endpoints: (0..endpoints).map(endpoint).collect(),
        };
        self.lock().insert(name.into(), (service, vec![slice]));
    }
}

impl Source for Cluster {
    fn owners(&self) -> Vec<Owner> {
        let services = self.lock();
        services
            .keys()
            .map(|name| Owner::Service(name.as_str().into()))
            .collect()
    }

    fn service(&self, name: &str) -> Option<(Service, Vec<EndpointSlice>)> {
        self.lock().get(name).cloned()
    }

    fn host_ports(&self, _: &str) -> Option<Vec<HostPort>> {
        None
    }
}

struct Running {
    cluster: Cluster,
    memory: Memory,
    dirty: Dirty,
    synced: watch::Receiver<u64>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(memory: Memory) -> Running {
    let cluster = Cluster::default();
    cluster.put("default/dns", 1, 2);
    let clock = Clock::system();
    let proxy = Proxy::new(
        cluster.clone(),
        Dirty::default(),
        memory.clone(),
        Facts::here(),
        clock,
        Rng::seeded(1),
    );
    let (dirty, synced) = (proxy.dirty.clone(), proxy.synced());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(proxy.run(shutdown.clone()));
    Running {
        cluster,
        memory,
        dirty,
        synced,
        shutdown,
        task,
    }
}

impl Running {
    async fn until(&mut self, wanted: impl Fn(&Ruleset) -> bool) {
        for _ in 0..1_000 {
            if self.memory.ruleset().as_ref().is_some_and(&wanted) {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_secs(90), self.synced.changed()).await;
        }
        panic!("never: {:#?}", self.memory.ruleset());
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn targets(ruleset: &Ruleset) -> Vec<String> {
    let entries = ruleset.iter();
    let services = entries.filter(|entry| entry.map == crate::Map::Services);
    services.map(|entry| entry.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn follows_what_is_said_to_have_changed() {
    let mut running = start(Memory::default());
    running.until(|ruleset| targets(ruleset).len() == 1).await;
    running.cluster.put("default/web", 2, 3);
    running.dirty.service("default/web");
    running.until(|ruleset| targets(ruleset).len() == 2).await;
    running.cluster.lock().remove("default/dns");
    running.dirty.service("default/dns");
    running.until(|ruleset| targets(ruleset).len() == 1).await;
    let forgotten = running.memory.forgotten();
    assert!(
        forgotten.iter().any(|udp| udp.serving.len() == 3),
        "{forgotten:?}"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn tries_again_and_repairs_what_others_did() {
    let memory = Memory::default();
    memory.fail(5);
    let mut running = start(memory);
    running.until(|ruleset| targets(ruleset).len() == 1).await;

    running.memory.tamper(None);
    running.until(|ruleset| targets(ruleset).len() == 1).await;

    let mut stale = running.memory.ruleset().unwrap();
    let wanted = stale.clone();
    stale.entries.pop_first();
    running.memory.tamper(Some(stale));
    running.until(|ruleset| *ruleset == wanted).await;

    // A refused change is not forgotten.
    running.memory.fail(1);
    running.cluster.put("default/dns", 1, 4);
    running.dirty.service("default/dns");
    running
        .until(|ruleset| targets(ruleset)[0].contains("any of 4"))
        .await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn adopts_what_an_earlier_run_left() {
    let mut running = start(Memory::default());
    running.until(|ruleset| targets(ruleset).len() == 1).await;
    let memory = running.memory.clone();
    let left = memory.ruleset().unwrap();
    let before = memory.clone().generation().unwrap();
    running.stop().await;
    let mut running = start(memory.clone());
    running.synced.changed().await.unwrap();
    assert_eq!(memory.ruleset().unwrap(), left);
    assert_eq!(
        memory.clone().generation().unwrap(),
        before,
        "nothing was touched"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn tidies_up_while_others_change_rules_all_the_time() {
    let mut running = start(Memory::default());
    running.until(|ruleset| targets(ruleset).len() == 1).await;
    for _ in 0..20 {
        let same = running.memory.ruleset();
        running.memory.tamper(same);
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert!(running.memory.tidied() > 0);
    running.stop().await;
}
