//! Nodes and pods as network namespaces, with real packets between them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use linux::{
    cidr::Cidr,
    link::{Address, Links, Mac, Scope, Veth},
    netns::Netns,
    nft::{Batch, Family, Nft},
};
use podnet::{Adoption, Config, Peer, PodAddress, Podnet, node_address, reset};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(5);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);

/// A node whose pods' namespaces are pinned in a directory of its own.
struct Node {
    netns: Netns,
    ip: Ipv4Addr,
    dir: TempDir,
    config: Config,
    /// Kept, as links end with their namespace.
    wire: Option<Netns>,
}

fn prepared() -> bool {
    use std::os::unix::fs::MetadataExt;
    let root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if !root {
        eprintln!("skipped: network namespaces need root");
    }
    root
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn open_links(netns: &Netns) -> Links {
    netns.run(Links::open).unwrap().unwrap()
}

impl Node {
    fn new(number: u8, wire: &Netns) -> Self {
        let netns = Netns::create().unwrap();
        let ip = Ipv4Addr::new(192, 0, 2, number);
        plug(&netns, wire, &format!("n{number}"), ip);
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            instance: "test".into(),
            pod_cidr: cidr(&format!("10.42.{number}.0/24")),
            cluster_cidr: cidr("10.42.0.0/16"),
            node_ip: ip,
            state_dir: dir.path().join("network"),
            mtu: None,
        };
        Self {
            netns,
            ip,
            dir,
            config,
            wire: None,
        }
    }

    fn alone() -> Self {
        let wire = wire();
        let mut node = Self::new(1, &wire);
        node.wire = Some(wire);
        node
    }

    fn open(&self) -> Podnet {
        let netns = self.netns.run(Netns::current).unwrap().unwrap();
        Podnet::open(self.config.clone(), netns).unwrap()
    }

    fn pod(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        Netns::create().unwrap().pin(&path).unwrap();
        path
    }

    fn links(&self) -> Vec<String> {
        let links = open_links(&self.netns).links().unwrap();
        links.into_iter().map(|link| link.name).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.dir.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.path().is_file() {
                let _ = Netns::unpin(&entry.path());
            }
        }
    }
}

/// A namespace in which a switch would stand: each node has a link into it and
/// it forwards between them.
fn wire() -> Netns {
    let wire = Netns::create().unwrap();
    wire.run(|| {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        fs::write("/proc/sys/net/ipv4/conf/all/proxy_arp", "1").unwrap();
    })
    .unwrap();
    let mut links = open_links(&wire);
    let lo = links.link("lo").unwrap().unwrap().index;
    links.set_up(lo).unwrap();
    links.add_address(&address(lo, OUTSIDE, 32)).unwrap();
    wire
}

fn address(link: u32, address: Ipv4Addr, prefix: u8) -> Address {
    Address {
        link,
        address: address.into(),
        prefix,
        scope: Scope::UNIVERSE,
        label: None,
    }
}

/// Gives a node a link into the wire, with an address and a default route.
fn plug(node: &Netns, wire: &Netns, name: &str, ip: Ipv4Addr) {
    let last = ip.octets()[3];
    let mut outer = open_links(wire);
    let veth = Veth {
        name,
        mac: Mac([2, 0, 0, 0, 1, last]),
        peer_name: "uplink",
        peer_mac: Mac([2, 0, 0, 0, 2, last]),
        peer_netns: node,
        mtu: 1450,
    };
    outer.add_veth(&veth).unwrap();
    let link = outer.link(name).unwrap().unwrap().index;
    let route =
        |destination: Ipv4Addr, prefix, link, gateway: Option<Ipv4Addr>| linux::link::Route {
            destination: destination.into(),
            prefix,
            link,
            gateway: gateway.map(IpAddr::from),
            source: None,
            metric: 0,
            scope: if gateway.is_some() {
                Scope::UNIVERSE
            } else {
                Scope::LINK
            },
            onlink: false,
        };
    outer.replace_route(&route(ip, 32, link, None)).unwrap();
    let mut inner = open_links(node);
    let uplink = inner.link("uplink").unwrap().unwrap().index;
    inner.set_up(uplink).unwrap();
    inner.add_address(&address(uplink, ip, 24)).unwrap();
    let default = route(Ipv4Addr::UNSPECIFIED, 0, uplink, Some(OUTSIDE));
    inner.replace_route(&default).unwrap();
}

