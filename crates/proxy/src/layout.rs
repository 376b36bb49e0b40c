//! The unchanging part of the table: chains, rules, and the maps' types.
//!
//! Registers, in words of four bytes. A frontend's key lies from register 0
//! (protocol, address, port). What a map says about it (count, group, shape,
//! masquerade) lies from register 8, so the group is in 9; a number put into 8
//! makes (8, 9) the key of an endpoint.
//!
//! The `nft` program cannot print a key that comes out of another map (it
//! aborts), because it takes such a value for empty. Wherever a looked-up word
//! becomes part of a key, the packet's mark is loaded there just before the
//! lookup overwrites it: the program then prints `meta mark` in that place,
//! and people can list their rules. No rule depends on marks.

use std::{net::IpAddr, time::Duration};

use linux::nft::{
    Batch, ChainKind, CmpOp, CtKey, DataType, Direction, DynsetOp, Element, Expr, Family,
    FibResult, Hook, MetaKey, NatKind, Reg, Reject, SetSpec, Verdict,
};

use crate::{
    entry::{Map, Masquerade, Shape},
    model::{Cidr, Facts},
    plan::hash,
};

const CT_NEW: u32 = 8;
const CT_DNAT: u32 = 32;
const LOCAL: u32 = 2;
const TARGET: Reg = Reg(8);
const GROUP: Reg = Reg(9);
const SHAPE: Reg = Reg(10);
const MASQUERADE: Reg = Reg(11);
/// A second copy of the target, for groups with affinity.
const TARGET_2: Reg = Reg(11);
const GROUP_2: Reg = Reg(12);
/// What is remembered of a client: a word that is always zero, its member.
const MEMORY: Reg = Reg(10);
const MEMBER: Reg = Reg(11);
const AFFINITY_MAX: u32 = 1 << 20;
const AFFINITY_DEFAULT: Duration = Duration::from_secs(10_800);

pub(crate) const AFFINITY: &str = "affinity";
const REFUSALS: &str = "refusals";
const MASQUERADES: &str = "masquerades";

/// The layout for one node.
#[derive(Debug)]
pub(crate) struct Layout {
    facts: Facts,
    pub(crate) family: Family,
    chains: Vec<Chain>,
}

/// A chain and its rules, each with the comment that names it.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) name: String,
    base: Option<(ChainKind, Hook, i32)>,
    pub(crate) rules: Vec<(String, Vec<Expr>)>,
}

impl Layout {
    pub(crate) fn new(facts: Facts) -> Self {
        let family = if facts.ipv6 {
            Family::Ipv6
        } else {
            Family::Ipv4
        };
        let mut layout = Self {
            facts,
            family,
            chains: Vec::new(),
        };
        layout.chains = layout.filters();
        layout.chains.extend(layout.translations());
        layout.chains.extend(layout.masquerades());
        layout
    }

    /// The chains that are always there.
    pub(crate) fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// A word for all this, which changes when any of it does.
    pub(crate) fn comment(&self) -> String {
        let mut batch = Batch::new(self.family);
        self.install("", "", &mut batch);
        for map in FRONTENDS {
            let sticky = Shape::Sticky {
                count: 2,
                seconds: 1,
            };
            for shape in [Shape::Any { count: 2 }, sticky] {
                self.shape_chain(map, shape).install("", &mut batch);
            }
        }
        format!("tiphys services, layout {:08x}", hash(batch.bytes()))
    }

    /// Makes the table with everything but what follows from Services.
    pub(crate) fn install(&self, table: &str, comment: &str, batch: &mut Batch) {
        batch.add_table(table, comment);
        for spec in self.sets() {
            batch.add_set(table, &spec);
        }
        for chain in &self.chains {
            chain.declare(table, batch);
        }
        for chain in &self.chains {
            chain.fill(table, batch);
        }
        let refusals = [
            (Shape::Refuse, Verdict::Goto("refuse".into())),
            (Shape::Drop, Verdict::Drop),
        ];
        for (shape, verdict) in refusals {
            let key = shape.number().to_ne_bytes();
            batch.add_elements(table, REFUSALS, [Element::verdict(&key, &verdict)]);
        }
        let masquerades = [
            (Masquerade::All, "masquerade"),
            (Masquerade::Outside, "masquerade-outside"),
            (Masquerade::Host, "masquerade-host"),
        ];
        for (masquerade, chain) in masquerades {
            let key = masquerade.number().to_ne_bytes();
            let verdict = Verdict::Goto(chain.into());
            batch.add_elements(table, MASQUERADES, [Element::verdict(&key, &verdict)]);
        }
    }

