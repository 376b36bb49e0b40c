//! Inside a pod's network namespace: the loopback link, `eth0`, the way out.

use std::net::Ipv4Addr;

use linux::{
    link::{self, Address, Link, Links, Neighbour, Route, Scope},
    netns::Netns,
};

use crate::{
    error::Error,
    names::{GATEWAY, gateway_mac, pod_mac},
};

/// The name that pods know their link by.
pub(crate) const LINK: &str = "eth0";

/// Sets up the pod's end of its links. The node's end must be there.
pub(crate) fn set_up(netns: &Netns, address: Ipv4Addr, pod: &str) -> Result<(), Error> {
    let mut links = open(netns, pod)?;
    configure(&mut links, address).map_err(failed(pod))?
}

/// Whether a pod's end is there, switched on, and has this address.
pub(crate) fn is_set_up(netns: &Netns, address: Ipv4Addr, pod: &str) -> Result<bool, Error> {
    let mut links = open(netns, pod)?;
    let link = links.link(LINK).map_err(failed(pod))?;
    let Some(link) = link.filter(|link| link.up && link.mac == Some(pod_mac(address))) else {
        return Ok(false);
    };
    let routes = links.routes().map_err(failed(pod))?;
    Ok(routes
        .iter()
        .any(|route| route.link == link.index && route.prefix == 0))
}

fn open(netns: &Netns, pod: &str) -> Result<Links, Error> {
    let links = netns.run(Links::open).map_err(|source| Error::Netns {
        whose: pod.into(),
        source,
    })?;
    links.map_err(failed(pod))
}

fn configure(links: &mut Links, address: Ipv4Addr) -> Result<Result<(), Error>, link::Error> {
    let (Some(loopback), Some(eth0)) = (links.link("lo")?, links.link(LINK)?) else {
        return Ok(Err(Error::Vanished { link: LINK.into() }));
    };
    links.set_up(loopback.index)?;
    links.set_up(eth0.index)?;
    let own = Address {
        link: eth0.index,
        address: address.into(),
        prefix: 32,
        scope: Scope::UNIVERSE,
        label: None,
    };
    match links.add_address(&own) {
        Err(error) if !error.is_present() => return Err(error),
        _ => {}
    }
    routes(links, &eth0)?;
    Ok(Ok(()))
}

/// The gateway is nobody's address: it is on the link by decree, and where its
/// frames go is fixed.
fn routes(links: &mut Links, eth0: &Link) -> Result<(), link::Error> {
    links.replace_neighbour(&Neighbour {
        link: eth0.index,
        address: GATEWAY.into(),
        mac: gateway_mac(),
    })?;
    let to_gateway = Route {
        destination: GATEWAY.into(),
        prefix: 32,
        link: eth0.index,
        gateway: None,
        source: None,
        metric: 0,
        scope: Scope::LINK,
        onlink: false,
    };
    links.replace_route(&to_gateway)?;
    links.replace_route(&Route {
        destination: Ipv4Addr::UNSPECIFIED.into(),
        prefix: 0,
        gateway: Some(GATEWAY.into()),
        scope: Scope::UNIVERSE,
        ..to_gateway
    })
}

fn failed(pod: &str) -> impl FnOnce(link::Error) -> Error {
    let whose = pod.to_string();
    move |source| Error::Link { whose, source }
}