/// Connects from one namespace to a server in another, sends much, and returns
/// whom the server saw.
fn talk(from: &Netns, to: &Netns, ip: IpAddr) -> IpAddr {
    let listener = to.run(|| TcpListener::bind("0.0.0.0:0")).unwrap().unwrap();
    let target = (ip, listener.local_addr().unwrap().port());
    let mut client = from
        .run(|| TcpStream::connect_timeout(&target.into(), PATIENCE))
        .unwrap()
        .unwrap();
    let (mut server, seen) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = vec![7; 100_000];
    let received = std::thread::scope(|scope| {
        scope.spawn(|| {
            client.write_all(&sent).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        server.read_to_end(&mut received).unwrap();
        received
    });
    assert!(received == sent, "all of it arrives");
    seen.ip()
}

fn netns(path: &Path) -> Netns {
    Netns::open(path).unwrap()
}

#[test]
fn pods_the_node_and_the_world_reach_each_other() {
    if !prepared() {
        return;
    }
    let wire = wire();
    let node = Node::new(1, &wire);
    let network = node.open();
    let (a, b) = (node.pod("a"), node.pod("b"));
    let at_a = network.attach("sandbox-a", &a).unwrap();
    let at_b = network.attach("sandbox-b", &b).unwrap();
    assert_eq!(at_a.ip.to_string(), "10.42.1.2");
    assert_eq!(at_a.gateway.to_string(), "169.254.1.1");
    assert!(at_a.host_if.len() <= 15 && at_a.host_if.starts_with(&network.link_prefix()));
    assert_eq!(network.mtu(), 1400);
    let (in_a, in_b) = (netns(&a), netns(&b));

    assert_eq!(talk(&in_a, &in_b, at_b.ip), at_a.ip, "pod to pod");
    assert_eq!(
        talk(&node.netns, &in_a, at_a.ip),
        IpAddr::from(node.ip),
        "node to pod"
    );
    assert_eq!(
        talk(&in_a, &node.netns, node.ip.into()),
        at_a.ip,
        "pod to node"
    );
    assert_eq!(
        talk(&in_a, &in_a, "127.0.0.1".parse().unwrap()).to_string(),
        "127.0.0.1"
    );
    let outside = talk(&in_a, &wire, OUTSIDE.into());
    assert_eq!(
        outside,
        IpAddr::from(node.ip),
        "pods leave under the node's address"
    );
}

#[test]
fn attaching_again_changes_nothing_and_detaching_frees() {
    if !prepared() {
        return;
    }
    let node = Node::alone();
    let network = node.open();
    let path = node.pod("a");
    let before = node.links();
    let place = network.attach("sandbox-a", &path).unwrap();
    let index = open_links(&node.netns)
        .link(&place.host_if)
        .unwrap()
        .unwrap()
        .index;
    assert_eq!(network.attach("sandbox-a", &path).unwrap(), place);
    assert_eq!(network.address("sandbox-a"), Some(place.clone()));
    let again = open_links(&node.netns)
        .link(&place.host_if)
        .unwrap()
        .unwrap()
        .index;
    assert_eq!(again, index, "the very same link");

    // The pod's namespace was made anew, as after a crash half way.
    Netns::unpin(&path).unwrap();
    Netns::create().unwrap().pin(&path).unwrap();
    assert_eq!(network.attach("sandbox-a", &path).unwrap(), place);
    assert_eq!(
        talk(&node.netns, &netns(&path), place.ip),
        IpAddr::from(node.ip)
    );

    network.detach("sandbox-a").unwrap();
    network.detach("sandbox-a").unwrap();
    assert_eq!(network.address("sandbox-a"), None);
    assert_eq!(node.links(), before);
    let missing = network.attach("sandbox-c", &node.dir.path().join("none"));
    assert!(missing.is_err());
    assert_eq!(network.address("sandbox-c"), None, "no address for nothing");
}

/// Run by hand: `cargo test -p podnet -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn a_hundred_pods() {
    if !prepared() {
        return;
    }
    let node = Node::alone();
    let network = node.open();
    let paths: Vec<PathBuf> = (0..100).map(|pod| node.pod(&pod.to_string())).collect();
    let clock = stdx::Clock::system();
    let mut times: Vec<Duration> = paths
        .iter()
        .enumerate()
        .map(|(pod, path)| {
            let start = clock.now();
            network.attach(&pod.to_string(), path).unwrap();
            clock.since(start)
        })
        .collect();
    times.sort();
    println!(
        "attach one by one: p50 {:?}, max {:?}",
        times[50], times[99]
    );
    let start = clock.now();
    for pod in 0..100 {
        network.detach(&pod.to_string()).unwrap();
    }
    println!("detach a hundred: {:?}", clock.since(start));
    let start = clock.now();
    std::thread::scope(|scope| {
        for (pod, path) in paths.iter().enumerate() {
            let network = &network;
            scope.spawn(move || network.attach(&pod.to_string(), path).unwrap());
        }
    });
    println!("attach a hundred at once: {:?}", clock.since(start));
    let start = clock.now();
    std::thread::scope(|scope| {
        for pod in 0..100 {
            let network = &network;
            scope.spawn(move || network.detach(&pod.to_string()).unwrap());
        }
    });
    println!("detach a hundred at once: {:?}", clock.since(start));
}

#[test]
fn a_new_run_adopts_what_lives_and_frees_the_rest() {
    if !prepared() {
        return;
    }
    let node = Node::alone();
    let network = node.open();
    let paths: Vec<PathBuf> = ["a", "b", "c"].iter().map(|name| node.pod(name)).collect();
    let places: Vec<PodAddress> = ["a", "b", "c"]
        .iter()
        .zip(&paths)
        .map(|(name, path)| network.attach(name, path).unwrap())
        .collect();
    drop(network);
    // The third pod's namespace ends, and its links with it.
    Netns::unpin(&paths[2]).unwrap();
    for _ in 0..500 {
        if !node.links().contains(&places[2].host_if) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let network = node.open();
    let adoption = network.adopt(["a", "c", "d"]).unwrap();
    assert_eq!(
        adoption,
        Adoption {
            kept: [("a".to_string(), places[0].clone())].into(),
            broken: vec!["c".into(), "d".into()],
            removed: vec!["b".into()],
        }
    );
    let seen = talk(&node.netns, &netns(&paths[0]), places[0].ip);
    assert_eq!(seen, IpAddr::from(node.ip));
    assert!(!node.links().contains(&places[1].host_if));
    assert_eq!(network.address("c"), None);
}

#[test]
fn dns_has_an_address_that_pods_reach_and_nobody_leaves_by() {
    if !prepared() {
        return;
    }
    let wire = wire();
    let node = Node::new(1, &wire);
    let network = node.open();
    let path = node.pod("a");
    network.attach("a", &path).unwrap();
    network
        .ensure_dns_address(Ipv4Addr::new(10, 43, 0, 9))
        .unwrap();
    let dns = Ipv4Addr::new(10, 43, 0, 10);
    network.ensure_dns_address(dns).unwrap();
    network.ensure_dns_address(dns).unwrap();
    let server = node
        .netns
        .run(|| UdpSocket::bind((dns, 0)))
        .unwrap()
        .unwrap();
    let target = server.local_addr().unwrap();
    for from in [&netns(&path), &node.netns] {
        let client = from.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        client.connect(target).unwrap();
        client.send(b"?").unwrap();
        let mut buffer = [0; 8];
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let (_, sender) = server.recv_from(&mut buffer).unwrap();
        server.send_to(b"!", sender).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 1);
    }
    assert_eq!(
        node_address(None, &node.netns).unwrap(),
        IpAddr::from(node.ip)
    );
    let outside = talk(&netns(&path), &wire, OUTSIDE.into());
    assert_eq!(outside, IpAddr::from(node.ip), "not the DNS address");
}

#[test]
fn services_have_a_route_where_there_is_no_default() {
    if !prepared() {
        return;
    }
    let node = Node::alone();
    let network = node.open();
    let service = cidr("10.43.0.0/16");
    let mut links = open_links(&node.netns);
    let count = links.routes().unwrap().len();
    network.ensure_service_route(service).unwrap();
    assert_eq!(
        links.routes().unwrap().len(),
        count,
        "the default route will do"
    );
    let routes = links.routes().unwrap();
    let default = routes
        .iter()
        .find(|route| route.prefix == 0 && route.destination.is_ipv4());
    links.delete_route(default.unwrap()).unwrap();
    network.ensure_service_route(service).unwrap();
    let ip = Ipv4Addr::new(10, 43, 0, 1).into();
    assert_eq!(links.source_for(ip).unwrap(), Some(node.ip.into()));

    // With it, a Service on the node itself can be reached from the node.
    let facts = proxy::Facts {
        node: "here".into(),
        zone: None,
        ipv6: false,
        cluster_cidrs: vec![cidr("10.42.0.0/16")],
        service_cidrs: Vec::new(),
        exempt: Vec::new(),
        pod_links: Some((network.link_prefix(), node.ip.into())),
        loopback: true,
    };
    let path = node.pod("a");
    let place = network.attach("a", &path).unwrap();
    let listener = netns(&path)
        .run(|| TcpListener::bind("0.0.0.0:0"))
        .unwrap()
        .unwrap();
    let mut kernel = proxy::Kernel::open("test", &facts, &node.netns).unwrap();
    let mut state = proxy::State::new(facts);
    let service = proxy::Service {
        cluster_ips: vec![ip],
        ports: vec![proxy::ServicePort {
            name: String::new(),
            protocol: proxy::Protocol::Tcp,
            port: 80,
            node_port: Some(30080),
        }],
        ..proxy::Service::default()
    };
    let slice = proxy::EndpointSlice {
        ports: vec![proxy::SlicePort {
            name: String::new(),
            protocol: proxy::Protocol::Tcp,
            port: listener.local_addr().unwrap().port(),
        }],
        endpoints: vec![proxy::Endpoint {
            addresses: vec![place.ip],
            node: Some("here".into()),
            conditions: proxy::Conditions::READY,
            zone_hints: Vec::new(),
            node_hints: Vec::new(),
        }],
    };
    state.set_service(proxy::Owner::Service("a/b".into()), &service, &[slice]);
    proxy::Backend::replace(&mut kernel, &state.ruleset()).unwrap();
    let target = (ip, 80).into();
    for from in [&node.netns, &netns(&path)] {
        from.run(|| TcpStream::connect_timeout(&target, PATIENCE))
            .unwrap()
            .unwrap();
        let (_, seen) = listener.accept().unwrap();
        assert_eq!(seen.ip(), IpAddr::from(node.ip));
    }
    // And at its node port, on the node's loopback address as well.
    for to in [IpAddr::from(node.ip), IpAddr::from([127, 0, 0, 1])] {
        let target = (to, 30080).into();
        node.netns
            .run(|| TcpStream::connect_timeout(&target, PATIENCE))
            .unwrap()
            .unwrap();
        let (_, seen) = listener.accept().unwrap();
        assert_eq!(seen.ip(), IpAddr::from(node.ip));
    }
    proxy::remove("test", &node.netns).unwrap();
}

#[test]
fn a_pod_cannot_reach_the_nodes_loopback() {
    if !prepared() {
        return;
    }
    let node = Node::alone();
    let network = node.open();
    let path = node.pod("a");
    let place = network.attach("a", &path).unwrap();
    let server = node
        .netns
        .run(|| UdpSocket::bind("127.0.0.1:0"))
        .unwrap()
        .unwrap();
    let port = server.local_addr().unwrap().port();
    // A pod that may change its own network sends loopback addresses out.
    let pod = netns(&path);
    let setting = "/proc/sys/net/ipv4/conf/all/route_localnet";
    pod.run(|| fs::write(setting, "1")).unwrap().unwrap();
    let output = pod
        .run(|| {
            let script =
                "ip rule add pref 1 lookup main && ip rule del pref 0 && ip link set lo down";
            std::process::Command::new("sh")
                .args(["-c", script])
                .output()
        })
        .unwrap();
    if !output.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: the ip program is not installed");
        return;
    }
    let client = pod.run(|| UdpSocket::bind((place.ip, 0))).unwrap().unwrap();
    client.send_to(b"in", ("127.0.0.1", port)).unwrap();
    server
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(server.recv_from(&mut [0; 8]).is_err());
    // Without the guard it would have come in: that is what it is for.
    let mut nft = node.netns.run(Nft::open).unwrap().unwrap();
    let mut batch = Batch::new(Family::Ipv4);
    batch.flush_chain("tiphys-test-pods", "guard");
    nft.commit(batch).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"in", ("127.0.0.1", port)).unwrap();
    assert!(
        server.recv_from(&mut [0; 8]).is_ok(),
        "the proof is worth something"
    );
}

