//! What stands in the kernel: as the `nft` program prints it, as we read it
//! back, and after it is removed.

use std::net::Ipv4Addr;

use expect_test::expect;
use linux::{
    netns::Netns,
    nft::{Batch, Family, Nft},
};
use proxy::{Backend, Changes, Facts, Kernel, Protocol, Ruleset, Service, State};

use crate::world::*;

#[test]
fn the_nft_program_prints_it() {
    if !prepared() || !has_program("nft") {
        return;
    }
    let mut world = World::new();
    let sticky = Service {
        affinity_seconds: Some(60),
        cluster_ips: vec![Ipv4Addr::new(10, 43, 0, 2).into()],
        external_local: true,
        load_balancer_ips: vec![Ipv4Addr::new(203, 0, 113, 9).into()],
        source_ranges: vec!["192.0.2.0/24".parse().unwrap()],
        ports: Vec::from([proxy::ServicePort {
            node_port: None,
            ..service(Protocol::Tcp).ports[0].clone()
        }]),
        ..service(Protocol::Tcp)
    };
    world.set(
        "web",
        &service(Protocol::Udp),
        &[slice(Protocol::Udp, &[0, 1, 12])],
    );
    world.set("sticky", &sticky, &[slice(Protocol::Tcp, &[0, 11])]);
    expect![[r#"
        table ip tiphys-test {
        	comment "tiphys services, layout c47b3f25"
        	map services {
        		type inet_proto . ipv4_addr . inet_service : mark . mark . mark . mark
        		elements = { udp . 10.43.0.1 . 80 : 0x00000003 . 0x05989ead . 0x00000003 . 0x00000002,
        			     tcp . 10.43.0.2 . 80 : 0x00000002 . 0xd2cea4b8 . 0x001e0002 . 0x00000002,
        			     tcp . 203.0.113.9 . 80 : 0x00000002 . 0xd2cea4b8 . 0x001e0002 . 0x00000003 }
        	}

        	map services-local {
        		type inet_proto . ipv4_addr . inet_service : mark . mark . mark . mark
        		elements = { tcp . 203.0.113.9 . 80 : 0x00000001 . 0x05519785 . 0x001e0001 . 0x00000003 }
        	}

        	map node-ports {
        		type inet_proto . inet_service : mark . mark . mark . mark
        		elements = { udp . 30080 : 0x00000003 . 0x05989ead . 0x00000003 . 0x00000001 }
        	}

        	map node-ports-local {
        		type inet_proto . inet_service : mark . mark . mark . mark
        	}

        	map endpoints {
        		type mark . mark : ipv4_addr . inet_service
        		elements = { 0x00000000 . 0x05989ead : 10.42.0.5 . 8080,
        			     0x00000001 . 0x05989ead : 10.42.0.6 . 8080,
        			     0x00000002 . 0x05989ead : 10.42.0.7 . 8080 }
        	}

        	map picks {
        		type mark . mark : mark . mark
        		elements = { 0x00000000 . 0x05519785 : 0x00000000 . 0x79539821,
        			     0x00000000 . 0xd2cea4b8 : 0x00000000 . 0x79539821,
        			     0x00000001 . 0xd2cea4b8 : 0x00000000 . 0xab546bea }
        	}

        	map members {
        		type mark . mark : ipv4_addr . inet_service
        		elements = { 0x79539821 . 0x05519785 : 10.42.0.5 . 8080,
        			     0x79539821 . 0xd2cea4b8 : 10.42.0.5 . 8080,
        			     0xab546bea . 0xd2cea4b8 : 10.42.0.6 . 8080 }
        	}

        	set cluster-ips {
        		type ipv4_addr
        		elements = { 10.43.0.1, 10.43.0.2 }
        	}

        	set hairpins {
        		type ipv4_addr . ipv4_addr
        		elements = { 10.42.0.5 . 10.42.0.5,
        			     10.42.0.6 . 10.42.0.6 }
        	}

        	set restricted {
        		type inet_proto . ipv4_addr . inet_service
        		elements = { tcp . 203.0.113.9 . 80 }
        	}

        	set allowed {
        		type inet_proto . ipv4_addr . inet_service . ipv4_addr
        		flags interval
        		elements = { tcp . 203.0.113.9 . 80 . 192.0.2.0/24 }
        	}

        	map shapes-of-services {
        		type mark : verdict
        		elements = { 0x00000003 : goto services-any-3, 0x001e0002 : goto services-sticky-60-2 }
        	}

        	map shapes-of-services-local {
        		type mark : verdict
        		elements = { 0x001e0001 : goto services-local-sticky-60-1 }
        	}

        	map shapes-of-node-ports {
        		type mark : verdict
        		elements = { 0x00000003 : goto node-ports-any-3 }
        	}

        	map shapes-of-node-ports-local {
        		type mark : verdict
        	}

        	map refusals {
        		type mark : verdict
        		elements = { 0x00000000 : goto refuse, 0x00008000 : drop }
        	}

        	map masquerades {
        		type mark : verdict
        		elements = { 0x00000001 : goto masquerade, 0x00000002 : goto masquerade-outside, 0x00000003 : goto masquerade-host }
        	}

        	map affinity {
        		type ipv4_addr . mark : mark . mark
        		size 1048576
        		flags dynamic,timeout
        		timeout 3h
        	}

        	chain filter-prerouting {
        		type filter hook prerouting priority dstnat - 10; policy accept;
        		ct state new ip saddr != 10.42.0.0/16 jump check-outside comment "from outside the cluster"
        		ct state new jump check comment "new connections"
        	}

        	chain filter-output {
        		type filter hook output priority -110; policy accept;
        		ct state new jump check comment "new connections"
        	}

        	chain stray-forward {
        		type filter hook forward priority filter; policy accept;
        		ct state new ip daddr @cluster-ips drop comment "not translated"
        		ip daddr 10.43.0.0/16 drop comment "no such service"
        	}

        	chain stray-output {
        		type filter hook output priority -90; policy accept;
        		ct state new ip daddr @cluster-ips drop comment "not translated"
        		ip daddr 10.43.0.10 return comment "answered on the node itself"
        		ip daddr 10.43.0.0/16 drop comment "no such service"
        	}

        	chain check-outside {
        		meta mark vmap @refusals comment "no local endpoint"
        		fib daddr type local ip daddr != 127.0.0.0/8 meta mark vmap @refusals comment "no local endpoint behind a node port"
        	}

        	chain check {
        		ip daddr 10.43.0.10 return comment "answered on the node itself"
        		meta l4proto . ip daddr . th dport @restricted meta l4proto . ip daddr . th dport . ip saddr != @allowed drop comment "source not allowed"
        		meta mark vmap @refusals comment "no endpoint"
        		meta mark != 0xffffffff return comment "a service"
        		ip daddr @cluster-ips goto refuse comment "no such port"
        		fib daddr type local ip daddr != 127.0.0.0/8 meta mark vmap @refusals comment "no endpoint behind a node port"
        	}

        	chain refuse {
        		reject with tcp reset comment "tcp"
        		reject comment "others"
        	}

        	chain nat-prerouting {
        		type nat hook prerouting priority dstnat; policy accept;
        		ip saddr != 10.42.0.0/16 jump translate-outside comment "from outside the cluster"
        		jump translate comment "all"
        	}

        	chain nat-output {
        		type nat hook output priority -100; policy accept;
        		jump translate comment "all"
        	}

        	chain translate-outside {
        		meta mark vmap @shapes-of-services-local comment "services"
        		fib daddr type local ip daddr != 127.0.0.0/8 meta mark vmap @shapes-of-node-ports-local comment "node ports"
        	}

        	chain translate {
        		ip daddr 10.43.0.10 return comment "answered on the node itself"
        		meta mark vmap @shapes-of-services comment "services"
        		fib daddr type local ip daddr != 127.0.0.0/8 meta mark vmap @shapes-of-node-ports comment "node ports"
        	}

        	chain nat-postrouting {
        		type nat hook postrouting priority srcnat; policy accept;
        		ct status ! dnat return comment "not to a service"
        		ip saddr . ip daddr @hairpins goto masquerade comment "back to where it came from"
        		meta mark vmap @masquerades comment "services"
        		meta mark vmap @masquerades comment "node ports"
        	}

        	chain masquerade {
        		oifname "tppod*" snat to 192.0.2.2 comment "to a pod of this node"
        		masquerade fully-random comment "elsewhere"
        	}

        	chain masquerade-outside {
        		ip saddr != 10.42.0.0/16 goto masquerade comment "from outside the cluster"
        	}

        	chain masquerade-host {
        		fib saddr type local goto masquerade comment "from this machine"
        	}

        	chain services-any-3 {
        		dnat ip to numgen random mod 3 . meta mark map @endpoints comment "one of 3"
        		dnat ip to 0x0 [invalid type] . meta mark map @endpoints comment "the first"
        	}

        	chain node-ports-any-3 {
        		dnat ip to numgen random mod 3 . meta mark map @endpoints comment "one of 3"
        		dnat ip to 0x0 [invalid type] . meta mark map @endpoints comment "the first"
        	}

        	chain services-sticky-60-2 {
        		update @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . meta mark } dnat ip to meta mark . meta mark map @members comment "the one before"
        		delete @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . meta mark } update @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . numgen random mod 2 } dnat ip to numgen random mod 2 . meta mark map @members comment "one of 2"
        		delete @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . meta mark } update @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . 0x00000000 } dnat ip to 0x0 [invalid type] . meta mark map @members comment "the first"
        	}

        	chain services-local-sticky-60-1 {
        		update @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . meta mark } dnat ip to meta mark . meta mark map @members comment "the one before"
        		delete @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . meta mark } update @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . 0x00000000 } dnat ip to 0x0 [invalid type] . meta mark map @members comment "one of 1"
        		delete @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . meta mark } update @affinity { ip saddr . meta mark timeout 1m : 0x00000000 . 0x00000000 } dnat ip to 0x0 [invalid type] . meta mark map @members comment "the first"
        	}
        }
    "#]].assert_eq(&world.nft(&["-s", "list", "ruleset"]));
}

