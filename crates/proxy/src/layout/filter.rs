//! Before any translation: who may not, and who cannot. After it: what was
//! missed.

use linux::nft::{ChainKind, CmpOp, CtKey, Expr, Hook, Reg, Reject, Verdict};

use super::{CT_NEW, Chain, Layout, REFUSALS, SHAPE, l4proto, lookup};
use crate::{entry::Map, model::Cidr};

impl Layout {
    /// Before any translation: who may not, and who cannot.
    pub(super) fn filters(&self) -> Vec<Chain> {
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
            self.unallocated(
                after(Hook::Forward, "stray-forward", 0).rule("not translated", stray.clone()),
            ),
            self.unallocated(
                self.exempt(after(Hook::Output, "stray-output", -90).rule("not translated", stray)),
            ),
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

    /// What goes to an address of Services that no Service has ends here, as
    /// pkg/proxy/nftables drops it.
    fn unallocated(&self, mut chain: Chain) -> Chain {
        let ours = |cidr: &&Cidr| cidr.address.is_ipv6() == self.facts.ipv6;
        for cidr in self.facts.service_cidrs.iter().filter(ours) {
            let mut exprs = vec![Expr::destination(self.family, Reg(0))];
            exprs.extend(Expr::in_prefix(
                Reg(0),
                Reg(4),
                cidr.address,
                cidr.bits,
                CmpOp::Eq,
            ));
            exprs.push(Expr::Verdict(Verdict::Drop));
            chain = chain.rule("no such service", exprs);
        }
        chain
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

    fn refusal(&self, map: Map) -> Vec<Expr> {
        let mut exprs = self.target(map);
        exprs.push(Expr::LookupVerdict {
            set: REFUSALS.into(),
            from: SHAPE,
        });
        exprs
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
