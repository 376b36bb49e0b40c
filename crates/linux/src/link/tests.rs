//! A node and a pod as two network namespaces, joined by a pair of links.

use std::net::Ipv4Addr;

use super::*;

const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 42, 0, 5));
const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
const NODE_MAC: Mac = Mac([0x0a, 0x58, 0, 0, 0, 1]);
const POD_MAC: Mac = Mac([0x0a, 0x58, 0, 0, 0, 2]);

fn open(netns: &Netns) -> Links {
    netns.run(Links::open).unwrap().unwrap()
}

fn routes(links: &mut Links) -> Vec<Route> {
    let mut routes = links.routes().unwrap();
    routes.retain(|route| route.destination.is_ipv4());
    routes
}

fn route(destination: IpAddr, prefix: u8, link: u32) -> Route {
    Route {
        destination,
        prefix,
        link,
        gateway: None,
        source: None,
        metric: 0,
        scope: Scope::LINK,
        onlink: false,
    }
}

#[test]
fn links_addresses_routes_and_neighbours() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: links need root");
        return;
    }
    let (node_ns, pod_ns) = (Netns::create().unwrap(), Netns::create().unwrap());
    let (mut node, mut pod) = (open(&node_ns), open(&pod_ns));
    node.add_veth(&Veth {
        name: "tptest0",
        mac: NODE_MAC,
        peer_name: "eth0",
        peer_mac: POD_MAC,
        peer_netns: &pod_ns,
        mtu: 1400,
    })
    .unwrap();
    let host = node.link("tptest0").unwrap().unwrap();
    assert!(
        host.up && host.mtu == 1400 && host.kind == "veth",
        "{host:?}"
    );
    node.set_alias(host.index, "default/web").unwrap();
    let host = node.link("tptest0").unwrap().unwrap();
    assert_eq!(host.alias.as_deref(), Some("default/web"));
    assert_eq!(host.mac, Some(NODE_MAC));
    assert_eq!(node.link("absent").unwrap(), None);
    let eth0 = pod.link("eth0").unwrap().unwrap();
    assert!(!eth0.up && eth0.mac == Some(POD_MAC), "{eth0:?}");
    pod.set_up(eth0.index).unwrap();

    let lo = node.link("lo").unwrap().unwrap();
    assert!(lo.loopback && !lo.up);
    node.set_up(lo.index).unwrap();
    let own = Address {
        link: lo.index,
        address: NODE,
        prefix: 32,
        scope: Scope::HOST,
        label: Some("lo:test".into()),
    };
    node.add_address(&own).unwrap();
    assert!(node.add_address(&own).unwrap_err().is_present());
    assert!(node.addresses().unwrap().contains(&own));

    let mut way = route(POD, 32, host.index);
    way.source = Some(NODE);
    node.replace_route(&way).unwrap();
    node.replace_route(&way).unwrap();
    assert_eq!(routes(&mut node), [way]);
    assert_eq!(node.source_for(POD).unwrap(), Some(NODE));
    assert_eq!(
        node.source_for(Ipv4Addr::new(198, 51, 100, 1).into())
            .unwrap(),
        None
    );
    let neighbour = Neighbour {
        link: host.index,
        address: POD,
        mac: POD_MAC,
    };
    node.replace_neighbour(&neighbour).unwrap();
    node.replace_neighbour(&neighbour).unwrap();

    pod.replace_route(&route(GATEWAY, 32, eth0.index)).unwrap();
    let mut default = route(Ipv4Addr::UNSPECIFIED.into(), 0, eth0.index);
    default.gateway = Some(GATEWAY);
    default.scope = Scope::UNIVERSE;
    pod.replace_route(&default).unwrap();
    assert_eq!(routes(&mut pod).len(), 2);

    node.delete_route(&way).unwrap();
    assert!(node.delete_route(&way).unwrap_err().is_absent());
    node.delete_address(&own).unwrap();
    assert!(node.delete_address(&own).unwrap_err().is_absent());
    node.delete_link(host.index).unwrap();
    assert!(node.delete_link(host.index).unwrap_err().is_absent());
    assert_eq!(pod.link("eth0").unwrap(), None, "the other end goes too");
}

#[test]
fn a_vxlan_link_and_where_it_sends() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: links need root");
        return;
    }
    let netns = Netns::create().unwrap();
    let mut node = open(&netns);
    node.add_vxlan(&Vxlan {
        name: "tpvx",
        mac: NODE_MAC,
        id: 7,
        local: Ipv4Addr::new(192, 0, 2, 7),
        port: 8472,
        mtu: 1350,
    })
    .unwrap();
    let link = node.link("tpvx").unwrap().unwrap();
    assert_eq!(
        (link.kind.as_str(), link.mtu, link.up),
        ("vxlan", 1350, true)
    );
    let entry = Neighbour {
        link: link.index,
        address: Ipv4Addr::new(192, 0, 2, 8).into(),
        mac: POD_MAC,
    };
    node.replace_forwarding(&entry).unwrap();
    assert_eq!(node.forwardings(link.index).unwrap(), [entry]);
    node.delete_forwarding(&entry).unwrap();
    assert_eq!(node.forwardings(link.index).unwrap(), []);
}