#[test]
fn what_was_written_is_read_back_and_survives_a_restart() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    let rng = stdx::Rng::seeded(3);
    for round in 0..300 {
        let number = (rng.next_u64() % 8) as u8;
        let pods: Vec<usize> = (0..13)
            .filter(|pod| pod % 10 < 3 && rng.next_u64().is_multiple_of(2))
            .collect();
        let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp][usize::from(number % 3)];
        let mut service = Service {
            cluster_ips: vec![Ipv4Addr::new(10, 43, 0, number / 2).into()],
            affinity_seconds: (rng.next_u64().is_multiple_of(2)).then_some(60),
            external_local: rng.next_u64().is_multiple_of(2),
            internal_local: rng.next_u64().is_multiple_of(4),
            load_balancer_ips: vec![Ipv4Addr::new(203, 0, 113, number / 2).into()],
            source_ranges: ["192.0.2.0/24", "192.0.2.0/25", "198.51.100.0/24"]
                .iter()
                .filter(|_| rng.next_u64().is_multiple_of(2))
                .map(|text| text.parse().unwrap())
                .collect(),
            ..service(protocol)
        };
        service.ports[0].node_port = Some(30_000 + u16::from(number));
        let name = number.to_string();
        if rng.next_u64().is_multiple_of(5) {
            world.state.remove(&owner(&name));
        } else {
            world
                .state
                .set_service(owner(&name), &service, &[slice(protocol, &pods)]);
        }
        world.kernel.apply(&world.state.changes()).unwrap();
        if round % 10 == 0 {
            assert_eq!(world.kernel.read().unwrap(), Some(world.state.ruleset()));
        }
    }
    // What was retired goes with the next change.
    world.kernel.apply(&Changes::default()).unwrap();
    let mut again = Kernel::open("test", &facts(), &world.node).unwrap();
    let left = again.read().unwrap().unwrap();
    assert_eq!(left, world.state.ruleset());
    again.apply(&left.changes_to(&Ruleset::default())).unwrap();
    assert_eq!(again.read().unwrap(), Some(Ruleset::default()));
}

