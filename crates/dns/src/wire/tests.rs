//! Messages read and written, with `hickory-proto` as the judge.

use std::net::Ipv4Addr;

use hickory_proto::op::Message;

use super::*;

fn query(name: &str, kind: u16) -> Query {
    let mut out = Vec::new();
    write_query(7, &Name::parse(name).unwrap(), kind, &mut out);
    read(&out).unwrap()
}

#[test]
fn queries_are_read() {
    let query = query("Web.default.svc.cluster.local", kind::SRV);
    assert_eq!((query.id, query.kind, query.class), (7, 33, 1));
    assert!(query.recursion_desired);
    assert_eq!(query.limit(true), 1232);
    assert_eq!(query.limit(false), 65535);
    assert_eq!(query.name.to_string(), "Web.default.svc.cluster.local.");
}

#[test]
fn what_is_no_query_is_refused() {
    let mut good = Vec::new();
    write_query(7, &Name::parse("a.b").unwrap(), 1, &mut good);
    let with = |at: usize, byte: u8| {
        let mut message = good.clone();
        message[at] = byte;
        read(&message).err()
    };
    assert_eq!(read(&good[..11]).err(), Some(Refusal::Drop));
    assert_eq!(with(2, 0x81), Some(Refusal::Drop), "an answer");
    assert_eq!(
        with(2, 0x28),
        Some(Refusal::Error(Rcode::NotImp)),
        "an update"
    );
    let malformed = Some(Refusal::Error(Rcode::FormErr));
    assert_eq!(with(5, 0), malformed, "no question");
    assert_eq!(with(5, 2), malformed, "two questions");
    assert_eq!(with(11, 3), malformed, "three additionals");
    assert_eq!(with(12, 0xc0), malformed, "a pointer");
    for cut in HEADER..good.len() {
        assert_eq!(read(&good[..cut]).err(), malformed, "cut at {cut}");
    }
}

#[test]
fn hickory_reads_what_is_written() {
    let query = query("_http._tcp.web.default.svc.CLUSTER.local", kind::SRV);
    let srv = |host: &str| Record {
        owner: Owner::Question,
        ttl: 5,
        data: Data::Srv {
            weight: 50,
            port: 80,
            target: Target::InZone(host.to_owned()),
        },
    };
    let reply = Reply {
        authoritative: true,
        zone_labels: 2,
        answers: vec![srv("a.web.default.svc"), srv("b.web.default.svc")],
        additionals: vec![Record {
            owner: Owner::TargetOf(1),
            ttl: 5,
            data: Data::A(Ipv4Addr::new(10, 0, 0, 2)),
        }],
        authority: Some(Record {
            owner: Owner::Zone,
            ttl: 5,
            data: Data::Soa {
                serial: 9,
                minimum: 5,
            },
        }),
        ..Reply::default()
    };
    let mut out = Vec::new();
    write(&query, &reply, 1232, &mut out);
    let message = Message::from_vec(&out).unwrap();
    let texts: Vec<String> = message.all_sections().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "_http._tcp.web.default.svc.CLUSTER.local. 5 IN SRV 0 50 80 a.web.default.svc.CLUSTER.local.",
            "_http._tcp.web.default.svc.CLUSTER.local. 5 IN SRV 0 50 80 b.web.default.svc.CLUSTER.local.",
            "CLUSTER.local. 5 IN SOA ns.dns.CLUSTER.local. hostmaster.CLUSTER.local. 9 7200 1800 86400 5",
            "b.web.default.svc.CLUSTER.local. 5 IN A 10.0.0.2",
        ]
    );
    assert!(message.metadata.authoritative && !message.metadata.truncation);
    assert!(message.edns.is_some());
}

#[test]
fn what_does_not_fit_is_marked() {
    let query = query("many.default.svc.cluster.local", kind::A);
    let answers = (0..200).map(|n| Record {
        owner: Owner::Question,
        ttl: 5,
        data: Data::A(Ipv4Addr::new(10, 0, 0, n)),
    });
    let reply = Reply {
        zone_labels: 2,
        answers: answers.collect(),
        ..Reply::default()
    };
    let mut out = Vec::new();
    for limit in [512, 1232, 65535] {
        write(&query, &reply, limit, &mut out);
        assert!(out.len() <= limit);
        let message = Message::from_vec(&out).unwrap();
        assert_eq!(message.metadata.truncation, limit < 65535);
        assert_eq!(message.answers.len() == 200, limit == 65535);
        assert!(message.answers.len() > 20);
    }
}
