//! Links, addresses, routes and neighbours over netlink: only what a node's
//! network is made of. The encoding follows the kernel's `linux/rtnetlink.h`,
//! `linux/if_link.h` and `linux/neighbour.h`.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    os::fd::AsRawFd,
};

pub use crate::netlink::Error;
use crate::{
    netlink::{Attrs, Protocol, Socket, flags},
    netns::Netns,
};

const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DEL_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DEL_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;
const NEW_NEIGHBOUR: u16 = 28;
const DEL_NEIGHBOUR: u16 = 29;
const GET_NEIGHBOUR: u16 = 30;

/// A socket to the links and routes of one network namespace.
#[derive(Debug)]
pub struct Links {
    socket: Socket,
}

/// A hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in this namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it is the loopback link.
    pub loopback: bool,
    /// The largest packet it takes.
    pub mtu: u32,
    /// Its hardware address, if it has one of that size.
    pub mac: Option<Mac>,
    /// What the kernel calls its kind (`veth`, `vxlan`), or empty.
    pub kind: String,
    /// The free text attached to it.
    pub alias: Option<String>,
}

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
    /// How far it is valid.
    pub scope: Scope,
    /// A name for it that begins with the link's, up to 15 bytes; IPv4 only.
    /// By default it is the link's.
    pub label: Option<String>,
}

/// How far an address or route reaches, by the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(pub u8);

impl Scope {
    /// Everywhere.
    pub const UNIVERSE: Self = Self(0);
    /// This link only.
    pub const LINK: Self = Self(253);
    /// This machine only.
    pub const HOST: Self = Self(254);
}

/// A unicast route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub destination: IpAddr,
    /// The length of the destination's prefix.
    pub prefix: u8,
    /// The link it takes.
    pub link: u32,
    /// The next hop, if the destination is not on the link.
    pub gateway: Option<IpAddr>,
    /// The source address that connections over it prefer.
    pub source: Option<IpAddr>,
    /// Its metric; the lowest wins.
    pub metric: u32,
    /// Its reach.
    pub scope: Scope,
    /// The next hop counts as on the link whatever the addresses say.
    pub onlink: bool,
}

/// A fixed entry of the neighbour table, or of a vxlan link's forwarding
/// table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The link.
    pub link: u32,
    /// The neighbour's address; of a forwarding entry, the far end.
    pub address: IpAddr,
    /// Its hardware address.
    pub mac: Mac,
}

/// A pair of links to be made, one end in another namespace.
#[derive(Clone, Debug)]
pub struct Veth<'a> {
    /// Name of this end.
    pub name: &'a str,
    /// Hardware address of this end.
    pub mac: Mac,
    /// Name of the other end.
    pub peer_name: &'a str,
    /// Hardware address of the other end.
    pub peer_mac: Mac,
    /// Where the other end goes.
    pub peer_netns: &'a Netns,
    /// The largest packet they take.
    pub mtu: u32,
}

/// A vxlan link to be made.
#[derive(Clone, Debug)]
pub struct Vxlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its hardware address.
    pub mac: Mac,
    /// The network's number.
    pub id: u32,
    /// The address that packets to other nodes carry as source.
    pub local: Ipv4Addr,
    /// The UDP port.
    pub port: u16,
    /// The largest packet it takes.
    pub mtu: u32,
}

impl Links {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, Error> {
        let socket = Socket::open(Protocol::Route)?;
        Ok(Self { socket })
    }