    /// The chain that all groups of a shape share, for those who come from
    /// this map.
    pub(crate) fn shape_chain(&self, map: Map, shape: Shape) -> Chain {
        let rules = match shape {
            Shape::Refuse | Shape::Drop => Vec::new(),
            Shape::Any { count } => self.any(map, count),
            Shape::Sticky { count, seconds } => self.sticky(map, count, seconds),
        };
        Chain {
            name: shape_chain_name(map, shape),
            base: None,
            rules,
        }
    }

    /// All sets and maps, with their types.
    pub(crate) fn sets(&self) -> Vec<SetSpec> {
        let mark = DataType::MARK;
        let address = self.address_type();
        let frontend = [DataType::INET_PROTO, address, DataType::INET_SERVICE];
        let mut specs: Vec<SetSpec> = Map::ALL
            .iter()
            .map(|map| {
                let name = map.name();
                match map {
                    Map::Services | Map::ServicesLocal => SetSpec::map(name, &frontend, &[mark; 4]),
                    Map::NodePorts | Map::NodePortsLocal => {
                        let key = [DataType::INET_PROTO, DataType::INET_SERVICE];
                        SetSpec::map(name, &key, &[mark; 4])
                    }
                    Map::Endpoints | Map::Members => {
                        SetSpec::map(name, &[mark; 2], &[address, DataType::INET_SERVICE])
                    }
                    Map::Picks => SetSpec::map(name, &[mark; 2], &[mark; 2]),
                    Map::ClusterIps => SetSpec::set(name, &[address]),
                    Map::Hairpins => SetSpec::set(name, &[address; 2]),
                    Map::Restricted => SetSpec::set(name, &frontend),
                    Map::Allowed => {
                        let key = [frontend[0], frontend[1], frontend[2], address];
                        SetSpec::set(name, &key).intervals()
                    }
                }
            })
            .collect();
        specs.extend(FRONTENDS.map(|map| SetSpec::verdict_map(dispatch_name(map), &[mark])));
        specs.push(SetSpec::verdict_map(REFUSALS, &[mark]));
        specs.push(SetSpec::verdict_map(MASQUERADES, &[mark]));
        let affinity = SetSpec::map(AFFINITY, &[address, mark], &[mark; 2]);
        specs.push(affinity.dynamic(AFFINITY_DEFAULT, AFFINITY_MAX));
        specs
    }

    /// Before any translation: who may not, and who cannot.
    fn filters(&self) -> Vec<Chain> {
        let jump = |chain: &'static str| Expr::Verdict(Verdict::Jump(chain.into()));
        let mut from_outside = new_connection();
        from_outside.extend(self.outside());
        from_outside.push(jump("check-outside"));
        let mut any = new_connection();
        any.push(jump("check"));
        let mut stray = new_connection();
        stray.extend([
            Expr::destination(self.family, Reg(0)),
            lookup(Map::ClusterIps.name(), Reg(0)),
            Expr::Verdict(Verdict::Drop),
        ]);
        let before = |hook, name: &str| Chain::base(name, ChainKind::Filter, hook, -110);
        let after =
            |hook, name: &str, priority| Chain::base(name, ChainKind::Filter, hook, priority);
        vec![
            before(Hook::Prerouting, "filter-prerouting")
                .rule("from outside the cluster", from_outside)
                .rule("new connections", any.clone()),
            before(Hook::Output, "filter-output").rule("new connections", any),
            // Untranslated although it was meant for a Service, which was
            // changing at that moment: it will be sent again.
            after(Hook::Forward, "stray-forward", 0).rule("not translated", stray.clone()),
            after(Hook::Output, "stray-output", -90).rule("not translated", stray),
            self.check_outside(),
            self.check(),
            Chain::plain("refuse")
                .rule(
                    "tcp",
                    vec![
                        l4proto(Reg(0)),
                        Expr::Cmp {
                            from: Reg(0),
                            op: CmpOp::Eq,
                            data: vec![6],
                        },
                        Expr::Reject(Reject::TcpReset),
                    ],
                )
                .rule("others", vec![Expr::Reject(Reject::PortUnreachable)]),
        ]
    }

