//! IPv6: the same rules over longer addresses.

use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use linux::{
    link::{Address, Links, Mac, Neighbour, Route, Scope, Veth},
    netns::Netns,
};
use proxy::{Backend, Facts, Kernel, Protocol, Service, State};

use crate::world::{owner, prepared, service, slice};

const PATIENCE: Duration = Duration::from_secs(5);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn setting(netns: &Netns, name: &str, value: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}");
    netns.run(|| fs::write(path, value)).unwrap().unwrap();
}

/// A pod with one address, joined to the node.
fn pod(node: &Netns, number: u8) -> Netns {
    let pod = Netns::create().unwrap();
    // Addresses count at once, without asking around.
    setting(&pod, "default/accept_dad", "0");
    let (near, far) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let (mut outer, mut inner) = (links(node), links(&pod));
    let name = format!("six{number}");
    let veth = Veth {
        name: &name,
        mac: near,
        peer_name: "eth0",
        peer_mac: far,
        peer_netns: &pod,
        mtu: 1500,
    };
    outer.add_veth(&veth).unwrap();
    let out = outer.link(&name).unwrap().unwrap().index;
    let eth0 = inner.link("eth0").unwrap().unwrap().index;
    inner.set_up(eth0).unwrap();
    let (address, gateway) = (pod_ip(number), ip("fe80::1"));
    inner.add_address(&own(eth0, address)).unwrap();
    let route = |link, destination, prefix, gateway| Route {
        destination,
        prefix,
        link,
        gateway,
        source: None,
        metric: 0,
        scope: Scope::UNIVERSE,
        onlink: false,
    };
    inner
        .replace_route(&route(eth0, gateway, 128, None))
        .unwrap();
    inner
        .replace_route(&route(eth0, ip("::"), 0, Some(gateway)))
        .unwrap();
    outer
        .replace_route(&route(out, address, 128, None))
        .unwrap();
    for (links, link, address, mac) in [
        (&mut outer, out, address, far),
        (&mut inner, eth0, gateway, near),
    ] {
        links
            .replace_neighbour(&Neighbour { link, address, mac })
            .unwrap();
    }
    pod
}

fn pod_ip(number: u8) -> IpAddr {
    Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, u16::from(number)).into()
}

fn own(link: u32, address: IpAddr) -> Address {
    Address {
        link,
        address,
        prefix: 128,
        scope: Scope::UNIVERSE,
        label: None,
    }
}

fn links(netns: &Netns) -> Links {
    netns.run(Links::open).unwrap().unwrap()
}

fn ask(from: &Netns, to: IpAddr) -> std::io::Result<u8> {
    let target = SocketAddr::from((to, 80));
    from.run(|| {
        let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        Ok(answer[0])
    })
    .unwrap()
}

#[test]
fn services_over_ipv6() {
    if !prepared() {
        return;
    }
    let node = Netns::create().unwrap();
    setting(&node, "all/forwarding", "1");
    setting(&node, "default/accept_dad", "0");
    let mut node_links = links(&node);
    let lo = node_links.link("lo").unwrap().unwrap().index;
    node_links.set_up(lo).unwrap();
    node_links.add_address(&own(lo, ip("fd00::1"))).unwrap();
    // Somewhere to begin a connection to.
    let pods = [pod(&node, 1), pod(&node, 2)];
    let outward = node_links.link("six1").unwrap().unwrap().index;
    let services = Route {
        destination: ip("fd43::"),
        prefix: 64,
        link: outward,
        gateway: None,
        source: Some(ip("fd00::1")),
        metric: 0,
        scope: Scope::UNIVERSE,
        onlink: false,
    };
    node_links.replace_route(&services).unwrap();
    for (number, pod) in (1u8..).zip(&pods) {
        let listener = pod.run(|| TcpListener::bind("[::]:8080")).unwrap().unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                if stream.write_all(&[number]).is_err() {
                    return;
                }
            }
        });
    }

    let facts = Facts {
        node: "here".into(),
        zone: None,
        ipv6: true,
        cluster_cidrs: vec!["fd42::/64".parse().unwrap()],
        service_cidrs: Vec::new(),
        exempt: Vec::new(),
        pod_links: Some(("six".into(), ip("fd00::1"))),
        loopback: false,
    };
    let mut kernel = Kernel::open("six", &facts, &node).unwrap();
    let mut state = State::new(facts);
    let mut endpoints = slice(Protocol::Tcp, &[0, 1]);
    for (number, endpoint) in (1u8..).zip(&mut endpoints.endpoints) {
        endpoint.addresses = vec![pod_ip(number)];
    }
    let with = |address, affinity_seconds| Service {
        cluster_ips: vec![ip(address)],
        affinity_seconds,
        ..service(Protocol::Tcp)
    };
    let whole = std::slice::from_ref(&endpoints);
    state.set_service(owner("plain"), &with("fd43::1", None), whole);
    state.set_service(owner("sticky"), &with("fd43::2", Some(60)), whole);
    state.set_service(owner("empty"), &with("fd43::3", None), &[]);
    kernel.replace(&state.ruleset()).unwrap();

    for from in [&pods[0], &node] {
        let many =
            |to: &str| -> BTreeSet<u8> { (0..40).map(|_| ask(from, ip(to)).unwrap()).collect() };
        assert_eq!(many("fd43::1"), BTreeSet::from([1, 2]), "hairpin included");
        assert_eq!(many("fd43::2").len(), 1);
        let refused = ask(from, ip("fd43::3")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    assert_eq!(kernel.remembered().unwrap(), 2);
    assert!(proxy::remove("six", &node).unwrap());
}
