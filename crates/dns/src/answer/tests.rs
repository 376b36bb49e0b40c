//! Questions and the answers to them, read back by `hickory-proto`.

use std::slice::from_ref;

use hickory_proto::op::Message;

use super::*;
use crate::{
    Zone,
    directory::Slice,
    wire::{self, write_query},
};

fn port(name: &str, protocol: &str, number: u16) -> Port {
    Port {
        name: name.into(),
        protocol: protocol.into(),
        number,
    }
}

fn service(name: &str, reach: Reach, ports: &[Port]) -> Service {
    Service {
        namespace: "testns".into(),
        name: name.into(),
        reach,
        ports: ports.to_vec(),
        external_ips: Vec::new(),
    }
}

fn at(addresses: &[&str]) -> Reach {
    Reach::Cluster(addresses.iter().map(|a| a.parse().unwrap()).collect())
}

fn slice(service: &str, endpoints: &[(&str, &str)], ports: &[Port]) -> Slice {
    let endpoints = endpoints.iter().map(|(address, hostname)| {
        let hostname = (!hostname.is_empty()).then(|| (*hostname).to_owned());
        (address.parse().unwrap(), hostname)
    });
    let endpoints: Vec<_> = endpoints.collect();
    Slice {
        namespace: "testns".into(),
        name: format!("{service}-{}", endpoints[0].0),
        service: service.into(),
        endpoints,
        ports: ports.to_vec(),
    }
}

fn zone() -> Zone {
    let zone = Zone::new();
    zone.set_namespace("testns");
    zone.set_namespace("kube-system");
    let http = port("http", "TCP", 80);
    let both = [port("dns", "UDP", 53), port("dns-tcp", "TCP", 53)];
    zone.set_service(service("svc1", at(&["10.0.0.1"]), from_ref(&http)));
    zone.set_service(service("svc6", at(&["1234:abcd::1"]), from_ref(&http)));
    zone.set_service(service("dual", at(&["10.0.0.3", "fd00::3"]), &both));
    zone.set_service(service(
        "unnamed",
        at(&["10.0.0.4"]),
        &[port("", "TCP", 8080)],
    ));
    zone.set_service(service("portless", at(&["10.0.0.5"]), &[]));
    zone.set_service(service("hdls", Reach::Headless, from_ref(&http)));
    zone.set_service(service("hdlsempty", Reach::Headless, from_ref(&http)));
    zone.set_service(service("hdlsprtls", Reach::Headless, &[]));
    zone.set_service(service(
        "external",
        Reach::External("ext.example.com".into()),
        &[],
    ));
    zone.set_service(service("address", Reach::External("1.2.3.4".into()), &[]));
    for (name, target) in [
        ("inner", "SVC1.testns.svc.cluster.local"),
        ("inner2", "inner.testns.svc.cluster.local."),
        ("nowhere", "gone.testns.svc.cluster.local"),
        ("loop1", "loop2.testns.svc.cluster.local"),
        ("loop2", "loop1.testns.svc.cluster.local"),
        ("far", "external.testns.svc.cluster.local"),
    ] {
        zone.set_service(service(name, Reach::External(target.into()), &[]));
    }
    let mut dns = service("kube-dns", at(&["10.43.0.10"]), &both);
    dns.namespace = "kube-system".into();
    zone.set_service(dns);
    let endpoints = [
        ("172.0.0.2", ""),
        ("172.0.0.3", ""),
        ("172.0.0.4", "dup-name"),
        ("172.0.0.5", "dup-name"),
        ("172.0.0.6", "Pet-0"),
    ];
    zone.set_slice(slice("hdls", &endpoints, from_ref(&http)));
    let endpoints = [("5678:abcd::1", ""), ("5678:abcd::2", "")];
    zone.set_slice(slice("hdls", &endpoints, from_ref(&http)));
    zone.set_slice(slice("hdlsprtls", &[("172.0.0.20", "")], &[]));
    zone.set_slice(slice("svc1", &[("172.0.1.1", "")], from_ref(&http)));
    zone.set_synced();
    zone
}