#[test]
fn damage_is_noticed() {
    if !prepared() || !has_program("nft") {
        return;
    }
    let mut world = World::new();
    world.set(
        "web",
        &service(Protocol::Tcp),
        &[slice(Protocol::Tcp, &[0, 1])],
    );
    let before = world.kernel.generation().unwrap();
    for damage in [
        vec!["flush", "chain", "ip", "tiphys-test", "translate"],
        vec!["flush", "chain", "ip", "tiphys-test", "services-any-2"],
        vec!["insert", "rule", "ip", "tiphys-test", "translate", "drop"],
        vec!["flush", "ruleset"],
    ] {
        world.nft(&damage);
        assert_eq!(world.kernel.read().unwrap(), None, "{damage:?}");
        world.kernel.replace(&world.state.ruleset()).unwrap();
        assert!(world.kernel.read().unwrap().is_some());
        assert!(ask(&world.node, CLUSTER_IP, PORT).is_ok());
    }
    assert_ne!(world.kernel.generation().unwrap(), before);
    let other = Facts {
        exempt: Vec::new(),
        ..facts()
    };
    let mut other = Kernel::open("test", &other, &world.node).unwrap();
    assert_eq!(other.read().unwrap(), None, "another layout is not adopted");
}

#[test]
fn removal_leaves_nothing_of_ours_and_all_of_others() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set(
        "web",
        &service(Protocol::Tcp),
        &[slice(Protocol::Tcp, &[0, 1])],
    );
    let mut nft = world.node.run(Nft::open).unwrap().unwrap();
    let mut batch = Batch::new(Family::Ipv4);
    batch.add_table("somebody", "else");
    nft.commit(batch).unwrap();
    assert!(proxy::remove("test", &world.node).unwrap());
    assert!(!proxy::remove("test", &world.node).unwrap());
    let left = nft.tables().unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].name, "somebody");
}