    /// All links.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        self.socket.dump(
            "list links",
            GET_LINK,
            |body| body.raw(&write::link_header(0, 0, 0)),
            read::link,
        )
    }

    /// The link of this name, if there is one.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        let what = format!("look up link {name}");
        let answer = self.socket.get(&what, GET_LINK, |body| {
            body.raw(&write::link_header(0, 0, 0));
            body.str(write::LINK_NAME, name);
        });
        match answer {
            Ok(message) => read::link(&message)
                .map(Some)
                .ok_or(Error::Malformed { what }),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a pair of links; this end is switched on.
    pub fn add_veth(&mut self, veth: &Veth<'_>) -> Result<(), Error> {
        let what = format!("add the link pair {}", veth.name);
        let netns = veth.peer_netns.as_raw_fd();
        self.socket
            .request(&what, NEW_LINK, flags::CREATE | flags::EXCL, |body| {
                write::veth(veth, netns, body);
            })
    }

    /// Makes a vxlan link, switched on.
    pub fn add_vxlan(&mut self, vxlan: &Vxlan<'_>) -> Result<(), Error> {
        let what = format!("add the vxlan link {}", vxlan.name);
        self.socket
            .request(&what, NEW_LINK, flags::CREATE | flags::EXCL, |body| {
                write::vxlan(vxlan, body);
            })
    }

    /// Switches a link on.
    pub fn set_up(&mut self, link: u32) -> Result<(), Error> {
        let what = format!("switch on link {link}");
        self.socket.request(&what, NEW_LINK, 0, |body| {
            body.raw(&write::link_header(link, write::UP, write::UP));
        })
    }

    /// Changes the largest packet of a link.
    pub fn set_mtu(&mut self, link: u32, mtu: u32) -> Result<(), Error> {
        let what = format!("set the MTU of link {link} to {mtu}");
        self.socket.request(&what, NEW_LINK, 0, |body| {
            body.raw(&write::link_header(link, 0, 0));
            body.u32(write::LINK_MTU, mtu);
        })
    }

    /// Attaches a free text to a link, up to 255 bytes.
    pub fn set_alias(&mut self, link: u32, alias: &str) -> Result<(), Error> {
        let what = format!("label link {link}");
        self.socket.request(&what, NEW_LINK, 0, |body| {
            body.raw(&write::link_header(link, 0, 0));
            body.str(write::LINK_ALIAS, alias);
        })
    }

    /// Removes a link, and with a pair's one end the other.
    pub fn delete_link(&mut self, link: u32) -> Result<(), Error> {
        let what = format!("delete link {link}");
        self.socket.request(&what, DEL_LINK, 0, |body| {
            body.raw(&write::link_header(link, 0, 0));
        })
    }

    /// The addresses of all links.
    pub fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        self.socket.dump(
            "list addresses",
            GET_ADDRESS,
            |body| body.raw(&[0; 8]),
            read::address,
        )
    }

    /// Gives a link an address.
    pub fn add_address(&mut self, address: &Address) -> Result<(), Error> {
        let what = format!("add address {}/{}", address.address, address.prefix);
        self.socket
            .request(&what, NEW_ADDRESS, flags::CREATE | flags::EXCL, |body| {
                write::address(address, body);
            })
    }

    /// Takes an address from a link.
    pub fn delete_address(&mut self, address: &Address) -> Result<(), Error> {
        let what = format!("delete address {}/{}", address.address, address.prefix);
        self.socket.request(&what, DEL_ADDRESS, 0, |body| {
            write::address(address, body);
        })
    }

    /// The unicast routes of the main table.
    pub fn routes(&mut self) -> Result<Vec<Route>, Error> {
        self.socket.dump(
            "list routes",
            GET_ROUTE,
            |body| body.raw(&[0; 12]),
            read::route,
        )
    }

    /// Adds a route, or replaces the one to the same destination.
    pub fn replace_route(&mut self, route: &Route) -> Result<(), Error> {
        let what = format!("set the route to {}/{}", route.destination, route.prefix);
        self.socket
            .request(&what, NEW_ROUTE, flags::CREATE | flags::REPLACE, |body| {
                write::route(route, body);
            })
    }

    /// Removes a route.
    pub fn delete_route(&mut self, route: &Route) -> Result<(), Error> {
        let what = format!("delete the route to {}/{}", route.destination, route.prefix);
        self.socket.request(&what, DEL_ROUTE, 0, |body| {
            write::route(route, body);
        })
    }

    /// Which source address a packet to `destination` would carry; none if
    /// there is no way there.
    pub fn source_for(&mut self, destination: IpAddr) -> Result<Option<IpAddr>, Error> {
        let what = format!("look up the way to {destination}");
        let answer = self.socket.get(&what, GET_ROUTE, |body| {
            write::route_question(destination, body);
        });
        match answer {
            Ok(message) => Ok(read::preferred_source(Attrs::after(&message, 12))),
            Err(error) if matches!(error.errno(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sets a fixed neighbour.
    pub fn replace_neighbour(&mut self, neighbour: &Neighbour) -> Result<(), Error> {
        let what = format!("set the neighbour {}", neighbour.address);
        self.socket.request(
            &what,
            NEW_NEIGHBOUR,
            flags::CREATE | flags::REPLACE,
            |body| {
                write::neighbour(neighbour, body);
            },
        )
    }

    /// Removes a neighbour.
    pub fn delete_neighbour(&mut self, neighbour: &Neighbour) -> Result<(), Error> {
        let what = format!("delete the neighbour {}", neighbour.address);
        self.socket.request(&what, DEL_NEIGHBOUR, 0, |body| {
            write::neighbour(neighbour, body);
        })
    }

    /// Sets where a vxlan link sends frames for a hardware address.
    pub fn replace_forwarding(&mut self, entry: &Neighbour) -> Result<(), Error> {
        let what = format!("set the vxlan forwarding to {}", entry.address);
        self.socket.request(
            &what,
            NEW_NEIGHBOUR,
            flags::CREATE | flags::REPLACE,
            |body| {
                write::forwarding(entry, body);
            },
        )
    }

    /// Removes such an entry.
    pub fn delete_forwarding(&mut self, entry: &Neighbour) -> Result<(), Error> {
        let what = format!("delete the vxlan forwarding to {}", entry.address);
        self.socket.request(&what, DEL_NEIGHBOUR, 0, |body| {
            write::forwarding(entry, body);
        })
    }

    /// The forwarding entries of a vxlan link.
    pub fn forwardings(&mut self, link: u32) -> Result<Vec<Neighbour>, Error> {
        self.socket.dump(
            "list vxlan forwardings",
            GET_NEIGHBOUR,
            |body| {
                let mut header = [0; 12];
                header[0] = libc::AF_BRIDGE as u8;
                body.raw(&header);
            },
            |message| read::forwarding(message).filter(|entry| entry.link == link),
        )
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
