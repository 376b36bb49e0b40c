//! Routing messages as the kernel wants them.

use std::{net::IpAddr, os::fd::RawFd};

use super::{Address, Neighbour, Route, Veth, Vxlan};
use crate::netlink::Writer;

pub(super) const LINK_MAC: u16 = 1;
pub(super) const LINK_NAME: u16 = 3;
pub(super) const LINK_MTU: u16 = 4;
pub(super) const LINK_INFO: u16 = 18;
pub(super) const LINK_INFO_KIND: u16 = 1;
pub(super) const LINK_ALIAS: u16 = 20;
const LINK_INFO_DATA: u16 = 2;
const LINK_NETNS_FD: u16 = 28;
const VETH_PEER: u16 = 1;

pub(super) const UP: u32 = 1;
const ROUTE_TABLE_MAIN: u8 = 254;
/// Who made a route: the number above the kernel's reserved ones that says
/// "an administrator's program", as `ip route` prints `proto static`.
const ROUTE_STATIC: u8 = 4;
const ROUTE_UNICAST: u8 = 1;
const NEIGHBOUR_PERMANENT: u16 = 0x80;
const NEIGHBOUR_SELF: u8 = 0x02;

/// The fixed part of a link message.
pub(super) fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

pub(super) fn veth(veth: &Veth<'_>, netns: RawFd, body: &mut Writer) {
    body.raw(&link_header(0, UP, UP));
    body.str(LINK_NAME, veth.name);
    body.attr(LINK_MAC, &veth.mac.0);
    body.u32(LINK_MTU, veth.mtu);
    body.nest(LINK_INFO, |info| {
        info.str(LINK_INFO_KIND, "veth");
        info.nest(LINK_INFO_DATA, |data| {
            data.nest(VETH_PEER, |peer| {
                // Made before the pair is joined, it cannot be switched on yet.
                peer.raw(&link_header(0, 0, 0));
                peer.str(LINK_NAME, veth.peer_name);
                peer.attr(LINK_MAC, &veth.peer_mac.0);
                peer.u32(LINK_MTU, veth.mtu);
                peer.u32(LINK_NETNS_FD, netns.cast_unsigned());
            });
        });
    });
}

pub(super) fn vxlan(vxlan: &Vxlan<'_>, body: &mut Writer) {
    body.raw(&link_header(0, UP, UP));
    body.str(LINK_NAME, vxlan.name);
    body.attr(LINK_MAC, &vxlan.mac.0);
    body.u32(LINK_MTU, vxlan.mtu);
    body.nest(LINK_INFO, |info| {
        info.str(LINK_INFO_KIND, "vxlan");
        info.nest(LINK_INFO_DATA, |data| {
            data.u32(1, vxlan.id);
            data.attr(4, &vxlan.local.octets());
            data.u8(7, 0);
            data.be16(15, vxlan.port);
        });
    });
}

pub(super) fn address(address: &Address, body: &mut Writer) {
    body.raw(&[family(address.address), address.prefix, 0, address.scope.0]);
    body.raw(&address.link.to_ne_bytes());
    write_ip(body, 1, address.address);
    write_ip(body, 2, address.address);
    if let Some(label) = &address.label {
        body.str(3, label);
    }
}

pub(super) fn route(route: &Route, body: &mut Writer) {
    const ONLINK: u32 = 4;
    body.raw(&[
        family(route.destination),
        route.prefix,
        0,
        0,
        ROUTE_TABLE_MAIN,
        ROUTE_STATIC,
        route.scope.0,
        ROUTE_UNICAST,
    ]);
    let flags = if route.onlink { ONLINK } else { 0 };
    body.raw(&flags.to_ne_bytes());
    write_ip(body, 1, route.destination);
    body.u32(4, route.link);
    if let Some(gateway) = route.gateway {
        write_ip(body, 5, gateway);
    }
    if route.metric != 0 {
        body.u32(6, route.metric);
    }
    if let Some(source) = route.source {
        write_ip(body, 7, source);
    }
}

pub(super) fn route_question(destination: IpAddr, body: &mut Writer) {
    let mut header = [0; 12];
    header[0] = family(destination);
    header[1] = if destination.is_ipv4() { 32 } else { 128 };
    body.raw(&header);
    write_ip(body, 1, destination);
}

pub(super) fn neighbour(neighbour: &Neighbour, body: &mut Writer) {
    neighbour_header(family(neighbour.address), neighbour.link, 0, body);
    write_ip(body, 1, neighbour.address);
    body.attr(2, &neighbour.mac.0);
}

pub(super) fn forwarding(entry: &Neighbour, body: &mut Writer) {
    neighbour_header(libc::AF_BRIDGE as u8, entry.link, NEIGHBOUR_SELF, body);
    write_ip(body, 1, entry.address);
    body.attr(2, &entry.mac.0);
}

fn neighbour_header(family: u8, link: u32, flags: u8, body: &mut Writer) {
    body.raw(&[family, 0, 0, 0]);
    body.raw(&link.to_ne_bytes());
    body.raw(&NEIGHBOUR_PERMANENT.to_ne_bytes());
    body.raw(&[flags, 0]);
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

fn write_ip(body: &mut Writer, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => body.attr(kind, &address.octets()),
        IpAddr::V6(address) => body.attr(kind, &address.octets()),
    }
}
