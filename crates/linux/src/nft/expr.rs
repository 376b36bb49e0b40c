//! The instructions of a rule. They run in order on a packet; each may load a
//! register, end the rule (a comparison or lookup that does not match), change
//! the packet, or give a verdict.

use std::{net::IpAddr, time::Duration};

use super::{
    element::{millis, write_data, write_verdict},
    types::{Family, Name, Verdict},
};
use crate::netlink::Writer;

/// A register of four bytes, 0 to 15. What is longer fills the next ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(pub u8);

impl Reg {
    /// The kernel's number for it: the first eight name larger registers.
    fn number(self) -> u32 {
        debug_assert!(self.0 < 16, "there are sixteen registers");
        u32::from(self.0) + 8
    }
}

/// A fact about the packet that is not in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKey {
    /// The firewall mark.
    Mark,
    /// Name of the link it came in by, NUL-padded to sixteen bytes.
    IifName,
    /// Name of the link it leaves by.
    OifName,
    /// IPv4 or IPv6.
    NfProto,
    /// TCP, UDP, …
    L4Proto,
}

/// Where a payload offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadBase {
    /// The IP header.
    Network,
    /// The TCP, UDP or SCTP header.
    Transport,
}

/// How a register is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmpOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less, as bytes.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

/// A fact about the packet's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtKey {
    /// New, established, …: one bit each.
    State,
    /// Translated, confirmed, …: one bit each.
    Status,
    /// The connection's mark.
    Mark,
    /// Protocol of a direction.
    Protocol,
    /// Destination port of a direction.
    ProtoDst,
    /// IPv4 destination of a direction.
    DstIp,
    /// IPv6 destination of a direction.
    DstIp6,
}

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As the first packet went.
    Original,
    /// Back.
    Reply,
}

/// What a routing question answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FibResult {
    /// The type of the packet's destination (local is 2).
    DestinationType,
    /// The type of its source.
    SourceType,
}

/// Which address is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// What a rule does to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynsetOp {
    /// Adds the key if it is absent.
    Add,
    /// Adds it, or lets its time begin again.
    Update,
    /// Removes it.
    Delete,
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// A TCP reset.
    TcpReset,
    /// "Port unreachable" in the packet's family.
    PortUnreachable,
}

/// One instruction.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "register fields: `to` is written, `from` is read"
)]
pub enum Expr {
    /// Loads a fact about the packet.
    Meta { key: MetaKey, to: Reg },
    /// Sets a fact about the packet.
    MetaSet { key: MetaKey, from: Reg },
    /// Loads bytes of the packet.
    Payload {
        base: PayloadBase,
        offset: u32,
        length: u32,
        to: Reg,
    },
    /// Ends the rule unless the comparison holds.
    Cmp { from: Reg, op: CmpOp, data: Vec<u8> },
    /// Ends the rule unless the register lies in (or, inverted, outside) the range.
    Range {
        from: Reg,
        low: Vec<u8>,
        high: Vec<u8>,
        outside: bool,
    },
    /// `to = (from & mask) ^ xor`.
    Bitwise {
        from: Reg,
        to: Reg,
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    /// Loads bytes.
    Immediate { to: Reg, data: Vec<u8> },
    /// Gives a verdict.
    Verdict(Verdict),
    /// Ends the rule unless the key is (or, inverted, is not) in the set.
    Lookup {
        set: Name,
        from: Reg,
        inverted: bool,
    },
    /// Loads what the map has for the key; ends the rule if it has nothing.
    LookupData { set: Name, from: Reg, to: Reg },
    /// Gives the verdict that the map has for the key.
    LookupVerdict { set: Name, from: Reg },
    /// Changes a set.
    Dynset {
        set: Name,
        op: DynsetOp,
        key: Reg,
        data: Option<Reg>,
        timeout: Option<Duration>,
    },
    /// Translates an address, and a port.
    Nat {
        kind: NatKind,
        family: Family,
        address: Reg,
        port: Option<Reg>,
    },
    /// Takes the address of the leaving link as source.
    Masquerade { random: bool },
    /// Sends the packet to this machine.
    Redirect { port: Option<Reg> },
    /// Asks the routing tables.
    Fib { result: FibResult, to: Reg },
    /// Loads a fact about the connection.
    Ct {
        key: CtKey,
        direction: Option<Direction>,
        to: Reg,
    },
    /// Sets the connection's mark.
    CtSetMark { from: Reg },
    /// Loads a random number below the modulus, in the host's order.
    Random { modulus: u32, to: Reg },
    /// Loads a hash of bytes, below the modulus.
    Hash {
        from: Reg,
        length: u32,
        modulus: u32,
        seed: u32,
        to: Reg,
    },
    /// Refuses the packet.
    Reject(Reject),
    /// Counts packets and bytes.
    Counter,
    /// Ends the rule beyond so many packets a second.
    Limit { per_second: u64, burst: u32 },
}

impl Expr {
    /// The load of the source address.
    pub fn source(family: Family, to: Reg) -> Self {
        let (offset, length) = if family == Family::Ipv6 {
            (8, 16)
        } else {
            (12, 4)
        };
        Self::Payload {
            base: PayloadBase::Network,
            offset,
            length,
            to,
        }
    }

