//! Tables of cases: a Service, its endpoints, and the entries that follow.

use expect_test::{Expect, expect};

use super::*;
use crate::{
    model::{Conditions, Endpoint, ServicePort, SlicePort},
    state::State,
};

fn facts() -> Facts {
    Facts {
        node: "here".into(),
        zone: Some("z1".into()),
        ipv6: false,
        cluster_cidrs: vec!["10.42.0.0/16".parse().unwrap()],
        service_cidrs: Vec::new(),
        exempt: vec!["10.43.0.10".parse().unwrap()],
        pod_links: None,
        loopback: false,
    }
}

fn port(protocol: Protocol, port: u16, node_port: Option<u16>) -> ServicePort {
    ServicePort {
        name: "web".into(),
        protocol,
        port,
        node_port,
    }
}

fn service() -> Service {
    Service {
        cluster_ips: vec!["10.43.0.1".parse().unwrap()],
        ports: vec![port(Protocol::Tcp, 80, None)],
        ..Service::default()
    }
}

fn on(node: &str, address: &str, conditions: Conditions) -> Endpoint {
    Endpoint {
        addresses: vec![address.parse().unwrap()],
        node: (!node.is_empty()).then(|| node.into()),
        conditions,
        zone_hints: Vec::new(),
        node_hints: Vec::new(),
    }
}