#[test]
fn pods_of_two_nodes_reach_each_other() {
    if !prepared() {
        return;
    }
    let wire = wire();
    let (one, two) = (Node::new(1, &wire), Node::new(2, &wire));
    let (network_one, network_two) = (one.open(), two.open());
    let (a, b) = (one.pod("a"), two.pod("b"));
    let at_a = network_one.attach("a", &a).unwrap();
    let at_b = network_two.attach("b", &b).unwrap();
    let peer = |node: &Node| Peer {
        node_ip: node.ip,
        pod_cidr: node.config.pod_cidr,
    };
    let third = Peer {
        node_ip: Ipv4Addr::new(192, 0, 2, 3),
        pod_cidr: cidr("10.42.3.0/24"),
    };
    network_one.set_peers(&[peer(&two), third]).unwrap();
    network_one.set_peers(&[peer(&two)]).unwrap();
    network_two.set_peers(&[peer(&one)]).unwrap();
    assert_eq!(
        talk(&netns(&a), &netns(&b), at_b.ip),
        at_a.ip,
        "as they are"
    );
    assert_eq!(talk(&netns(&b), &netns(&a), at_a.ip), at_b.ip);
    let seen = talk(&one.netns, &netns(&b), at_b.ip);
    assert_eq!(
        seen.to_string(),
        "10.42.1.0",
        "the node's address on the way between nodes"
    );
    let routes = open_links(&one.netns).routes().unwrap();
    let third = IpAddr::from(Ipv4Addr::new(10, 42, 3, 0));
    assert!(routes.iter().all(|route| route.destination != third));
    network_one.set_peers(&[]).unwrap();
    assert!(one.links().iter().all(|link| !link.ends_with("vx")));
}

