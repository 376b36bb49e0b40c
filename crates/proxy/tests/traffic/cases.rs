//! What clients meet.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use linux::link::{Address, Links, Scope};
use proxy::{Backend, Conditions, HostPort, Owner, Protocol, Service};

use crate::world::*;

const TCP: Protocol = Protocol::Tcp;
const UDP: Protocol = Protocol::Udp;

/// The pods that answer when asked often.
fn answering(from: &linux::netns::Netns, to: Ipv4Addr, port: u16) -> BTreeSet<usize> {
    (0..60).map(|_| ask(from, to, port).unwrap().pod).collect()
}

#[test]
fn a_cluster_address_is_balanced_over_the_endpoints() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set("web", &service(TCP), &[slice(TCP, &[0, 1, 2])]);
    let all = BTreeSet::from([0, 1, 2]);
    assert_eq!(answering(&world.pods[0], CLUSTER_IP, PORT), all);
    assert_eq!(answering(&world.node, CLUSTER_IP, PORT), all);
    assert_eq!(answering(&world.outside, CLUSTER_IP, PORT), all);
    let from_pod = loop {
        let answer = ask(&world.pods[0], CLUSTER_IP, PORT).unwrap();
        if answer.pod == 1 {
            break answer;
        }
    };
    assert_eq!(
        from_pod.source,
        IpAddr::from(pod_ip(0)),
        "pods are seen as they are"
    );
    let from_outside = ask(&world.outside, CLUSTER_IP, PORT).unwrap();
    assert_eq!(from_outside.source, IpAddr::from(NODE_IP));
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set("web", &service(TCP), &[slice(TCP, &[0])]);
    let answer = ask(&world.pods[0], CLUSTER_IP, PORT).unwrap();
    assert_eq!(answer.source, IpAddr::from(NODE_IP));
}

#[test]
fn without_endpoints_it_refuses_at_once() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set("web", &service(TCP), &[]);
    world.set(
        "names",
        &Service {
            cluster_ips: vec![Ipv4Addr::new(10, 43, 0, 2).into()],
            ..service(UDP)
        },
        &[],
    );
    for from in [&world.pods[0], &world.node, &world.outside] {
        assert!(is_refused(from, CLUSTER_IP, PORT), "no endpoint");
        assert!(is_refused(from, CLUSTER_IP, 81), "no such port");
        let client = client(from, Ipv4Addr::new(10, 43, 0, 2), PORT);
        let error = ask_udp(&client).unwrap_err();
        // On the node itself the kernel refuses the very call that sends.
        let kinds = [ErrorKind::ConnectionRefused, ErrorKind::PermissionDenied];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
    assert!(is_refused(&world.outside, NODE_IP, NODE_PORT));
    world.set("web", &service(TCP), &[slice(TCP, &[2])]);
    assert_eq!(ask(&world.node, CLUSTER_IP, PORT).unwrap().pod, 2);
    assert!(
        is_refused(&world.node, CLUSTER_IP, 81),
        "still no such port"
    );
}

#[test]
fn what_goes_to_an_address_that_no_service_has_ends_on_the_node() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set("web", &service(TCP), &[slice(TCP, &[2])]);
    let nobody = Ipv4Addr::new(10, 43, 7, 7);
    for from in [&world.pods[0], &world.node] {
        assert!(ask(from, nobody, PORT).is_err());
        assert_eq!(ask(from, CLUSTER_IP, PORT).unwrap().pod, 2);
    }
}

#[test]
fn a_node_port_answers_on_the_nodes_addresses() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set("web", &service(TCP), &[slice(TCP, &[0, 1])]);
    for from in [&world.outside, &world.node, &world.pods[2]] {
        let answer = ask(from, NODE_IP, NODE_PORT).unwrap();
        assert_eq!(answer.source, IpAddr::from(NODE_IP), "masqueraded");
    }
    assert_eq!(
        answering(&world.outside, NODE_IP, NODE_PORT),
        BTreeSet::from([0, 1])
    );
}

#[test]
fn external_local_keeps_the_source_and_the_node() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let local = Service {
        external_local: true,
        external_ips: vec![Ipv4Addr::new(198, 51, 100, 7).into()],
        ..service(TCP)
    };
    // Pod 1 is said to be on another node.
    world.set("web", &local, &[slice(TCP, &[0, 11])]);
    for (to, port) in [(NODE_IP, NODE_PORT), (Ipv4Addr::new(198, 51, 100, 7), PORT)] {
        let answer = ask(&world.outside, to, port).unwrap();
        assert_eq!(
            answer,
            Answer {
                pod: 0,
                source: OUTSIDE_IP.into()
            }
        );
        assert_eq!(answering(&world.outside, to, port), BTreeSet::from([0]));
        assert_eq!(answering(&world.pods[2], to, port), BTreeSet::from([0, 1]));
        assert_eq!(answering(&world.node, to, port), BTreeSet::from([0, 1]));
    }
    world.set("web", &local, &[slice(TCP, &[11])]);
    assert!(
        is_silent(&world.outside, NODE_IP, NODE_PORT),
        "left to nodes that have one"
    );
    assert_eq!(
        answering(&world.node, NODE_IP, NODE_PORT),
        BTreeSet::from([1])
    );
    world.set("web", &local, &[]);
    assert!(
        is_refused(&world.outside, NODE_IP, NODE_PORT),
        "nobody has one"
    );
}