    /// The load of the destination address.
    pub fn destination(family: Family, to: Reg) -> Self {
        let (offset, length) = if family == Family::Ipv6 {
            (24, 16)
        } else {
            (16, 4)
        };
        Self::Payload {
            base: PayloadBase::Network,
            offset,
            length,
            to,
        }
    }

    /// The load of the destination port.
    pub fn destination_port(to: Reg) -> Self {
        Self::Payload {
            base: PayloadBase::Transport,
            offset: 2,
            length: 2,
            to,
        }
    }

    /// The two instructions that test an address against a prefix.
    pub fn in_prefix(from: Reg, scratch: Reg, address: IpAddr, bits: u8, op: CmpOp) -> [Self; 2] {
        let bytes = octets(address);
        let mask = prefix_mask(bytes.len(), bits);
        let data = bytes.iter().zip(&mask).map(|(a, m)| a & m).collect();
        let xor = vec![0; mask.len()];
        [
            Self::Bitwise {
                from,
                to: scratch,
                mask,
                xor,
            },
            Self::Cmp {
                from: scratch,
                op,
                data,
            },
        ]
    }

    /// The two instructions that go on if any of these bits is set, or
    /// (`wanted` false) if none is.
    pub fn any_bit(register: Reg, bits: u32, wanted: bool) -> [Self; 2] {
        [
            Self::Bitwise {
                from: register,
                to: register,
                mask: bits.to_ne_bytes().to_vec(),
                xor: vec![0; 4],
            },
            Self::Cmp {
                from: register,
                op: if wanted { CmpOp::Ne } else { CmpOp::Eq },
                data: vec![0; 4],
            },
        ]
    }

