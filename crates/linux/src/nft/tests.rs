//! What the kernel understood, read back with the `nft` program in network
//! namespaces of our own.

use std::{io::ErrorKind, net::Ipv4Addr, process::Command, time::Duration};

use expect_test::{Expect, expect};

use super::*;
use crate::netns::Netns;

const TABLE: &str = "tiphys-test";
const V4: Family = Family::Ipv4;

fn prepared() -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: packet filters need root");
        return false;
    }
    match Command::new("nft").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: the nft program is not installed");
            false
        }
        _ => true,
    }
}

fn ruleset(netns: &Netns) -> String {
    let output = netns
        .run(|| Command::new("nft").args(["list", "ruleset"]).output())
        .unwrap()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn check(fill: impl FnOnce(&mut Batch), expect: &Expect) {
    if !prepared() {
        return;
    }
    let netns = Netns::create().unwrap();
    let mut nft = netns.run(Nft::open).unwrap().unwrap();
    let mut batch = Batch::new(V4);
    batch.add_table(TABLE, "made by a test");
    fill(&mut batch);
    nft.commit(batch).unwrap();
    expect.assert_eq(&ruleset(&netns));
}

fn with_chain(rules: &[(&str, Vec<Expr>)], kind: ChainKind, hook: Hook, expect: &Expect) {
    check(
        |batch| {
            batch.add_base_chain(TABLE, "main", kind, hook, 0);
            batch.add_chain(TABLE, "other");
            for (comment, exprs) in rules {
                batch.add_rule(TABLE, "main", comment, exprs);
            }
        },
        expect,
    );
}

fn address_key(to: u8) -> Vec<Expr> {
    vec![
        Expr::Meta {
            key: MetaKey::L4Proto,
            to: Reg(to),
        },
        Expr::destination(V4, Reg(to + 1)),
        Expr::destination_port(Reg(to + 2)),
    ]
}

const ADDRESS_KEY: [DataType; 3] = [
    DataType::INET_PROTO,
    DataType::IPV4_ADDR,
    DataType::INET_SERVICE,
];

fn address(last: u8, port: u16) -> Vec<u8> {
    let mut key = vec![6, 0, 0, 0, 10, 0, 0, last];
    key.extend(port.to_be_bytes());
    key.extend([0, 0]);
    key
}

#[test]
fn filters() {
    let source = Reg(0);
    let prefix = Expr::in_prefix(
        source,
        Reg(4),
        Ipv4Addr::new(10, 42, 0, 0).into(),
        16,
        CmpOp::Ne,
    );
    let [mask, compare] = prefix;
    let [state, is_new] = Expr::any_bit(Reg(0), 8, true);
    let mut name = b"tp12".to_vec();
    name.truncate(4);
    with_chain(
        &[
            (
                "outside",
                vec![
                    Expr::source(V4, source),
                    mask,
                    compare,
                    Expr::Verdict(Verdict::Jump("other".into())),
                ],
            ),
            (
                "new",
                vec![
                    Expr::Ct {
                        key: CtKey::State,
                        direction: None,
                        to: Reg(0),
                    },
                    state,
                    is_new,
                    Expr::Counter,
                    Expr::Verdict(Verdict::Accept),
                ],
            ),
            (
                "tcp",
                vec![
                    Expr::Meta {
                        key: MetaKey::L4Proto,
                        to: Reg(0),
                    },
                    Expr::Cmp {
                        from: Reg(0),
                        op: CmpOp::Eq,
                        data: vec![6],
                    },
                    Expr::Reject(Reject::TcpReset),
                ],
            ),
            (
                "rest",
                vec![
                    Expr::Limit {
                        per_second: 10,
                        burst: 5,
                    },
                    Expr::Reject(Reject::PortUnreachable),
                ],
            ),
            (
                "local",
                vec![
                    Expr::Fib {
                        result: FibResult::DestinationType,
                        to: Reg(0),
                    },
                    Expr::Cmp {
                        from: Reg(0),
                        op: CmpOp::Eq,
                        data: 2u32.to_ne_bytes().to_vec(),
                    },
                    Expr::Verdict(Verdict::Return),
                ],
            ),
            (
                "mark",
                vec![
                    Expr::Meta {
                        key: MetaKey::Mark,
                        to: Reg(0),
                    },
                    Expr::CtSetMark { from: Reg(0) },
                    Expr::MetaSet {
                        key: MetaKey::Mark,
                        from: Reg(0),
                    },
                ],
            ),
            (
                "link",
                vec![
                    Expr::Meta {
                        key: MetaKey::IifName,
                        to: Reg(0),
                    },
                    Expr::Cmp {
                        from: Reg(0),
                        op: CmpOp::Eq,
                        data: name,
                    },
                    Expr::Verdict(Verdict::Drop),
                ],
            ),
            (
                "ports",
                vec![
                    Expr::destination_port(Reg(0)),
                    Expr::Range {
                        from: Reg(0),
                        low: 30000u16.to_be_bytes().to_vec(),
                        high: 32767u16.to_be_bytes().to_vec(),
                        outside: true,
                    },
                    Expr::Verdict(Verdict::Goto("other".into())),
                ],
            ),
        ],
        ChainKind::Filter,
        Hook::Input,
        &expect![[r#"
            table ip tiphys-test {
            	comment "made by a test"
            	chain main {
            		type filter hook input priority filter; policy accept;
            		ip saddr != 10.42.0.0/16 jump other comment "outside"
            		ct state new counter packets 0 bytes 0 accept comment "new"
            		reject with tcp reset comment "tcp"
            		limit rate 10/second reject comment "rest"
            		fib daddr type local return comment "local"
            		ct mark set meta mark meta mark set meta mark comment "mark"
            		iifname "tp12*" drop comment "link"
            		th dport != 30000-32767 goto other comment "ports"
            	}

            	chain other {
            	}
            }
        "#]],
    );
}

#[test]
fn translations() {
    let mark = |to| Expr::Meta {
        key: MetaKey::Mark,
        to: Reg(to),
    };
    // The group that the first map gives lies in register 9. The `nft`
    // program cannot print a key that comes out of another map, so it is
    // shown what lay there before.
    let mut balanced = address_key(0);
    balanced.extend([
        mark(9),
        Expr::LookupData {
            set: "services".into(),
            from: Reg(0),
            to: Reg(8),
        },
        Expr::Random {
            modulus: 3,
            to: Reg(8),
        },
        Expr::LookupData {
            set: "endpoints".into(),
            from: Reg(8),
            to: Reg(0),
        },
        Expr::Nat {
            kind: NatKind::Destination,
            family: V4,
            address: Reg(0),
            port: Some(Reg(1)),
        },
    ]);
    let mut known = address_key(0);
    known.extend([
        Expr::Lookup {
            set: "closed".into(),
            from: Reg(0),
            inverted: false,
        },
        Expr::Verdict(Verdict::Drop),
    ]);
    check(
        |batch| {
            batch.add_set(
                TABLE,
                &SetSpec::map("services", &ADDRESS_KEY, &[DataType::MARK; 2]),
            );
            batch.add_set(
                TABLE,
                &SetSpec::map(
                    "endpoints",
                    &[DataType::MARK; 2],
                    &[DataType::IPV4_ADDR, DataType::INET_SERVICE],
                ),
            );
            batch.add_set(TABLE, &SetSpec::set("closed", &ADDRESS_KEY));
            batch.add_base_chain(TABLE, "main", ChainKind::Nat, Hook::Prerouting, -100);
            batch.add_rule(TABLE, "main", "closed", &known);
            batch.add_rule(TABLE, "main", "balanced", &balanced);
            let pair = |a: u32, b: u32| [a.to_ne_bytes(), b.to_ne_bytes()].concat();
            batch.add_elements(TABLE, "closed", [Element::key(&address(9, 80))]);
            batch.add_elements(
                TABLE,
                "services",
                [Element::data(&address(1, 80), &pair(3, 7))],
            );
            batch.add_elements(
                TABLE,
                "endpoints",
                [Element::data(&pair(2, 7), &[10, 42, 0, 5, 31, 144, 0, 0])],
            );
        },
        &expect![[r#"
            table ip tiphys-test {
            	comment "made by a test"
            	map services {
            		type inet_proto . ipv4_addr . inet_service : mark . mark
            		elements = { tcp . 10.0.0.1 . 80 : 0x00000003 . 0x00000007 }
            	}

            	map endpoints {
            		type mark . mark : ipv4_addr . inet_service
            		elements = { 0x00000002 . 0x00000007 : 10.42.0.5 . 8080 }
            	}

            	set closed {
            		type inet_proto . ipv4_addr . inet_service
            		elements = { tcp . 10.0.0.9 . 80 }
            	}

            	chain main {
            		type nat hook prerouting priority dstnat; policy accept;
            		meta l4proto . ip daddr . th dport @closed drop comment "closed"
            		dnat ip to numgen random mod 3 . meta mark map @endpoints comment "balanced"
            	}
            }
        "#]],
    );
}

#[test]
fn affinity_and_ranges() {
    let mut sticky = vec![Expr::source(V4, Reg(0))];
    sticky.extend([
        Expr::Dynset {
            set: "seen".into(),
            op: DynsetOp::Delete,
            key: Reg(0),
            data: Some(Reg(0)),
            timeout: None,
        },
        Expr::Immediate {
            to: Reg(1),
            data: vec![10, 0, 0, 9],
        },
        Expr::Dynset {
            set: "seen".into(),
            op: DynsetOp::Update,
            key: Reg(0),
            data: Some(Reg(1)),
            timeout: Some(Duration::from_secs(60)),
        },
        Expr::Verdict(Verdict::Return),
    ]);
    let mut allowed = vec![Expr::destination(V4, Reg(0)), Expr::source(V4, Reg(1))];
    allowed.extend([
        Expr::Lookup {
            set: "allowed".into(),
            from: Reg(0),
            inverted: true,
        },
        Expr::Verdict(Verdict::Drop),
    ]);
    let verdicts = vec![
        Expr::Meta {
            key: MetaKey::Mark,
            to: Reg(0),
        },
        Expr::LookupVerdict {
            set: "verdicts".into(),
            from: Reg(0),
        },
    ];
    check(
        |batch| {
            batch.add_set(
                TABLE,
                &SetSpec::map("seen", &[DataType::IPV4_ADDR], &[DataType::IPV4_ADDR])
                    .dynamic(Duration::from_secs(3600), 1000),
            );
            batch.add_set(
                TABLE,
                &SetSpec::set("allowed", &[DataType::IPV4_ADDR; 2]).intervals(),
            );
            batch.add_set(TABLE, &SetSpec::verdict_map("verdicts", &[DataType::MARK]));
            batch.add_base_chain(TABLE, "main", ChainKind::Filter, Hook::Forward, 0);
            batch.add_chain(TABLE, "other");
            batch.add_rule(TABLE, "main", "sticky", &sticky);
            batch.add_rule(TABLE, "main", "allowed", &allowed);
            batch.add_rule(TABLE, "main", "verdicts", &verdicts);
            let range = Element {
                key_end: Some(&[10, 0, 0, 1, 192, 0, 2, 255]),
                ..Element::key(&[10, 0, 0, 1, 192, 0, 2, 0])
            };
            batch.add_elements(TABLE, "allowed", [range]);
            batch.add_elements(
                TABLE,
                "verdicts",
                [
                    Element::verdict(&1u32.to_ne_bytes(), &Verdict::Drop),
                    Element::verdict(&2u32.to_ne_bytes(), &Verdict::Goto("other".into())),
                ],
            );
        },
        &expect![[r#"
            table ip tiphys-test {
            	comment "made by a test"
            	map seen {
            		type ipv4_addr : ipv4_addr
            		size 1000
            		flags dynamic,timeout
            		timeout 1h
            	}

            	set allowed {
            		type ipv4_addr . ipv4_addr
            		flags interval
            		elements = { 10.0.0.1 . 192.0.2.0/24 }
            	}

            	map verdicts {
            		type mark : verdict
            		elements = { 0x00000001 : drop, 0x00000002 : goto other }
            	}

            	chain main {
            		type filter hook forward priority filter; policy accept;
            		delete @seen { ip saddr : ip saddr } update @seen { ip saddr timeout 1m : 10.0.0.9 } return comment "sticky"
            		ip daddr . ip saddr != @allowed drop comment "allowed"
            		meta mark vmap @verdicts comment "verdicts"
            	}

            	chain other {
            	}
            }
        "#]],
    );
}

#[test]
fn sources() {
    let status = Expr::Ct {
        key: CtKey::Status,
        direction: None,
        to: Reg(0),
    };
    let [mask, compare] = Expr::any_bit(Reg(0), 32, false);
    with_chain(
        &[
            (
                "untranslated",
                vec![status, mask, compare, Expr::Verdict(Verdict::Return)],
            ),
            (
                "original",
                vec![
                    Expr::Ct {
                        key: CtKey::DstIp,
                        direction: Some(Direction::Original),
                        to: Reg(0),
                    },
                    Expr::Cmp {
                        from: Reg(0),
                        op: CmpOp::Eq,
                        data: vec![10, 43, 0, 1],
                    },
                    Expr::Ct {
                        key: CtKey::ProtoDst,
                        direction: Some(Direction::Original),
                        to: Reg(0),
                    },
                    Expr::Cmp {
                        from: Reg(0),
                        op: CmpOp::Eq,
                        data: vec![1, 187],
                    },
                    Expr::Masquerade { random: true },
                ],
            ),
            (
                "fixed",
                vec![
                    Expr::Immediate {
                        to: Reg(0),
                        data: vec![192, 0, 2, 2],
                    },
                    Expr::Nat {
                        kind: NatKind::Source,
                        family: V4,
                        address: Reg(0),
                        port: None,
                    },
                ],
            ),
        ],
        ChainKind::Nat,
        Hook::Postrouting,
        &expect![[r#"
            table ip tiphys-test {
            	comment "made by a test"
            	chain main {
            		type nat hook postrouting priority filter; policy accept;
            		ct status ! dnat return comment "untranslated"
            		ct original ip daddr 10.43.0.1 ct original proto-dst 0x1bb [invalid type] masquerade fully-random comment "original"
            		snat to 192.0.2.2 comment "fixed"
            	}

            	chain other {
            	}
            }
        "#]],
    );
}

#[test]
fn a_refused_message_is_named_and_nothing_happens() {
    if !prepared() {
        return;
    }
    let netns = Netns::create().unwrap();
    let mut nft = netns.run(Nft::open).unwrap().unwrap();
    let mut batch = Batch::new(V4);
    batch.add_table(TABLE, "");
    batch.add_chain(TABLE, "one");
    batch.delete_chain(TABLE, "two");
    batch.add_chain(TABLE, "three");
    let error = nft.commit(batch).unwrap_err();
    expect!["the kernel refused to delete chain tiphys-test/two (message 3 of 4)"]
        .assert_eq(&error.to_string());
    assert_eq!(error.errno(), Some(libc::ENOENT));
    assert_eq!(nft.tables().unwrap(), []);
}

#[test]
fn thousands_of_elements_go_in_one_transaction_and_come_back() {
    if !prepared() {
        return;
    }
    let netns = Netns::create().unwrap();
    let mut nft = netns.run(Nft::open).unwrap().unwrap();
    let keys: Vec<[u8; 4]> = (0u32..20_000).map(u32::to_be_bytes).collect();
    let before = nft.generation().unwrap();
    let mut batch = Batch::new(V4);
    batch.add_table(TABLE, "words");
    batch.add_set(
        TABLE,
        &SetSpec::map("all", &[DataType::IPV4_ADDR], &[DataType::MARK]),
    );
    batch.add_elements(TABLE, "all", keys.iter().map(|key| Element::data(key, key)));
    nft.commit(batch).unwrap();
    assert_ne!(nft.generation().unwrap(), before);
    assert_eq!(nft.table(V4, TABLE).unwrap().unwrap().comment, "words");
    let mut found = nft.elements(V4, TABLE, "all").unwrap();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(found.len(), keys.len());
    assert_eq!(found[7].key, keys[7]);
    assert_eq!(found[7].value, OwnedValue::Data(keys[7].to_vec()));

    // The same key with another value: removed and added in one step.
    let mut batch = Batch::new(V4);
    batch.delete_elements(TABLE, "all", [Element::key(&keys[7])]);
    batch.create_elements(TABLE, "all", [Element::data(&keys[7], &[9; 4])]);
    nft.commit(batch).unwrap();
    let found = nft.elements(V4, TABLE, "all").unwrap();
    let changed = found.iter().find(|element| element.key == keys[7]).unwrap();
    assert_eq!(changed.value, OwnedValue::Data(vec![9; 4]));
}