    fn check_outside(&self) -> Chain {
        Chain::plain("check-outside")
            .rule("no local endpoint", self.refusal(Map::ServicesLocal))
            .rule(
                "no local endpoint behind a node port",
                self.refusal(Map::NodePortsLocal),
            )
    }

    fn check(&self) -> Chain {
        let end = Reg(2 + self.words());
        let mut restricted = self.key(Map::Services);
        restricted.extend([
            lookup(Map::Restricted.name(), Reg(0)),
            Expr::source(self.family, end),
            Expr::Lookup {
                set: Map::Allowed.name().into(),
                from: Reg(0),
                inverted: true,
            },
            Expr::Verdict(Verdict::Drop),
        ]);
        let mut known = self.target(Map::Services);
        // Always true; without it the `nft` program would not show that there
        // is a condition.
        known.push(Expr::Cmp {
            from: SHAPE,
            op: CmpOp::Ne,
            data: vec![0xff; 4],
        });
        known.push(Expr::Verdict(Verdict::Return));
        let mut unknown = vec![Expr::destination(self.family, Reg(0))];
        unknown.extend([
            lookup(Map::ClusterIps.name(), Reg(0)),
            Expr::Verdict(Verdict::Goto("refuse".into())),
        ]);
        self.exempt(Chain::plain("check"))
            .rule("source not allowed", restricted)
            .rule("no endpoint", self.refusal(Map::Services))
            .rule("a service", known)
            .rule("no such port", unknown)
            .rule(
                "no endpoint behind a node port",
                self.refusal(Map::NodePorts),
            )
    }

    /// Where connections are given their endpoints.
    fn translations(&self) -> Vec<Chain> {
        let jump = |chain: &'static str| Expr::Verdict(Verdict::Jump(chain.into()));
        let mut outside = self.outside();
        outside.push(jump("translate-outside"));
        vec![
            Chain::base("nat-prerouting", ChainKind::Nat, Hook::Prerouting, -100)
                .rule("from outside the cluster", outside)
                .rule("all", vec![jump("translate")]),
            Chain::base("nat-output", ChainKind::Nat, Hook::Output, -100)
                .rule("all", vec![jump("translate")]),
            Chain::plain("translate-outside")
                .rule("services", self.dispatch(Map::ServicesLocal))
                .rule("node ports", self.dispatch(Map::NodePortsLocal)),
            self.exempt(Chain::plain("translate"))
                .rule("services", self.dispatch(Map::Services))
                .rule("node ports", self.dispatch(Map::NodePorts)),
        ]
    }

    /// Where connections that were given an endpoint leave.
    fn masquerades(&self) -> Vec<Chain> {
        let mut untranslated = vec![Expr::Ct {
            key: CtKey::Status,
            direction: None,
            to: Reg(0),
        }];
        untranslated.extend(Expr::any_bit(Reg(0), CT_DNAT, false));
        untranslated.push(Expr::Verdict(Verdict::Return));
        let source = Expr::source(self.family, Reg(0));
        let destination = Expr::destination(self.family, Reg(self.words()));
        let hairpin = vec![
            source,
            destination,
            lookup(Map::Hairpins.name(), Reg(0)),
            Expr::Verdict(Verdict::Goto("masquerade".into())),
        ];
        let mut outside = self.outside();
        outside.push(Expr::Verdict(Verdict::Goto("masquerade".into())));
        let host = vec![
            Expr::Fib {
                result: FibResult::SourceType,
                to: Reg(0),
            },
            Expr::Cmp {
                from: Reg(0),
                op: CmpOp::Eq,
                data: LOCAL.to_ne_bytes().to_vec(),
            },
            Expr::Verdict(Verdict::Goto("masquerade".into())),
        ];
        vec![
            Chain::base("nat-postrouting", ChainKind::Nat, Hook::Postrouting, 100)
                .rule("not to a service", untranslated)
                .rule("back to where it came from", hairpin)
                .rule("services", self.masquerade_of(Map::Services))
                .rule("node ports", self.masquerade_of(Map::NodePorts)),
            self.masquerade_chain(),
            Chain::plain("masquerade-outside").rule("from outside the cluster", outside),
            Chain::plain("masquerade-host").rule("from this machine", host),
        ]
    }

