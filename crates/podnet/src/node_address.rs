//! By which address others reach this machine.

use std::net::IpAddr;

use linux::{
    link::{Address, Link, Links, Route, Scope},
    netns::Netns,
};

use crate::{
    error::Error,
    node_side::{failed, netns_failed},
};

/// The node's address: the one that is asked for, else the source of the
/// default route, else the first that is valid everywhere. Never a loopback
/// address, as endpoints may not have one.
pub fn node_address(wanted: Option<IpAddr>, node: &Netns) -> Result<IpAddr, Error> {
    let mut links = node
        .run(Links::open)
        .map_err(netns_failed)?
        .map_err(failed)?;
    let addresses = links.addresses().map_err(failed)?;
    let routes = links.routes().map_err(failed)?;
    let links = links.links().map_err(failed)?;
    choose(wanted, &links, &addresses, &routes)
}

fn choose(
    wanted: Option<IpAddr>,
    links: &[Link],
    addresses: &[Address],
    routes: &[Route],
) -> Result<IpAddr, Error> {
    let loopback = links.iter().find(|link| link.loopback);
    let fits = |address: &&Address| {
        address.scope == Scope::UNIVERSE
            && address.address.is_ipv4()
            && !address.address.is_loopback()
            && loopback.is_none_or(|loopback| address.link != loopback.index)
    };
    if let Some(wanted) = wanted {
        let known = addresses
            .iter()
            .any(|address| address.address == wanted && !wanted.is_loopback());
        return known
            .then_some(wanted)
            .ok_or(Error::NotOurs { address: wanted });
    }
    let default = routes
        .iter()
        .filter(|route| route.prefix == 0 && route.destination.is_ipv4())
        .min_by_key(|route| route.metric);
    let of_default = default.and_then(|route| {
        route.source.or_else(|| {
            let mut usable = addresses.iter().filter(fits);
            usable
                .find(|address| address.link == route.link)
                .map(|address| address.address)
        })
    });
    let first = || addresses.iter().find(fits).map(|address| address.address);
    of_default.or_else(first).ok_or(Error::NoAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, loopback: bool) -> Link {
        Link {
            index,
            name: format!("l{index}"),
            up: true,
            loopback,
            mtu: 1500,
            mac: None,
            kind: String::new(),
            alias: None,
        }
    }

    fn address(link: u32, text: &str, scope: Scope) -> Address {
        Address {
            link,
            address: text.parse().unwrap(),
            prefix: 24,
            scope,
            label: None,
        }
    }

    fn default(link: u32, metric: u32, source: Option<&str>) -> Route {
        Route {
            destination: "0.0.0.0".parse().unwrap(),
            prefix: 0,
            link,
            gateway: None,
            source: source.map(|text| text.parse().unwrap()),
            metric,
            scope: Scope::UNIVERSE,
            onlink: false,
        }
    }

    fn check(wanted: Option<&str>, routes: &[Route], expected: &str) {
        let links = [link(1, true), link(2, false), link(3, false)];
        let addresses = [
            address(1, "127.0.0.1", Scope::HOST),
            address(1, "10.43.0.10", Scope::HOST),
            address(2, "172.17.0.1", Scope::UNIVERSE),
            address(3, "fd00::1", Scope::UNIVERSE),
            address(3, "192.0.2.2", Scope::UNIVERSE),
        ];
        let wanted = wanted.map(|text| text.parse().unwrap());
        let found = choose(wanted, &links, &addresses, routes);
        let found = found.map_or_else(|error| error.to_string(), |found| found.to_string());
        assert_eq!(found, expected);
    }

    #[test]
    fn the_order_of_preference() {
        check(Some("172.17.0.1"), &[default(3, 0, None)], "172.17.0.1");
        check(
            Some("203.0.113.1"),
            &[],
            "the node address 203.0.113.1 is not an address of this machine",
        );
        check(
            Some("127.0.0.1"),
            &[],
            "the node address 127.0.0.1 is not an address of this machine",
        );
        check(None, &[default(3, 0, None)], "192.0.2.2");
        check(
            None,
            &[default(2, 200, None), default(3, 100, None)],
            "192.0.2.2",
        );
        check(None, &[default(2, 0, Some("192.0.2.2"))], "192.0.2.2");
        check(None, &[], "172.17.0.1");
        let alone = [address(1, "127.0.0.1", Scope::HOST)];
        let error = choose(None, &[link(1, true)], &alone, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this machine has no address but loopback"
        );
    }
}