fn cluster() -> Cluster {
    Cluster {
        zone: Name::parse("cluster.local").unwrap(),
        domain: "cluster.local".into(),
        ttl: 5,
        servers: vec!["10.43.0.10".parse().unwrap()],
    }
}

/// Asks and describes the reply, a line a record.
fn ask(zone: &Zone, name: &str, kind: u16) -> String {
    let mut bytes = Vec::new();
    write_query(1, &Name::parse(name).unwrap(), kind, &mut bytes);
    let query = wire::read(&bytes).unwrap();
    let mut reply = Reply::default();
    let verdict = answer(&query, &cluster(), zone, &mut reply);
    if verdict == Verdict::Forward {
        return "forward".to_owned();
    }
    wire::write(&query, &reply, 65535, &mut bytes);
    let message = Message::from_vec(&bytes).unwrap();
    assert!(message.metadata.authoritative);
    let mut lines = vec![reply.rcode.as_str().to_owned()];
    for (section, records) in [
        ("", &message.answers),
        ("ns: ", &message.authorities),
        ("+ ", &message.additionals),
    ] {
        for record in records {
            let text = record.to_string();
            let soa = " IN SOA ns.dns.cluster.local. hostmaster.cluster.local. ";
            lines.push(
                match text.contains(soa) && text.ends_with(" 7200 1800 86400 5") {
                    true => format!("{section}{} SOA", record.name),
                    false => format!("{section}{text}"),
                },
            );
        }
    }
    if let Verdict::Chase(target) = verdict {
        lines.push(format!("chase {target}"));
    }
    lines.join("\n")
}

/// Each case: a name, a type, and the reply with `.svc.cluster.local.` left
/// out of the names in `testns`.
fn check(cases: &[(&str, u16, &[&str])]) {
    let zone = zone();
    for (name, kind, want) in cases {
        let got = ask(&zone, name, *kind);
        let got = got.replace(".testns.svc.cluster.local.", ".T");
        assert_eq!(got.lines().collect::<Vec<_>>(), *want, "{name} {kind}");
    }
}

const NODATA: &[&str] = &["NOERROR", "ns: cluster.local. SOA"];
const NXDOMAIN: &[&str] = &["NXDOMAIN", "ns: cluster.local. SOA"];

#[test]
fn services_with_addresses() {
    use kind::{A, AAAA, MX, PTR, TXT};
    check(&[
        (
            "svc1.testns.svc.cluster.local",
            A,
            &["NOERROR", "svc1.T 5 IN A 10.0.0.1"],
        ),
        ("svc1.testns.svc.cluster.local", AAAA, NODATA),
        ("svc1.testns.svc.cluster.local", MX, NODATA),
        ("svc1.testns.svc.cluster.local", TXT, NODATA),
        ("svc1.testns.svc.cluster.local", PTR, NODATA),
        (
            "svc6.testns.svc.cluster.local",
            AAAA,
            &["NOERROR", "svc6.T 5 IN AAAA 1234:abcd::1"],
        ),
        (
            "dual.testns.svc.cluster.local",
            A,
            &["NOERROR", "dual.T 5 IN A 10.0.0.3"],
        ),
        (
            "dual.testns.svc.cluster.local",
            AAAA,
            &["NOERROR", "dual.T 5 IN AAAA fd00::3"],
        ),
        (
            "portless.testns.svc.cluster.local",
            A,
            &["NOERROR", "portless.T 5 IN A 10.0.0.5"],
        ),
        ("svc0.testns.svc.cluster.local", A, NXDOMAIN),
        ("svc0.testns.svc.cluster.local", AAAA, NXDOMAIN),
        ("svc0.testns.svc.cluster.local", MX, NXDOMAIN),
        ("svc1.nons.svc.cluster.local", A, NXDOMAIN),
        (
            "_http._tcp.svc1.testns.svc.cluster.local",
            A,
            &["NOERROR", "_http._tcp.svc1.T 5 IN A 10.0.0.1"],
        ),
        (
            "172-0-1-1.svc1.testns.svc.cluster.local",
            A,
            &["NOERROR", "172-0-1-1.svc1.T 5 IN A 172.0.1.1"],
        ),
        ("x.svc1.testns.svc.cluster.local", A, NXDOMAIN),
        ("a.b.c.svc1.testns.svc.cluster.local", A, NXDOMAIN),
    ]);
}

