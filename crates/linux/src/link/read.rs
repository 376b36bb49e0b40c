//! Routing messages as the kernel sends them. A message that lacks what it
//! must have is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Address, Link, Mac, Neighbour, Route, Scope,
    write::{LINK_ALIAS, LINK_INFO, LINK_INFO_KIND, LINK_MAC, LINK_MTU, LINK_NAME, UP},
};
use crate::netlink::Attrs;

const LOOPBACK: u32 = 0x8;
const TABLE_MAIN: u32 = 254;
const UNICAST: u8 = 1;
const CLONED: u32 = 0x200;
const ONLINK: u32 = 4;

pub(super) fn link(message: &[u8]) -> Option<Link> {
    let flags = word(message, 8)?;
    let attrs = Attrs::after(message, 16);
    let kind = attrs.nested(LINK_INFO).string(LINK_INFO_KIND);
    Some(Link {
        index: word(message, 4)?,
        name: attrs.string(LINK_NAME)?,
        up: flags & UP != 0,
        loopback: flags & LOOPBACK != 0,
        mtu: attrs.u32(LINK_MTU).unwrap_or(0),
        mac: attrs.get(LINK_MAC).and_then(mac),
        kind: kind.unwrap_or_default(),
        alias: attrs.string(LINK_ALIAS),
    })
}

pub(super) fn address(message: &[u8]) -> Option<Address> {
    let attrs = Attrs::after(message, 8);
    Some(Address {
        link: word(message, 4)?,
        // The local address, or on links without peers the only one.
        address: ip(attrs.get(2).or(attrs.get(1))?)?,
        prefix: *message.get(1)?,
        scope: Scope(*message.get(3)?),
        label: attrs.string(3),
    })
}

pub(super) fn route(message: &[u8]) -> Option<Route> {
    let header = message.get(..12)?;
    let attrs = Attrs::after(message, 12);
    let flags = word(message, 8)?;
    let table = attrs.u32(15).unwrap_or(u32::from(header[4]));
    if table != TABLE_MAIN || header[7] != UNICAST || flags & CLONED != 0 {
        return None;
    }
    let unspecified = match i32::from(header[0]) {
        libc::AF_INET => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        libc::AF_INET6 => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    Some(Route {
        destination: attrs.get(1).and_then(ip).unwrap_or(unspecified),
        prefix: header[1],
        link: attrs.u32(4)?,
        gateway: attrs.get(5).and_then(ip),
        source: attrs.get(7).and_then(ip),
        metric: attrs.u32(6).unwrap_or(0),
        scope: Scope(header[6]),
        onlink: flags & ONLINK != 0,
    })
}

pub(super) fn preferred_source(attrs: Attrs<'_>) -> Option<IpAddr> {
    attrs.get(7).and_then(ip)
}

pub(super) fn forwarding(message: &[u8]) -> Option<Neighbour> {
    let attrs = Attrs::after(message, 12);
    Some(Neighbour {
        link: word(message, 4)?,
        address: ip(attrs.get(1)?)?,
        mac: mac(attrs.get(2)?)?,
    })
}

fn word(message: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(
        message.get(at..at + 4)?.try_into().ok()?,
    ))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|bytes| Ipv6Addr::from(bytes).into())
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}
