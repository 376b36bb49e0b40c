//! The packet filter's part: pods that talk to the world outside the cluster
//! do so under the node's address.

use linux::{
    cidr::Cidr,
    netns::Netns,
    nft::{Batch, ChainKind, CmpOp, Expr, Family, Hook, MetaKey, Nft, Reg, Verdict},
};
use std::net::{IpAddr, Ipv4Addr};

use crate::{error::Error, names, node_side::netns_failed, podnet::Config};

const FAMILY: Family = Family::Ipv4;
const SOURCE_NAT: i32 = 100;
/// Before connections are looked up: answers to the node's own connections
/// still carry the pod's and the node's real addresses there.
const RAW: i32 = -300;
const FORWARD_HOOK: u32 = 2;

/// Puts the table in place of the one that an earlier run left, in one step.
pub(crate) fn install(config: &Config, netns: &Netns) -> Result<(), Error> {
    let table = names::table(&config.instance);
    let mut batch = Batch::new(FAMILY);
    batch.add_table(&table, "");
    batch.delete_table(&table);
    batch.add_table(&table, "tiphys pods");
    let (nat, filter) = (ChainKind::Nat, ChainKind::Filter);
    batch.add_base_chain(&table, "postrouting", nat, Hook::Postrouting, SOURCE_NAT);
    let rule = masquerade(config);
    batch.add_rule(&table, "postrouting", "pods to outside the cluster", &rule);
    batch.add_base_chain(&table, "guard", filter, Hook::Prerouting, RAW);
    for (comment, load) in [
        (
            "pods to this machine's loopback",
            Expr::destination(FAMILY, Reg(4)),
        ),
        (
            "pods that claim to be loopback",
            Expr::source(FAMILY, Reg(4)),
        ),
    ] {
        batch.add_rule(&table, "guard", comment, &guard(config, load));
    }
    commit(&table, batch, netns)
}

/// Removes the table. Returns whether it was there.
pub(crate) fn remove(instance: &str, netns: &Netns) -> Result<bool, Error> {
    let table = names::table(instance);
    let mut nft = open(&table, netns)?;
    let found = nft.table(FAMILY, &table).map_err(failed(&table))?;
    if found.is_none() {
        return Ok(false);
    }
    let mut batch = Batch::new(FAMILY);
    batch.delete_table(&table);
    nft.commit(batch).map_err(failed(&table))?;
    Ok(true)
}

/// A base chain that drops what is forwarded unless a rule of it accepts.
pub(crate) fn forwarding_obstacle(netns: &Netns) -> Result<Option<String>, Error> {
    let mut nft = open("any", netns)?;
    for family in [Family::Ipv4, Family::Inet] {
        let chains = nft.chains(family).map_err(failed("any"))?;
        let drops = chains.iter().find(|chain| {
            !chain.accepts && chain.hook.is_some_and(|(hook, _)| hook == FORWARD_HOOK)
        });
        if let Some(chain) = drops {
            return Ok(Some(format!(
                "{} {} {}",
                family.as_str(),
                chain.table,
                chain.name
            )));
        }
    }
    Ok(None)
}

fn masquerade(config: &Config) -> Vec<Expr> {
    let mut exprs = Vec::new();
    let mut test = |load: Expr, cidr: Cidr, op| {
        exprs.push(load);
        exprs.extend(Expr::in_prefix(Reg(0), Reg(1), cidr.address, cidr.bits, op));
    };
    let multicast = Cidr {
        address: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)),
        bits: 4,
    };
    test(Expr::source(FAMILY, Reg(0)), config.pod_cidr, CmpOp::Eq);
    test(
        Expr::destination(FAMILY, Reg(0)),
        config.cluster_cidr,
        CmpOp::Ne,
    );
    test(Expr::destination(FAMILY, Reg(0)), multicast, CmpOp::Ne);
    exprs.push(Expr::Masquerade { random: true });
    exprs
}

/// Drops packets that come in by a link of ours with a loopback address.
fn guard(config: &Config, load: Expr) -> Vec<Expr> {
    let mut exprs = vec![
        Expr::Meta {
            key: MetaKey::IifName,
            to: Reg(0),
        },
        Expr::Cmp {
            from: Reg(0),
            op: CmpOp::Eq,
            data: names::prefix(&config.instance).into_bytes(),
        },
        load,
    ];
    let loopback = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0));
    exprs.extend(Expr::in_prefix(Reg(4), Reg(5), loopback, 8, CmpOp::Eq));
    exprs.push(Expr::Verdict(Verdict::Drop));
    exprs
}

fn commit(table: &str, batch: Batch, netns: &Netns) -> Result<(), Error> {
    open(table, netns)?.commit(batch).map_err(failed(table))
}

fn open(table: &str, netns: &Netns) -> Result<Nft, Error> {
    netns
        .run(Nft::open)
        .map_err(netns_failed)?
        .map_err(failed(table))
}

fn failed(table: &str) -> impl FnOnce(linux::nft::Error) -> Error {
    let table = table.to_string();
    move |source| Error::Filter { table, source }
}