#[test]
fn two_instances_do_not_meet() {
    if !prepared() {
        return;
    }
    let mut world = World::new();
    world.set(
        "web",
        &service(Protocol::Tcp),
        &[slice(Protocol::Tcp, &[0])],
    );
    let other_facts = Facts {
        cluster_cidrs: vec!["10.52.0.0/16".parse().unwrap()],
        service_cidrs: Vec::new(),
        ..facts()
    };
    let mut other = Kernel::open("other", &other_facts, &world.node).unwrap();
    let mut state = State::new(other_facts);
    let service_there = Service {
        cluster_ips: vec![Ipv4Addr::new(10, 53, 0, 1).into()],
        ports: Vec::from([proxy::ServicePort {
            node_port: None,
            ..service(Protocol::Tcp).ports[0].clone()
        }]),
        ..Service::default()
    };
    state.set_service(owner("web"), &service_there, &[slice(Protocol::Tcp, &[1])]);
    other.replace(&state.ruleset()).unwrap();
    assert_eq!(ask(&world.node, CLUSTER_IP, PORT).unwrap().pod, 0);
    assert_eq!(
        ask(&world.node, Ipv4Addr::new(10, 53, 0, 1), PORT)
            .unwrap()
            .pod,
        1
    );
    assert!(proxy::remove("other", &world.node).unwrap());
    assert_eq!(ask(&world.node, CLUSTER_IP, PORT).unwrap().pod, 0);
}

#[test]
fn ipv6_has_the_same_shape() {
    if !prepared() {
        return;
    }
    let node = Netns::create().unwrap();
    let facts = Facts {
        node: "here".into(),
        zone: None,
        ipv6: true,
        cluster_cidrs: vec!["fd42::/56".parse().unwrap()],
        service_cidrs: Vec::new(),
        exempt: vec!["fd43::a".parse().unwrap()],
        pod_links: None,
        loopback: false,
    };
    let mut kernel = Kernel::open("six", &facts, &node).unwrap();
    let mut state = State::new(facts);
    let mut endpoints = slice(Protocol::Tcp, &[0, 1]);
    for (number, endpoint) in endpoints.endpoints.iter_mut().enumerate() {
        endpoint.addresses = vec![format!("fd42::{}", number + 1).parse().unwrap()];
    }
    for (name, affinity_seconds) in [("plain", None), ("sticky", Some(60))] {
        let service = Service {
            cluster_ips: vec![format!("fd43::{}", name.len()).parse().unwrap()],
            load_balancer_ips: vec![format!("fd44::{}", name.len()).parse().unwrap()],
            source_ranges: vec!["fd00::/8".parse().unwrap()],
            external_local: true,
            affinity_seconds,
            ..service(Protocol::Tcp)
        };
        state.set_service(owner(name), &service, std::slice::from_ref(&endpoints));
    }
    kernel.replace(&Ruleset::default()).unwrap();
    kernel.apply(&state.changes()).unwrap();
    assert_eq!(kernel.read().unwrap(), Some(state.ruleset()));
    assert!(proxy::remove("six", &node).unwrap());
}