#[test]
fn reset_removes_one_instance_and_nothing_else() {
    if !prepared() {
        return;
    }
    let node = Node::alone();
    let before = node.links();
    let network = node.open();
    let other = Podnet::open(
        Config {
            instance: "other".into(),
            pod_cidr: cidr("10.52.1.0/24"),
            cluster_cidr: cidr("10.52.0.0/16"),
            state_dir: node.dir.path().join("other"),
            ..node.config.clone()
        },
        node.netns.run(Netns::current).unwrap().unwrap(),
    )
    .unwrap();
    let kept = other.attach("x", &node.pod("x")).unwrap();
    network.attach("a", &node.pod("a")).unwrap();
    network
        .ensure_dns_address(Ipv4Addr::new(10, 43, 0, 10))
        .unwrap();
    network
        .set_peers(&[Peer {
            node_ip: Ipv4Addr::new(192, 0, 2, 2),
            pod_cidr: cidr("10.42.2.0/24"),
        }])
        .unwrap();
    let removed = reset("test", &node.netns).unwrap();
    assert_eq!(removed.len(), 4, "{removed:?}");
    assert_eq!(reset("test", &node.netns).unwrap(), [""; 0]);
    let mut expected = before.clone();
    expected.push(kept.host_if);
    assert_eq!(node.links(), expected);
    reset("other", &node.netns).unwrap();
    assert_eq!(node.links(), before);
    let mut nft = node.netns.run(Nft::open).unwrap().unwrap();
    assert_eq!(nft.tables().unwrap(), []);
    let addresses = open_links(&node.netns).addresses().unwrap();
    let v4 = addresses.iter().filter(|address| address.address.is_ipv4());
    let v4: Vec<String> = v4.map(|address| address.address.to_string()).collect();
    assert_eq!(v4, ["127.0.0.1", "192.0.2.1"]);
}

