//! Where connections are given their endpoints, and where they leave.

use linux::nft::{
    ChainKind, CmpOp, CtKey, Direction, Expr, FibResult, Hook, MetaKey, NatKind, Reg, Verdict,
};

use super::{
    CT_DNAT, Chain, LOCAL, Layout, MASQUERADE, MASQUERADES, SHAPE, TARGET, dispatch_name, l4proto,
    look_up_target, lookup, octets,
};
use crate::entry::Map;

impl Layout {
    /// Where connections are given their endpoints.
    pub(super) fn translations(&self) -> Vec<Chain> {
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
    pub(super) fn masquerades(&self) -> Vec<Chain> {
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

    fn dispatch(&self, map: Map) -> Vec<Expr> {
        let mut exprs = self.target(map);
        exprs.push(Expr::LookupVerdict {
            set: dispatch_name(map).into(),
            from: SHAPE,
        });
        exprs
    }
}