#[test]
fn spelling_is_the_clients() {
    let zone = zone();
    assert_eq!(
        ask(&zone, "_HTTP._tcp.sVc1.TestNS.SVC.cLuster.local", kind::SRV),
        "NOERROR\n\
         _HTTP._tcp.sVc1.TestNS.SVC.cLuster.local. 5 IN SRV 0 100 80 svc1.testns.svc.cLuster.local.\n\
         + svc1.testns.svc.cLuster.local. 5 IN A 10.0.0.1"
    );
}

#[test]
fn headless_services() {
    use kind::{A, AAAA, SRV};
    check(&[
        (
            "hdls.testns.svc.cluster.local",
            A,
            &[
                "NOERROR",
                "hdls.T 5 IN A 172.0.0.2",
                "hdls.T 5 IN A 172.0.0.3",
                "hdls.T 5 IN A 172.0.0.4",
                "hdls.T 5 IN A 172.0.0.5",
                "hdls.T 5 IN A 172.0.0.6",
            ],
        ),
        (
            "hdls.testns.svc.cluster.local",
            AAAA,
            &[
                "NOERROR",
                "hdls.T 5 IN AAAA 5678:abcd::1",
                "hdls.T 5 IN AAAA 5678:abcd::2",
            ],
        ),
        (
            "dup-name.hdls.testns.svc.cluster.local",
            A,
            &[
                "NOERROR",
                "dup-name.hdls.T 5 IN A 172.0.0.4",
                "dup-name.hdls.T 5 IN A 172.0.0.5",
            ],
        ),
        (
            "pet-0.hdls.testns.svc.cluster.local",
            A,
            &["NOERROR", "pet-0.hdls.T 5 IN A 172.0.0.6"],
        ),
        ("pet-0.hdls.testns.svc.cluster.local", AAAA, NODATA),
        ("172-0-0-4.hdls.testns.svc.cluster.local", A, NXDOMAIN),
        (
            "5678-abcd--2.hdls.testns.svc.cluster.local",
            AAAA,
            &["NOERROR", "5678-abcd--2.hdls.T 5 IN AAAA 5678:abcd::2"],
        ),
        ("hdlsempty.testns.svc.cluster.local", A, NXDOMAIN),
        (
            "hdlsprtls.testns.svc.cluster.local",
            A,
            &["NOERROR", "hdlsprtls.T 5 IN A 172.0.0.20"],
        ),
        ("hdlsprtls.testns.svc.cluster.local", SRV, NODATA),
        ("_http._udp.hdls.testns.svc.cluster.local", SRV, NXDOMAIN),
    ]);
}

