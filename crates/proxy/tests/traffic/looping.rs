//! The whole loop on the real kernel: from what a cache says to packets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use linux::netns::Netns;
use proxy::{Dirty, EndpointSlice, HostPort, Kernel, Owner, Protocol, Proxy, Service, Source};
use stdx::{CancellationToken, Clock, Rng};

use crate::world::*;

type Services = BTreeMap<String, (Service, Vec<EndpointSlice>)>;

#[derive(Clone, Default)]
struct Cache(Arc<Mutex<Services>>);

impl Source for Cache {
    fn owners(&self) -> Vec<Owner> {
        let services = self.0.lock().unwrap();
        let names = services.keys();
        names
            .map(|name| Owner::Service(name.as_str().into()))
            .collect()
    }

    fn service(&self, name: &str) -> Option<(Service, Vec<EndpointSlice>)> {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn host_ports(&self, _: &str) -> Option<Vec<HostPort>> {
        None
    }
}

/// Time is simulated, so that the check for other people's changes comes at
/// once; the kernel is real.
#[tokio::test(start_paused = true)]
async fn follows_the_cache_and_repairs_the_kernel() {
    if !prepared() || !has_program("nft") {
        return;
    }
    let world = World::new();
    let cache = Cache::default();
    let kernel = Kernel::open("loop", &facts(), &world.node).unwrap();
    let dirty = Dirty::default();
    let proxy = Proxy::new(
        cache.clone(),
        dirty.clone(),
        kernel,
        facts(),
        Clock::system(),
        Rng::seeded(1),
    );
    let mut synced = proxy.synced();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(proxy.run(shutdown.clone()));
    synced.wait_for(|count| *count > 0).await.unwrap();

    let put = |pods: &[usize]| {
        let entry = (service(Protocol::Tcp), vec![slice(Protocol::Tcp, pods)]);
        cache.0.lock().unwrap().insert("default/web".into(), entry);
        dirty.service("default/web");
    };
    put(&[1]);
    assert!(comes_true(&world.node, Some(1)).await);
    put(&[2]);
    assert!(comes_true(&world.node, Some(2)).await);
    world.nft(&["flush", "ruleset"]);
    assert!(comes_true(&world.node, Some(2)).await, "made again");
    cache.0.lock().unwrap().clear();
    dirty.everything();
    assert!(comes_true(&world.node, None).await);

    shutdown.cancel();
    task.await.unwrap();
    assert!(proxy::remove("loop", &world.node).unwrap());
}

/// Whether that pod, or nobody, comes to answer.
async fn comes_true(from: &Netns, pod: Option<usize>) -> bool {
    for _ in 0..50 {
        let answer = ask_briefly(from, CLUSTER_IP, PORT);
        if answer.ok().map(|answer| answer.pod) == pod {
            return true;
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    false
}