    pub(super) fn write(&self, family: Family, writer: &mut Writer) {
        writer.nest(1, |element| {
            element.str(1, self.name());
            element.nest(2, |data| self.write_data(family, data));
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta { .. } | Self::MetaSet { .. } => "meta",
            Self::Payload { .. } => "payload",
            Self::Cmp { .. } => "cmp",
            Self::Range { .. } => "range",
            Self::Bitwise { .. } => "bitwise",
            Self::Immediate { .. } | Self::Verdict(_) => "immediate",
            Self::Lookup { .. } | Self::LookupData { .. } | Self::LookupVerdict { .. } => "lookup",
            Self::Dynset { .. } => "dynset",
            Self::Nat { .. } => "nat",
            Self::Masquerade { .. } => "masq",
            Self::Redirect { .. } => "redir",
            Self::Fib { .. } => "fib",
            Self::Ct { .. } | Self::CtSetMark { .. } => "ct",
            Self::Random { .. } => "numgen",
            Self::Hash { .. } => "hash",
            Self::Reject(_) => "reject",
            Self::Counter => "counter",
            Self::Limit { .. } => "limit",
        }
    }

    fn write_data(&self, family: Family, data: &mut Writer) {
        match self {
            Self::Meta { key, to } => {
                data.be32(1, to.number());
                data.be32(2, key.number());
            }
            Self::MetaSet { key, from } => {
                data.be32(2, key.number());
                data.be32(3, from.number());
            }
            Self::Payload {
                base,
                offset,
                length,
                to,
            } => {
                data.be32(1, to.number());
                data.be32(2, *base as u32 + 1);
                data.be32(3, *offset);
                data.be32(4, *length);
            }
            Self::Cmp {
                from,
                op,
                data: bytes,
            } => {
                data.be32(1, from.number());
                data.be32(2, *op as u32);
                write_data(data, 3, bytes);
            }
            Self::Range {
                from,
                low,
                high,
                outside,
            } => {
                data.be32(1, from.number());
                data.be32(2, u32::from(*outside));
                write_data(data, 3, low);
                write_data(data, 4, high);
            }
            Self::Bitwise {
                from,
                to,
                mask,
                xor,
            } => {
                data.be32(1, from.number());
                data.be32(2, to.number());
                data.be32(3, mask.len() as u32);
                write_data(data, 4, mask);
                write_data(data, 5, xor);
            }
            Self::Immediate { to, data: bytes } => {
                data.be32(1, to.number());
                write_data(data, 2, bytes);
            }
            Self::Verdict(verdict) => {
                data.be32(1, 0);
                write_verdict(data, 2, verdict);
            }
            Self::Lookup {
                set,
                from,
                inverted,
            } => {
                data.str(1, set);
                data.be32(2, from.number());
                if *inverted {
                    data.be32(5, 1);
                }
            }
            Self::LookupData { set, from, to } => {
                data.str(1, set);
                data.be32(2, from.number());
                data.be32(3, to.number());
            }
            Self::LookupVerdict { set, from } => {
                data.str(1, set);
                data.be32(2, from.number());
                data.be32(3, 0);
            }
            Self::Dynset {
                set,
                op,
                key,
                data: value,
                timeout,
            } => {
                data.str(1, set);
                data.be32(3, *op as u32);
                data.be32(4, key.number());
                if let Some(value) = value {
                    data.be32(5, value.number());
                }
                if let Some(timeout) = timeout {
                    data.be64(6, millis(*timeout));
                }
            }
            Self::Nat {
                kind,
                family,
                address,
                port,
            } => {
                data.be32(1, *kind as u32);
                data.be32(2, u32::from(family.number()));
                data.be32(3, address.number());
                if let Some(port) = port {
                    data.be32(5, port.number());
                }
            }
            Self::Masquerade { random } => {
                if *random {
                    data.be32(1, RANDOM_FULLY);
                }
            }
            Self::Redirect { port } => {
                if let Some(port) = port {
                    data.be32(1, port.number());
                }
            }
            Self::Fib { result, to } => {
                data.be32(1, to.number());
                data.be32(2, FIB_ADDRESS_TYPE);
                data.be32(3, result.flags());
            }
            Self::Ct { key, direction, to } => {
                data.be32(1, to.number());
                data.be32(2, key.number());
                if let Some(direction) = direction {
                    data.u8(3, *direction as u8);
                }
            }
            Self::CtSetMark { from } => {
                data.be32(2, CtKey::Mark.number());
                data.be32(4, from.number());
            }
            Self::Random { modulus, to } => {
                data.be32(1, to.number());
                data.be32(2, *modulus);
                data.be32(3, 1);
                data.be32(4, 0);
            }
            Self::Hash {
                from,
                length,
                modulus,
                seed,
                to,
            } => {
                data.be32(1, from.number());
                data.be32(2, to.number());
                data.be32(3, *length);
                data.be32(4, *modulus);
                data.be32(5, *seed);
                data.be32(7, 0);
            }
            Self::Reject(how) => write_reject(*how, family, data),
            Self::Counter => {}
            Self::Limit { per_second, burst } => {
                data.be64(1, *per_second);
                data.be64(2, 1);
                data.be32(3, *burst);
                data.be32(4, 0);
            }
        }
    }
}

/// NF_NAT_RANGE_PROTO_RANDOM_FULLY.
const RANDOM_FULLY: u32 = 16;
const FIB_ADDRESS_TYPE: u32 = 3;
const REJECT_ICMP: u32 = 0;
const REJECT_TCP_RESET: u32 = 1;
const REJECT_ICMPX: u32 = 2;

fn write_reject(how: Reject, family: Family, data: &mut Writer) {
    let (kind, code) = match (how, family) {
        (Reject::TcpReset, _) => (REJECT_TCP_RESET, 0),
        (Reject::PortUnreachable, Family::Ipv4) => (REJECT_ICMP, 3),
        (Reject::PortUnreachable, Family::Ipv6) => (REJECT_ICMP, 4),
        (Reject::PortUnreachable, Family::Inet) => (REJECT_ICMPX, 1),
    };
    data.be32(1, kind);
    data.u8(2, code);
}

impl MetaKey {
    fn number(self) -> u32 {
        match self {
            Self::Mark => 3,
            Self::IifName => 6,
            Self::OifName => 7,
            Self::NfProto => 15,
            Self::L4Proto => 16,
        }
    }
}

impl CtKey {
    fn number(self) -> u32 {
        match self {
            Self::State => 0,
            Self::Status => 2,
            Self::Mark => 3,
            Self::Protocol => 10,
            Self::ProtoDst => 12,
            Self::DstIp => 20,
            Self::DstIp6 => 22,
        }
    }
}

impl FibResult {
    fn flags(self) -> u32 {
        match self {
            Self::SourceType => 1,
            Self::DestinationType => 2,
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn prefix_mask(length: usize, bits: u8) -> Vec<u8> {
    (0..length)
        .map(|index| {
            let covered = usize::from(bits).saturating_sub(index * 8).min(8);
            (0xff00u16 >> covered) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::prefix_mask;

    #[test]
    fn masks_cover_their_bits() {
        assert_eq!(prefix_mask(4, 0), [0, 0, 0, 0]);
        assert_eq!(prefix_mask(4, 12), [255, 240, 0, 0]);
        assert_eq!(prefix_mask(4, 32), [255, 255, 255, 255]);
    }
}