fn slice(endpoints: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice {
        ports: vec![SlicePort {
            name: "web".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints,
    }
}

const READY: Conditions = Conditions::READY;
const GOING: Conditions = Conditions {
    ready: false,
    serving: true,
    terminating: true,
};
const SICK: Conditions = Conditions {
    ready: false,
    serving: false,
    terminating: false,
};

fn check(service: &Service, endpoints: Vec<Endpoint>, expect: &Expect) {
    let mut state = State::new(facts());
    let owner = Owner::Service("default/web".into());
    state.set_service(owner, service, &[slice(endpoints)]);
    let lines: Vec<String> = state
        .ruleset()
        .iter()
        .map(|entry| entry.to_string())
        .collect();
    expect.assert_eq(&lines.join("\n"));
}

#[test]
fn a_cluster_address_leads_to_its_ready_endpoints() {
    check(
        &service(),
        vec![
            on("here", "10.42.0.5", READY),
            on("there", "10.42.1.5", READY),
            on("there", "10.42.1.6", SICK),
        ],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> any of 2 in group 5968e4e9, masquerade outside
            endpoints: 0 of group 5968e4e9 -> 10.42.0.5 8080
            endpoints: 1 of group 5968e4e9 -> 10.42.1.5 8080
            cluster-ips: 10.43.0.1
            hairpins: 10.42.0.5"#]],
    );
}

#[test]
fn nobody_at_all_refuses() {
    check(
        &service(),
        vec![on("here", "10.42.0.5", SICK)],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> refuse in group 00000000, masquerade outside
            cluster-ips: 10.43.0.1"#]],
    );
}

#[test]
fn those_that_go_are_used_when_no_others_are_left() {
    check(
        &service(),
        vec![
            on("there", "10.42.1.5", GOING),
            on("there", "10.42.1.6", SICK),
        ],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> any of 1 in group 5968e4e9, masquerade outside
            endpoints: 0 of group 5968e4e9 -> 10.42.1.5 8080
            cluster-ips: 10.43.0.1"#]],
    );
}

#[test]
fn internal_local_keeps_to_the_node_and_drops_without() {
    let service = Service {
        internal_local: true,
        ..service()
    };
    let there = on("there", "10.42.1.5", READY);
    check(
        &service,
        vec![on("here", "10.42.0.5", READY), there.clone()],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> any of 1 in group 8a13c8bc, masquerade outside
            endpoints: 0 of group 8a13c8bc -> 10.42.0.5 8080
            cluster-ips: 10.43.0.1
            hairpins: 10.42.0.5"#]],
    );
    check(
        &service,
        vec![there],
        &expect![[r#"
        services: tcp 10.43.0.1 80 -> drop in group 00000000, masquerade outside
        cluster-ips: 10.43.0.1"#]],
    );
}

#[test]
fn node_ports_and_outer_addresses_are_masqueraded() {
    let service = Service {
        external_ips: vec!["198.51.100.7".parse().unwrap()],
        ports: vec![port(Protocol::Tcp, 80, Some(30080))],
        ..service()
    };
    check(
        &service,
        vec![on("there", "10.42.1.5", READY)],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> any of 1 in group 5968e4e9, masquerade outside
            services: tcp 198.51.100.7 80 -> any of 1 in group 5968e4e9, masquerade all
            node-ports: tcp node 30080 -> any of 1 in group 5968e4e9, masquerade all
            endpoints: 0 of group 5968e4e9 -> 10.42.1.5 8080
            cluster-ips: 10.43.0.1"#]],
    );
}

#[test]
fn external_local_shows_outsiders_only_what_is_here() {
    let service = Service {
        load_balancer_ips: vec!["203.0.113.9".parse().unwrap()],
        ports: vec![port(Protocol::Tcp, 80, Some(30080))],
        external_local: true,
        ..service()
    };
    let there = on("there", "10.42.1.5", READY);
    check(
        &service,
        vec![on("here", "10.42.0.5", READY), there.clone()],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> any of 2 in group 5968e4e9, masquerade outside
            services: tcp 203.0.113.9 80 -> any of 2 in group 5968e4e9, masquerade host
            services-local: tcp 203.0.113.9 80 -> any of 1 in group 8a13c8bc, masquerade host
            node-ports: tcp node 30080 -> any of 2 in group 5968e4e9, masquerade host
            node-ports-local: tcp node 30080 -> any of 1 in group 8a13c8bc, masquerade host
            endpoints: 0 of group 5968e4e9 -> 10.42.0.5 8080
            endpoints: 0 of group 8a13c8bc -> 10.42.0.5 8080
            endpoints: 1 of group 5968e4e9 -> 10.42.1.5 8080
            cluster-ips: 10.43.0.1
            hairpins: 10.42.0.5"#]],
    );
    check(
        &service,
        vec![there],
        &expect![[r#"
        services: tcp 10.43.0.1 80 -> any of 1 in group 5968e4e9, masquerade outside
        services: tcp 203.0.113.9 80 -> any of 1 in group 5968e4e9, masquerade host
        services-local: tcp 203.0.113.9 80 -> drop in group 00000000, masquerade host
        node-ports: tcp node 30080 -> any of 1 in group 5968e4e9, masquerade host
        node-ports-local: tcp node 30080 -> drop in group 00000000, masquerade host
        endpoints: 0 of group 5968e4e9 -> 10.42.1.5 8080
        cluster-ips: 10.43.0.1"#]],
    );
}

#[test]
fn source_ranges_limit_the_balancers_address() {
    let service = Service {
        load_balancer_ips: vec!["203.0.113.9".parse().unwrap()],
        source_ranges: ["192.0.2.0/24", "192.0.2.128/25", "fd00::/8"]
            .map(|text| text.parse().unwrap())
            .into(),
        ..service()
    };
    check(
        &service,
        vec![on("there", "10.42.1.5", READY)],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> any of 1 in group 5968e4e9, masquerade outside
            services: tcp 203.0.113.9 80 -> any of 1 in group 5968e4e9, masquerade all
            endpoints: 0 of group 5968e4e9 -> 10.42.1.5 8080
            cluster-ips: 10.43.0.1
            restricted: tcp 203.0.113.9 80
            allowed: tcp 203.0.113.9 80 from 192.0.2.0/24"#]],
    );
}

#[test]
fn affinity_remembers_members() {
    let service = Service {
        affinity_seconds: Some(10_800),
        ..service()
    };
    check(
        &service,
        vec![
            on("there", "10.42.1.5", READY),
            on("", "198.51.100.3", READY),
        ],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> sticky 10800s of 2 in group 5968e4e9, masquerade outside
            picks: 0 of group 5968e4e9 -> member 5841dbdc
            picks: 1 of group 5968e4e9 -> member d086e09b
            members: 1480711132 of group 5968e4e9 -> 10.42.1.5 8080
            members: 3498500251 of group 5968e4e9 -> 198.51.100.3 8080
            cluster-ips: 10.43.0.1
            hairpins: 198.51.100.3"#]],
    );
}

#[test]
fn exempt_and_foreign_addresses_are_left_alone() {
    let service = Service {
        cluster_ips: vec!["10.43.0.10".parse().unwrap(), "fd00::1".parse().unwrap()],
        ..service()
    };
    check(
        &service,
        vec![on("there", "10.42.1.5", READY)],
        &expect![[""]],
    );
}

#[test]
fn ports_are_joined_by_name_and_protocol() {
    let mut service = service();
    service.ports.push(ServicePort {
        name: "dns".into(),
        ..port(Protocol::Udp, 53, None)
    });
    check(
        &service,
        vec![on("there", "10.42.1.5", READY)],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> any of 1 in group 5968e4e9, masquerade outside
            services: udp 10.43.0.1 53 -> refuse in group 00000000, masquerade outside
            endpoints: 0 of group 5968e4e9 -> 10.42.1.5 8080
            cluster-ips: 10.43.0.1"#]],
    );
}

#[test]
fn hints_choose_the_zone_when_every_endpoint_has_them() {
    let hinted = |address, zone: &str| Endpoint {
        zone_hints: vec![zone.into()],
        ..on("there", address, READY)
    };
    check(
        &service(),
        vec![hinted("10.42.1.5", "z1"), hinted("10.42.2.5", "z2")],
        &expect![[r#"
            services: tcp 10.43.0.1 80 -> any of 1 in group 5968e4e9, masquerade outside
            endpoints: 0 of group 5968e4e9 -> 10.42.1.5 8080
            cluster-ips: 10.43.0.1"#]],
    );
}

#[test]
fn host_ports_lead_to_one_pod() {
    let mut state = State::new(facts());
    let port = |host_ip: Option<&str>| HostPort {
        host_ip: host_ip.map(|ip| ip.parse().unwrap()),
        host_port: 8053,
        protocol: Protocol::Udp,
        pod_ip: "10.42.0.9".parse().unwrap(),
        container_port: 53,
    };
    let ports = [port(None), port(Some("192.0.2.2"))];
    state.set_host_ports(Owner::Pod("default/dns".into()), &ports);
    let lines: Vec<String> = state
        .ruleset()
        .iter()
        .map(|entry| entry.to_string())
        .collect();
    expect![[r#"
        services: udp 192.0.2.2 8053 -> any of 1 in group 2fd70080, masquerade host
        node-ports: udp node 8053 -> any of 1 in group cfbdbede, masquerade host
        endpoints: 0 of group 2fd70080 -> 10.42.0.9 53
        endpoints: 0 of group cfbdbede -> 10.42.0.9 53
        hairpins: 10.42.0.9"#]]
    .assert_eq(&lines.join("\n"));
    let udp: Vec<String> = state
        .changes()
        .udp
        .iter()
        .map(|udp| format!("{} {:?}", udp.frontend, udp.serving))
        .collect();
    expect![[r#"
        udp node 8053 [10.42.0.9]
        udp 192.0.2.2 8053 [10.42.0.9]"#]]
    .assert_eq(&udp.join("\n"));
}