#[test]
fn internal_local_keeps_to_the_node() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let local = Service {
        internal_local: true,
        ..service(TCP)
    };
    world.set("web", &local, &[slice(TCP, &[0, 11])]);
    assert_eq!(
        answering(&world.pods[2], CLUSTER_IP, PORT),
        BTreeSet::from([0])
    );
    world.set("web", &local, &[slice(TCP, &[11])]);
    assert!(is_silent(&world.pods[2], CLUSTER_IP, PORT));
}

#[test]
fn affinity_keeps_a_client_with_an_endpoint_as_long_as_it_is_there() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let sticky = Service {
        affinity_seconds: Some(10_800),
        ..service(TCP)
    };
    world.set("web", &sticky, &[slice(TCP, &[0, 1, 2])]);
    let first = ask(&world.outside, CLUSTER_IP, PORT).unwrap().pod;
    assert_eq!(
        answering(&world.outside, CLUSTER_IP, PORT),
        BTreeSet::from([first])
    );
    assert_eq!(
        answering(&world.outside, NODE_IP, NODE_PORT),
        BTreeSet::from([first]),
        "whichever address"
    );
    assert_eq!(world.kernel.remembered().unwrap(), 1);

    // Another endpoint goes: nothing changes for this client.
    let others: Vec<usize> = (0..3).filter(|pod| *pod != first).collect();
    world.set("web", &sticky, &[slice(TCP, &[first, others[0]])]);
    assert_eq!(
        answering(&world.outside, CLUSTER_IP, PORT),
        BTreeSet::from([first])
    );

    // Its own goes: it gets another and stays there.
    world.set("web", &sticky, &[slice(TCP, &others)]);
    let second = ask(&world.outside, CLUSTER_IP, PORT).unwrap().pod;
    assert_ne!(second, first);
    assert_eq!(
        answering(&world.outside, CLUSTER_IP, PORT),
        BTreeSet::from([second])
    );
    assert_eq!(world.kernel.remembered().unwrap(), 1);
}

#[test]
fn a_client_that_stays_away_is_forgotten() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let sticky = Service {
        affinity_seconds: Some(1),
        ..service(TCP)
    };
    world.set("web", &sticky, &[slice(TCP, &[0, 1, 2])]);
    ask(&world.outside, CLUSTER_IP, PORT).unwrap();
    assert_eq!(world.kernel.remembered().unwrap(), 1);
    for _ in 0..1_000 {
        if world.kernel.remembered().unwrap() == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("still remembered");
}

#[test]
fn the_nodes_own_server_answers_at_a_services_address() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    serve(7, &world.node, &world.stop);
    let mut endpoints = slice(TCP, &[0]);
    endpoints.endpoints[0].addresses = vec![NODE_IP.into()];
    // As that of the API server, it says of no node that it is on it.
    endpoints.endpoints[0].node = None;
    world.set("kubernetes", &service(TCP), &[endpoints]);
    for (from, seen) in [
        (&world.pods[0], IpAddr::from(pod_ip(0))),
        (&world.node, NODE_IP.into()),
        (&world.outside, OUTSIDE_IP.into()),
    ] {
        let answer = ask(from, CLUSTER_IP, PORT).unwrap();
        let source = seen;
        assert_eq!(answer, Answer { pod: 7, source });
    }
}

#[test]
fn exempt_addresses_are_answered_on_the_node() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let mut links = world.node.run(Links::open).unwrap().unwrap();
    let lo = links.link("lo").unwrap().unwrap().index;
    let address = Address {
        link: lo,
        address: DNS_IP.into(),
        prefix: 32,
        scope: Scope::HOST,
        label: None,
    };
    links.add_address(&address).unwrap();
    serve(7, &world.node, &world.stop);
    let dns = Service {
        cluster_ips: vec![DNS_IP.into()],
        ..service(TCP)
    };
    world.set("dns", &dns, &[]);
    for from in [&world.pods[0], &world.node] {
        assert_eq!(ask(from, DNS_IP, 8080).unwrap().pod, 7);
    }
}

