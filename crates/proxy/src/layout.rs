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

mod filter;
mod nat;
mod shapes;

use std::{net::IpAddr, time::Duration};

use linux::nft::{
    Batch, ChainKind, CmpOp, DataType, Element, Expr, Family, FibResult, Hook, MetaKey, Reg,
    SetSpec, Verdict,
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

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The chain of a shape.
pub(crate) fn shape_chain_name(map: Map, shape: Shape) -> String {
    match shape {
        Shape::Sticky { count, seconds } => format!("{}-sticky-{seconds}-{count}", map.name()),
        other => format!("{}-any-{}", map.name(), other.count()),
    }
}
