//! How an endpoint of a group is chosen: a chain for each shape.

use std::time::Duration;

use linux::nft::{DynsetOp, Expr, NatKind, Reg};

use super::{
    AFFINITY, GROUP, GROUP_2, Layout, MEMBER, MEMORY, TARGET, TARGET_2, look_up, look_up_target,
    stand_in,
};
use crate::entry::Map;

impl Layout {
    pub(super) fn any(&self, map: Map, count: u32) -> Vec<(String, Vec<Expr>)> {
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

    pub(super) fn sticky(&self, map: Map, count: u32, seconds: u32) -> Vec<(String, Vec<Expr>)> {
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
