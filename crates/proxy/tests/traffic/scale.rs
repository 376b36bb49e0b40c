//! What one change costs among many Services. Run by hand:
//! `cargo test -p proxy --test traffic -- --ignored --nocapture`.

use std::net::Ipv4Addr;

use proxy::{Backend, Facts, Kernel, Protocol, Service, State};
use stdx::Clock;

use crate::world::*;

const SERVICES: u32 = 30_000;

#[test]
#[ignore = "a measurement, not a check"]
fn one_change_among_thirty_thousand() {
    if !prepared() {
        return;
    }
    let node = linux::netns::Netns::create().unwrap();
    let facts: Facts = facts();
    let mut kernel = Kernel::open("scale", &facts, &node).unwrap();
    let mut state = State::new(facts);
    let clock = Clock::system();
    let service = |number: u32| Service {
        cluster_ips: vec![Ipv4Addr::from(0x0a80_0000 + number).into()],
        ports: Vec::from([proxy::ServicePort {
            node_port: None,
            ..service(Protocol::Tcp).ports[0].clone()
        }]),
        ..Service::default()
    };
    let start = clock.now();
    for number in 0..SERVICES {
        let slices = [slice(Protocol::Tcp, &[0, 1, 2])];
        state.set_service(owner(&number.to_string()), &service(number), &slices);
    }
    let ruleset = state.ruleset();
    state.changes();
    println!(
        "planned {} entries in {:?}",
        ruleset.entries.len(),
        clock.since(start)
    );
    let start = clock.now();
    kernel.replace(&ruleset).unwrap();
    println!("first transaction: {:?}", clock.since(start));
    let mut times = Vec::new();
    for round in 0..200u32 {
        let number = (round * 7919) % SERVICES;
        let pods: &[usize] = if round % 2 == 0 {
            &[0, 1]
        } else {
            &[0, 1, 2, 10]
        };
        let start = clock.now();
        let slices = [slice(Protocol::Tcp, pods)];
        state.set_service(owner(&number.to_string()), &service(number), &slices);
        kernel.apply(&state.changes()).unwrap();
        times.push(clock.since(start));
    }
    times.sort();
    println!(
        "one change: p50 {:?}, p99 {:?}, max {:?}",
        times[100], times[198], times[199]
    );
    let start = clock.now();
    let read = kernel.read().unwrap().unwrap();
    println!("read back: {:?}", clock.since(start));
    assert_eq!(read, state.ruleset());
}