#[test]
fn ports() {
    use kind::SRV;
    check(&[
        (
            "_dns._udp.dual.testns.svc.cluster.local",
            SRV,
            &[
                "NOERROR",
                "_dns._udp.dual.T 5 IN SRV 0 50 53 dual.T",
                "+ dual.T 5 IN A 10.0.0.3",
                "+ dual.T 5 IN AAAA fd00::3",
            ],
        ),
        (
            "svc1.testns.svc.cluster.local",
            SRV,
            &[
                "NOERROR",
                "svc1.T 5 IN SRV 0 100 80 svc1.T",
                "+ svc1.T 5 IN A 10.0.0.1",
            ],
        ),
        (
            "unnamed.testns.svc.cluster.local",
            SRV,
            &[
                "NOERROR",
                "unnamed.T 5 IN SRV 0 100 8080 unnamed.T",
                "+ unnamed.T 5 IN A 10.0.0.4",
            ],
        ),
        ("_http._tcp.unnamed.testns.svc.cluster.local", SRV, NXDOMAIN),
        ("_http._udp.svc1.testns.svc.cluster.local", SRV, NXDOMAIN),
        ("_x._tcp.svc1.testns.svc.cluster.local", SRV, NXDOMAIN),
        ("portless.testns.svc.cluster.local", SRV, NODATA),
        ("external.testns.svc.cluster.local", SRV, NODATA),
        (
            "_http._tcp.hdls.testns.svc.cluster.local",
            SRV,
            &[
                "NOERROR",
                "_http._tcp.hdls.T 5 IN SRV 0 14 80 172-0-0-2.hdls.T",
                "_http._tcp.hdls.T 5 IN SRV 0 14 80 172-0-0-3.hdls.T",
                "_http._tcp.hdls.T 5 IN SRV 0 14 80 dup-name.hdls.T",
                "_http._tcp.hdls.T 5 IN SRV 0 14 80 Pet-0.hdls.T",
                "_http._tcp.hdls.T 5 IN SRV 0 14 80 5678-abcd--1.hdls.T",
                "_http._tcp.hdls.T 5 IN SRV 0 14 80 5678-abcd--2.hdls.T",
                "+ 172-0-0-2.hdls.T 5 IN A 172.0.0.2",
                "+ 172-0-0-3.hdls.T 5 IN A 172.0.0.3",
                "+ dup-name.hdls.T 5 IN A 172.0.0.4",
                "+ dup-name.hdls.T 5 IN A 172.0.0.5",
                "+ Pet-0.hdls.T 5 IN A 172.0.0.6",
                "+ 5678-abcd--1.hdls.T 5 IN AAAA 5678:abcd::1",
                "+ 5678-abcd--2.hdls.T 5 IN AAAA 5678:abcd::2",
            ],
        ),
    ]);
}

#[test]
fn external_names() {
    use kind::{A, AAAA, CNAME};
    let chased = &[
        "NOERROR",
        "external.T 5 IN CNAME ext.example.com.",
        "chase ext.example.com",
    ];
    check(&[
        ("external.testns.svc.cluster.local", A, chased),
        ("external.testns.svc.cluster.local", AAAA, chased),
        (
            "external.testns.svc.cluster.local",
            CNAME,
            &["NOERROR", "external.T 5 IN CNAME ext.example.com."],
        ),
        ("x.external.testns.svc.cluster.local", A, NXDOMAIN),
        ("address.testns.svc.cluster.local", A, NXDOMAIN),
        ("svc1.testns.svc.cluster.local", CNAME, NODATA),
        (
            "inner.testns.svc.cluster.local",
            A,
            &[
                "NOERROR",
                "inner.T 5 IN CNAME SVC1.T",
                "SVC1.T 5 IN A 10.0.0.1",
            ],
        ),
        (
            "inner2.testns.svc.cluster.local",
            A,
            &[
                "NOERROR",
                "inner2.T 5 IN CNAME inner.T",
                "inner.T 5 IN CNAME SVC1.T",
                "SVC1.T 5 IN A 10.0.0.1",
            ],
        ),
        ("inner.testns.svc.cluster.local", AAAA, NODATA),
        ("nowhere.testns.svc.cluster.local", A, NODATA),
        ("loop1.testns.svc.cluster.local", A, NODATA),
        (
            "far.testns.svc.cluster.local",
            A,
            &[
                "NOERROR",
                "far.T 5 IN CNAME external.T",
                "external.T 5 IN CNAME ext.example.com.",
                "chase ext.example.com",
            ],
        ),
    ]);
}

