//! What one change costs among 30,000 Services, from the changed slice to the
//! kernel's answer, in a network namespace of its own.

use super::Row;
use crate::bench::{Bench, millis};
use crate::figure::{Figure, Samples, Unit};
use crate::load::quantile;
use anyhow::{Context as _, Result};
use linux::netns::Netns;
use proxy::{
    Backend as _, Conditions, Endpoint, EndpointSlice, Facts, Kernel, Owner, Protocol, Service,
    ServicePort, SlicePort, State,
};
use std::net::Ipv4Addr;

const CHANGE: Figure = Figure::new("one change among 30,000 Services, p50", Unit::Millis)
    .kubernetes("137–248 ms (iptables)")
    .at_most(1.0);
const CHANGE_P99: Figure = Figure::new("one change among 30,000 Services, p99", Unit::Millis);
const FIRST: Figure = Figure::new("30,000 Services, first transaction", Unit::Millis);

const SERVICES: u32 = 30_000;
const CHANGES: u32 = 400;

pub const ROW: Row = Row {
    name: "services",
    own: true,
    figures: &[CHANGE, CHANGE_P99, FIRST],
    measure: |bench, samples| Box::pin(async { measure(bench, samples) }),
};

fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    for _ in 0..bench.runs(3) {
        let node = Netns::create().context("make a network namespace")?;
        let mut kernel = Kernel::open("bench", &facts()?, &node).context("reach the kernel")?;
        let mut state = State::new(facts()?);
        for number in 0..SERVICES {
            state.set_service(owner(number), &service(number), &[slice(3)]);
        }
        let ruleset = state.ruleset();
        state.changes();
        let start = bench.clock.now();
        kernel.replace(&ruleset).context("write all Services")?;
        samples.add(&FIRST, millis(bench.clock.since(start)));
        let mut times = Vec::new();
        for round in 0..CHANGES {
            let number = (round * 7919) % SERVICES;
            let endpoints = if round % 2 == 0 { 2 } else { 4 };
            let start = bench.clock.now();
            state.set_service(owner(number), &service(number), &[slice(endpoints)]);
            kernel.apply(&state.changes()).context("write one change")?;
            times.push(bench.clock.since(start));
        }
        times.sort_unstable();
        samples.add(&CHANGE, millis(quantile(&times, 0.5)));
        samples.add(&CHANGE_P99, millis(quantile(&times, 0.99)));
    }
    Ok(())
}

fn facts() -> Result<Facts> {
    let cidr = "10.42.0.0/16".parse().ok().context("read a network")?;
    Ok(Facts {
        node: "here".into(),
        zone: None,
        ipv6: false,
        cluster_cidrs: vec![cidr],
        service_cidrs: Vec::new(),
        exempt: Vec::new(),
        pod_links: None,
        loopback: false,
    })
}

fn owner(number: u32) -> Owner {
    Owner::Service(format!("default/service-{number}").into())
}

fn service(number: u32) -> Service {
    Service {
        cluster_ips: vec![Ipv4Addr::from(0x0a80_0000 + number).into()],
        ports: vec![ServicePort {
            name: "web".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        ..Service::default()
    }
}

fn slice(endpoints: u8) -> EndpointSlice {
    let endpoint = |number| Endpoint {
        addresses: vec![Ipv4Addr::new(10, 42, 0, 5 + number).into()],
        node: Some("here".into()),
        conditions: Conditions::READY,
        zone_hints: Vec::new(),
        node_hints: Vec::new(),
    };
    EndpointSlice {
        ports: vec![SlicePort {
            name: "web".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: (0..endpoints).map(endpoint).collect(),
    }
}
