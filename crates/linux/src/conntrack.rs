//! The kernel's table of connections: list flows, forget flows.
//!
//! A forgotten UDP flow is translated anew by its next packet. The table is
//! listed and matched here rather than flushed by a filter in the kernel:
//! kernels that do not know the filter would flush everything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::netlink::{Attrs, Error, Protocol, Socket, Writer};

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const FIXED: usize = 4;
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const PROTO_NUM: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
const PROTO_DST_PORT: u16 = 3;

/// A socket to the connection table of one network namespace.
#[derive(Debug)]
pub struct Conntrack {
    socket: Socket,
}

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Where packets come from.
    pub source: IpAddr,
    /// Where they go.
    pub destination: IpAddr,
    /// The protocol's number.
    pub protocol: u8,
    /// The source port.
    pub source_port: u16,
    /// The destination port.
    pub destination_port: u16,
}

/// A flow as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// As its first packet came.
    pub original: Tuple,
    /// As answers come: from the address that the flow was translated to.
    pub reply: Tuple,
    id: u32,
    zone: Option<Vec<u8>>,
}

impl Conntrack {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, Error> {
        let socket = Socket::open(Protocol::Netfilter)?;
        Ok(Self { socket })
    }

    /// The flows of a protocol, IPv4 or IPv6.
    pub fn flows(&mut self, ipv6: bool, protocol: u8) -> Result<Vec<Flow>, Error> {
        self.socket.dump(
            "list connections",
            GET,
            |body| body.raw(&[family(ipv6), 0, 0, 0]),
            |message| read_flow(message).filter(|flow| flow.original.protocol == protocol),
        )
    }

    /// Forgets a flow. One that ended meanwhile is forgotten already.
    pub fn forget(&mut self, flow: &Flow) -> Result<(), Error> {
        let ipv6 = flow.original.source.is_ipv6();
        let what = format!("forget the connection to {}", flow.original.destination);
        let result = self.socket.request(&what, DELETE, 0, |body| {
            body.raw(&[family(ipv6), 0, 0, 0]);
            write_tuple(&flow.original, body);
            if let Some(zone) = &flow.zone {
                body.attr(ZONE, zone);
            }
            // With the number, a flow that took this one's place is spared.
            body.be32(ID, flow.id);
        });
        match result {
            Err(error) if error.is_absent() => Ok(()),
            other => other,
        }
    }
}

fn family(ipv6: bool) -> u8 {
    (if ipv6 { libc::AF_INET6 } else { libc::AF_INET }) as u8
}

fn read_flow(message: &[u8]) -> Option<Flow> {
    let attrs = Attrs::after(message, FIXED);
    Some(Flow {
        original: read_tuple(attrs.nested(TUPLE_ORIG))?,
        reply: read_tuple(attrs.nested(TUPLE_REPLY))?,
        id: attrs.be32(ID)?,
        zone: attrs.get(ZONE).map(<[u8]>::to_vec),
    })
}

fn read_tuple(tuple: Attrs<'_>) -> Option<Tuple> {
    let ip = tuple.nested(TUPLE_IP);
    let proto = tuple.nested(TUPLE_PROTO);
    Some(Tuple {
        source: address(ip.get(1).or(ip.get(3))?)?,
        destination: address(ip.get(2).or(ip.get(4))?)?,
        protocol: proto.u8(PROTO_NUM)?,
        source_port: proto.be16(PROTO_SRC_PORT).unwrap_or(0),
        destination_port: proto.be16(PROTO_DST_PORT).unwrap_or(0),
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|bytes| Ipv6Addr::from(bytes).into())
}

fn write_tuple(tuple: &Tuple, body: &mut Writer) {
    body.nest(TUPLE_ORIG, |inner| {
        inner.nest(TUPLE_IP, |ip| match (tuple.source, tuple.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                ip.attr(1, &source.octets());
                ip.attr(2, &destination.octets());
            }
            (source, destination) => {
                ip.attr(3, &v6(source).octets());
                ip.attr(4, &v6(destination).octets());
            }
        });
        inner.nest(TUPLE_PROTO, |proto| {
            proto.u8(PROTO_NUM, tuple.protocol);
            proto.be16(PROTO_SRC_PORT, tuple.source_port);
            proto.be16(PROTO_DST_PORT, tuple.destination_port);
        });
    });
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