    fn masquerade_chain(&self) -> Chain {
        let chain = Chain::plain("masquerade");
        let chain = match &self.facts.pod_links {
            Some((prefix, address)) => chain.rule(
                "to a pod of this node",
                vec![
                    Expr::Meta {
                        key: MetaKey::OifName,
                        to: Reg(0),
                    },
                    Expr::Cmp {
                        from: Reg(0),
                        op: CmpOp::Eq,
                        data: prefix.as_bytes().to_vec(),
                    },
                    Expr::Immediate {
                        to: Reg(0),
                        data: octets(*address),
                    },
                    Expr::Nat {
                        kind: NatKind::Source,
                        family: self.family,
                        address: Reg(0),
                        port: None,
                    },
                ],
            ),
            None => chain,
        };
        chain.rule("elsewhere", vec![Expr::Masquerade { random: true }])
    }

    /// Goes on if the packet's connection was first addressed to a frontend in
    /// this map, with what is said about its source.
    fn masquerade_of(&self, map: Map) -> Vec<Expr> {
        let original = |key, to| Expr::Ct {
            key,
            direction: Some(Direction::Original),
            to,
        };
        let mut exprs = vec![l4proto(Reg(0))];
        let port = if map == Map::Services {
            let key = if self.facts.ipv6 {
                CtKey::DstIp6
            } else {
                CtKey::DstIp
            };
            exprs.push(original(key, Reg(1)));
            Reg(1 + self.words())
        } else {
            Reg(1)
        };
        exprs.push(original(CtKey::ProtoDst, port));
        exprs.extend(look_up_target(map, TARGET));
        exprs.push(Expr::LookupVerdict {
            set: MASQUERADES.into(),
            from: MASQUERADE,
        });
        exprs
    }

    fn refusal(&self, map: Map) -> Vec<Expr> {
        let mut exprs = self.target(map);
        exprs.push(Expr::LookupVerdict {
            set: REFUSALS.into(),
            from: SHAPE,
        });
        exprs
    }

    fn dispatch(&self, map: Map) -> Vec<Expr> {
        let mut exprs = self.target(map);
        exprs.push(Expr::LookupVerdict {
            set: dispatch_name(map).into(),
            from: SHAPE,
        });
        exprs
    }

    /// Goes on for frontends in this map, with the target in its registers.
    fn target(&self, map: Map) -> Vec<Expr> {
        let mut exprs = Vec::new();
        if matches!(map, Map::NodePorts | Map::NodePortsLocal) {
            exprs.extend(self.to_this_node());
        }
        exprs.extend(self.key(map));
        exprs.extend(look_up_target(map, TARGET));
        exprs
    }

    /// A frontend's key, from register 0.
    fn key(&self, map: Map) -> Vec<Expr> {
        let mut exprs = vec![l4proto(Reg(0))];
        if matches!(map, Map::NodePorts | Map::NodePortsLocal) {
            exprs.push(Expr::destination_port(Reg(1)));
        } else {
            exprs.push(Expr::destination(self.family, Reg(1)));
            exprs.push(Expr::destination_port(Reg(1 + self.words())));
        }
        exprs
    }