#[test]
fn a_host_that_drops_what_is_forwarded_is_named() {
    if !prepared() {
        return;
    }
    let node = Node::alone();
    let network = node.open();
    assert_eq!(network.forwarding_obstacle().unwrap(), None);
    let program = std::process::Command::new("nft").arg("--version").output();
    if program.is_err() {
        eprintln!("skipped: the nft program is not installed");
        return;
    }
    let rules = "add table ip filter; \
        add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }";
    let status = node
        .netns
        .run(|| std::process::Command::new("nft").arg(rules).status())
        .unwrap()
        .unwrap();
    assert!(status.success());
    let found = network.forwarding_obstacle().unwrap();
    assert_eq!(found.as_deref(), Some("ip filter FORWARD"));
    let mut nft = node.netns.run(Nft::open).unwrap().unwrap();
    let mut batch = Batch::new(Family::Ipv4);
    batch.delete_table("filter");
    nft.commit(batch).unwrap();
    assert_eq!(network.forwarding_obstacle().unwrap(), None);
}

#[test]
fn a_foreign_node_address_is_refused() {
    if !prepared() {
        return;
    }
    let node = Node::alone();
    let config = Config {
        node_ip: Ipv4Addr::new(203, 0, 113, 1),
        ..node.config.clone()
    };
    let netns = node.netns.run(Netns::current).unwrap().unwrap();
    let error = Podnet::open(config, netns).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the node address 203.0.113.1 is not an address of this machine"
    );
}