#[test]
fn pods() {
    use kind::{A, AAAA};
    check(&[
        (
            "10-42-0-7.testns.pod.cluster.local",
            A,
            &[
                "NOERROR",
                "10-42-0-7.testns.pod.cluster.local. 5 IN A 10.42.0.7",
            ],
        ),
        ("10-42-0-7.testns.pod.cluster.local", AAAA, NODATA),
        (
            "fd00--1.testns.pod.cluster.local",
            AAAA,
            &[
                "NOERROR",
                "fd00--1.testns.pod.cluster.local. 5 IN AAAA fd00::1",
            ],
        ),
        ("10-42-0-7.nons.pod.cluster.local", A, NXDOMAIN),
        ("10-42-0.testns.pod.cluster.local", A, NXDOMAIN),
        ("300-42-0-7.testns.pod.cluster.local", A, NXDOMAIN),
        ("web.testns.pod.cluster.local", A, NXDOMAIN),
    ]);
}

#[test]
fn the_zone_itself() {
    use kind::{A, NS, SOA, TXT};
    check(&[
        ("cluster.local", A, NODATA),
        ("svc.cluster.local", A, NODATA),
        ("pod.cluster.local", A, NODATA),
        ("testns.svc.cluster.local", A, NODATA),
        ("testns.pod.cluster.local", A, NODATA),
        ("nons.svc.cluster.local", A, NXDOMAIN),
        ("foo.cluster.local", A, NXDOMAIN),
        ("foo.cluster.local", NS, NODATA),
        ("svc1.testns.foo.cluster.local", A, NXDOMAIN),
        ("cluster.local", SOA, &["NOERROR", "cluster.local. SOA"]),
        (
            "dns-version.cluster.local",
            TXT,
            &["NOERROR", "dns-version.cluster.local. 28800 IN TXT 1.1.0"],
        ),
        (
            "ns.dns.cluster.local",
            A,
            &["NOERROR", "ns.dns.cluster.local. 5 IN A 10.43.0.10"],
        ),
        (
            "cluster.local",
            NS,
            &[
                "NOERROR",
                "cluster.local. 5 IN NS kube-dns.kube-system.svc.cluster.local.",
                "+ kube-dns.kube-system.svc.cluster.local. 5 IN A 10.43.0.10",
            ],
        ),
    ]);
}

#[test]
fn names_of_addresses() {
    use kind::{A, PTR};
    check(&[
        (
            "1.0.0.10.in-addr.arpa",
            PTR,
            &["NOERROR", "1.0.0.10.in-addr.arpa. 5 IN PTR svc1.T"],
        ),
        (
            "6.0.0.172.in-addr.arpa",
            PTR,
            &["NOERROR", "6.0.0.172.in-addr.arpa. 5 IN PTR Pet-0.hdls.T"],
        ),
        (
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.c.b.a.4.3.2.1.ip6.arpa",
            PTR,
            &[
                "NOERROR",
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.c.b.a.4.3.2.1.ip6.arpa. 5 IN PTR svc6.T",
            ],
        ),
        ("9.9.9.9.in-addr.arpa", PTR, &["forward"]),
        ("0.0.10.in-addr.arpa", PTR, &["forward"]),
        ("x.0.0.10.in-addr.arpa", PTR, &["forward"]),
        ("1.0.0.10.in-addr.arpa", A, &["forward"]),
        ("example.com", A, &["forward"]),
        ("local", A, &["forward"]),
        (".", kind::NS, &["forward"]),
    ]);
}

#[test]
fn before_all_is_known_nothing_is_denied() {
    let zone = Zone::new();
    zone.set_namespace("testns");
    let got = ask(&zone, "svc1.testns.svc.cluster.local", kind::A);
    assert_eq!(got, "SERVFAIL\nns: cluster.local. SOA");
}