#[test]
fn a_udp_flow_leaves_an_endpoint_that_is_gone() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set("names", &service(UDP), &[slice(UDP, &[0])]);
    let from_pod = client(&world.pods[2], CLUSTER_IP, PORT);
    let from_outside = client(&world.outside, NODE_IP, NODE_PORT);
    for client in [&from_pod, &from_outside] {
        assert_eq!(ask_udp(client).unwrap().pod, 0);
    }
    world.set("names", &service(UDP), &[slice(UDP, &[0, 1])]);
    for client in [&from_pod, &from_outside] {
        assert_eq!(ask_udp(client).unwrap().pod, 0, "a flow stays where it is");
    }
    world.set("names", &service(UDP), &[slice(UDP, &[1])]);
    for client in [&from_pod, &from_outside] {
        assert_eq!(ask_udp(client).unwrap().pod, 1);
    }
}

#[test]
fn a_flow_that_began_too_early_finds_the_service() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    // Before the Service exists the packets go out to nowhere.
    let early = client(&world.pods[2], CLUSTER_IP, PORT);
    early.send(b"who").unwrap();
    world.set("names", &service(UDP), &[slice(UDP, &[1])]);
    assert_eq!(ask_udp(&early).unwrap().pod, 1);
}

#[test]
fn those_that_go_are_used_when_no_others_are_left() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let mut going = slice(TCP, &[1]);
    going.endpoints[0].conditions = Conditions {
        ready: false,
        serving: true,
        terminating: true,
    };
    world.set("web", &service(TCP), &[slice(TCP, &[0]), going.clone()]);
    assert_eq!(
        answering(&world.node, CLUSTER_IP, PORT),
        BTreeSet::from([0])
    );
    world.set("web", &service(TCP), &[going]);
    assert_eq!(
        answering(&world.node, CLUSTER_IP, PORT),
        BTreeSet::from([1])
    );
}

#[test]
fn source_ranges_keep_others_out() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let balancer = Ipv4Addr::new(203, 0, 113, 9);
    let mut limited = Service {
        load_balancer_ips: vec![balancer.into()],
        source_ranges: vec!["192.0.2.0/28".parse().unwrap()],
        ..service(TCP)
    };
    world.set("web", &limited, &[slice(TCP, &[0])]);
    assert!(is_silent(&world.outside, balancer, PORT));
    assert!(
        ask(&world.outside, CLUSTER_IP, PORT).is_ok(),
        "other addresses are not limited"
    );
    limited.source_ranges.push("192.0.2.64/26".parse().unwrap());
    world.set("web", &limited, &[slice(TCP, &[0])]);
    assert!(ask(&world.outside, balancer, PORT).is_ok());
    // The wider range swallows both in one step.
    limited.source_ranges.push("192.0.0.0/16".parse().unwrap());
    world.set("web", &limited, &[slice(TCP, &[0])]);
    assert!(ask(&world.outside, balancer, PORT).is_ok());
}

#[test]
fn host_ports_lead_to_their_pod() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let port = HostPort {
        host_ip: None,
        host_port: 8088,
        protocol: TCP,
        pod_ip: pod_ip(1).into(),
        container_port: 8080,
    };
    let owner = Owner::Pod("default/web".into());
    world.state.set_host_ports(owner.clone(), &[port]);
    world.apply();
    let answer = ask(&world.outside, NODE_IP, 8088).unwrap();
    assert_eq!(
        answer,
        Answer {
            pod: 1,
            source: OUTSIDE_IP.into()
        }
    );
    for from in [&world.node, &world.pods[0], &world.pods[1]] {
        assert_eq!(ask(from, NODE_IP, 8088).unwrap().pod, 1);
    }
    world.state.remove(&owner);
    world.apply();
    assert!(is_refused(&world.outside, NODE_IP, 8088));
}

#[test]
fn changes_are_atomic_for_those_who_connect_all_the_time() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set("web", &service(TCP), &[slice(TCP, &[0])]);
    let netns = linux::netns::Netns::create().unwrap();
    assert!(!netns.is_same(&world.node));
    let done = AtomicBool::new(false);
    let World {
        pods,
        outside,
        state,
        kernel,
        ..
    } = &mut world;
    let (pods, outside) = (&*pods, &*outside);
    thread::scope(|scope| {
        let clients: Vec<_> = [&pods[2], outside]
            .into_iter()
            .map(|from| {
                let done = &done;
                scope.spawn(move || {
                    let mut count = 0;
                    while !done.load(Ordering::Relaxed) {
                        ask(from, CLUSTER_IP, PORT).expect("always somebody there");
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let sets: [&[usize]; 5] = [&[1], &[0, 1], &[2], &[1, 2, 0], &[0]];
        for round in 0..100 {
            for set in sets {
                state.set_service(owner("web"), &service(TCP), &[slice(TCP, set)]);
                kernel.apply(&state.changes()).unwrap();
                let answer = ask(outside, CLUSTER_IP, PORT).unwrap();
                assert!(
                    set.contains(&answer.pod),
                    "round {round}: {answer:?} of {set:?}"
                );
            }
        }
        done.store(true, Ordering::Relaxed);
        let counts: Vec<i32> = clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect();
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    });
}