    /// Goes on for packets to an address of this node.
    fn to_this_node(&self) -> Vec<Expr> {
        let mut exprs = vec![
            Expr::Fib {
                result: FibResult::DestinationType,
                to: Reg(0),
            },
            Expr::Cmp {
                from: Reg(0),
                op: CmpOp::Eq,
                data: LOCAL.to_ne_bytes().to_vec(),
            },
        ];
        let loopback = match (self.facts.ipv6, self.facts.loopback) {
            (true, _) => "::1/128".parse(),
            (false, false) => "127.0.0.0/8".parse(),
            (false, true) => return exprs,
        };
        if let Ok(Cidr { address, bits }) = loopback {
            exprs.push(Expr::destination(self.family, Reg(0)));
            exprs.extend(Expr::in_prefix(Reg(0), Reg(4), address, bits, CmpOp::Ne));
        }
        exprs
    }

    /// Goes on for packets from outside the cluster's address ranges.
    fn outside(&self) -> Vec<Expr> {
        let mut exprs = Vec::new();
        for cidr in &self.facts.cluster_cidrs {
            if cidr.address.is_ipv6() == self.facts.ipv6 {
                exprs.push(Expr::source(self.family, Reg(0)));
                let op = CmpOp::Ne;
                exprs.extend(Expr::in_prefix(Reg(0), Reg(4), cidr.address, cidr.bits, op));
            }
        }
        exprs
    }

    fn exempt(&self, mut chain: Chain) -> Chain {
        let covered = |address: &&IpAddr| self.facts.covers(**address);
        for address in self.facts.exempt.iter().filter(covered) {
            let exprs = vec![
                Expr::destination(self.family, Reg(0)),
                Expr::Cmp {
                    from: Reg(0),
                    op: CmpOp::Eq,
                    data: octets(*address),
                },
                Expr::Verdict(Verdict::Return),
            ];
            chain = chain.rule("answered on the node itself", exprs);
        }
        chain
    }

    fn any(&self, map: Map, count: u32) -> Vec<(String, Vec<Expr>)> {
        let choose = |number: Expr| {
            let mut exprs = self.key(map);
            exprs.extend(look_up_target(map, TARGET));
            exprs.extend([number, look_up(Map::Endpoints, TARGET, Reg(0)), self.dnat()]);
            exprs
        };
        let mut rules = vec![(format!("one of {count}"), choose(random(count, TARGET)))];
        if count > 1 {
            // The group shrank between the lookups of this very packet.
            rules.push(("the first".into(), choose(zero(TARGET))));
        }
        rules
    }

    fn sticky(&self, map: Map, count: u32, seconds: u32) -> Vec<(String, Vec<Expr>)> {
        let client = Reg(GROUP.0 - self.words());
        let timeout = Some(Duration::from_secs(u64::from(seconds)));
        let remember = |op| Expr::Dynset {
            set: AFFINITY.into(),
            op,
            key: client,
            data: Some(MEMORY),
            timeout,
        };
        let begin = || {
            let mut exprs = self.key(map);
            exprs.extend(look_up_target(map, TARGET));
            exprs.extend([stand_in(GROUP_2)]);
            exprs.push(look_up(map, Reg(0), TARGET_2));
            exprs.extend([Expr::source(self.family, client), stand_in(MEMBER)]);
            exprs
        };
        let mut known = begin();
        known.extend([
            Expr::LookupData {
                set: AFFINITY.into(),
                from: client,
                to: MEMORY,
            },
            look_up(Map::Members, MEMBER, Reg(0)),
            zero(MEMORY),
            remember(DynsetOp::Update),
            self.dnat(),
        ]);
        let new = |number: Expr| {
            let mut exprs = begin();
            exprs.extend([
                zero(MEMORY),
                remember(DynsetOp::Delete),
                number,
                look_up(Map::Picks, MEMBER, MEMORY),
                look_up(Map::Members, MEMBER, Reg(0)),
                zero(MEMORY),
                remember(DynsetOp::Update),
                self.dnat(),
            ]);
            exprs
        };
        vec![
            ("the one before".into(), known),
            (format!("one of {count}"), new(random(count, MEMBER))),
            ("the first".into(), new(zero(MEMBER))),
        ]
    }

    fn dnat(&self) -> Expr {
        Expr::Nat {
            kind: NatKind::Destination,
            family: self.family,
            address: Reg(0),
            port: Some(Reg(self.words())),
        }
    }

    fn address_type(&self) -> DataType {
        if self.facts.ipv6 {
            DataType::IPV6_ADDR
        } else {
            DataType::IPV4_ADDR
        }
    }

    /// How many registers an address fills.
    fn words(&self) -> u8 {
        if self.facts.ipv6 { 4 } else { 1 }
    }
}

impl Chain {
    fn base(name: &str, kind: ChainKind, hook: Hook, priority: i32) -> Self {
        Self {
            base: Some((kind, hook, priority)),
            ..Self::plain(name)
        }
    }

    fn plain(name: &str) -> Self {
        Self {
            name: name.into(),
            base: None,
            rules: Vec::new(),
        }
    }

    fn rule(mut self, comment: &str, exprs: Vec<Expr>) -> Self {
        self.rules.push((comment.into(), exprs));
        self
    }

    pub(crate) fn install(&self, table: &str, batch: &mut Batch) {
        self.declare(table, batch);
        self.fill(table, batch);
    }

    fn declare(&self, table: &str, batch: &mut Batch) {
        match self.base {
            Some((kind, hook, priority)) => {
                batch.add_base_chain(table, &self.name, kind, hook, priority)
            }
            None => batch.add_chain(table, &self.name),
        };
    }

    fn fill(&self, table: &str, batch: &mut Batch) {
        for (comment, exprs) in &self.rules {
            batch.add_rule(table, &self.name, comment, exprs);
        }
    }
}

/// The maps of frontends, each with a verdict map of its shapes.
pub(crate) const FRONTENDS: [Map; 4] = [
    Map::Services,
    Map::ServicesLocal,
    Map::NodePorts,
    Map::NodePortsLocal,
];

/// The verdict map that leads from a shape to its chain.
pub(crate) fn dispatch_name(map: Map) -> &'static str {
    match map {
        Map::ServicesLocal => "shapes-of-services-local",
        Map::NodePorts => "shapes-of-node-ports",
        Map::NodePortsLocal => "shapes-of-node-ports-local",
        _ => "shapes-of-services",
    }
}

/// The chain of a shape.
pub(crate) fn shape_chain_name(map: Map, shape: Shape) -> String {
    match shape {
        Shape::Sticky { count, seconds } => format!("{}-sticky-{seconds}-{count}", map.name()),
        other => format!("{}-any-{}", map.name(), other.count()),
    }
}

fn new_connection() -> Vec<Expr> {
    let mut exprs = vec![Expr::Ct {
        key: CtKey::State,
        direction: None,
        to: Reg(0),
    }];
    exprs.extend(Expr::any_bit(Reg(0), CT_NEW, true));
    exprs
}

fn l4proto(to: Reg) -> Expr {
    Expr::Meta {
        key: MetaKey::L4Proto,
        to,
    }
}

fn lookup(set: &'static str, from: Reg) -> Expr {
    Expr::Lookup {
        set: set.into(),
        from,
        inverted: false,
    }
}

fn look_up(map: Map, from: Reg, to: Reg) -> Expr {
    Expr::LookupData {
        set: map.name().into(),
        from,
        to,
    }
}

/// Loads a target, after what is printed in its place.
fn look_up_target(map: Map, to: Reg) -> Vec<Expr> {
    let mut exprs: Vec<Expr> = (1..4).map(|word| stand_in(Reg(to.0 + word))).collect();
    exprs.push(look_up(map, Reg(0), to));
    exprs
}

fn stand_in(to: Reg) -> Expr {
    Expr::Meta {
        key: MetaKey::Mark,
        to,
    }
}

fn random(count: u32, to: Reg) -> Expr {
    if count > 1 {
        Expr::Random { modulus: count, to }
    } else {
        zero(to)
    }
}

fn zero(to: Reg) -> Expr {
    Expr::Immediate {
        to,
        data: vec![0; 4],
    }
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
