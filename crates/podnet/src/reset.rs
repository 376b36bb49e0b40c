//! The end of an instance on a machine.

use linux::{link::Links, netns::Netns};

use crate::{
    error::Error,
    names,
    node_side::{failed, netns_failed, remove_link},
    table,
};

/// Removes everything of an instance's pod network from a node: links (and
/// with them routes and neighbours), addresses and routes on the loopback
/// link, the table. What it does not remove is the record of addresses, which
/// lies in the instance's data. Returns what there was, for people to read.
pub fn reset(instance: &str, node: &Netns) -> Result<Vec<String>, Error> {
    let mut links = node
        .run(Links::open)
        .map_err(netns_failed)?
        .map_err(failed)?;
    let mut removed = Vec::new();
    let prefix = names::prefix(instance);
    for link in links.links().map_err(failed)? {
        let ours = link.name.starts_with(&prefix) && matches!(&*link.kind, "veth" | "vxlan");
        if ours {
            remove_link(&mut links, &link)?;
            removed.push(format!("link {}", link.name));
        }
    }
    let label = names::loopback_label(instance);
    for address in links.addresses().map_err(failed)? {
        if address.label.as_ref() == Some(&label) {
            links.delete_address(&address).map_err(failed)?;
            removed.push(format!("address {}", address.address));
        }
    }
    for route in links.routes().map_err(failed)? {
        if route.metric == names::loopback_metric(instance) {
            links.delete_route(&route).map_err(failed)?;
            removed.push(format!("route {}/{}", route.destination, route.prefix));
        }
    }
    if table::remove(instance, node)? {
        removed.push(format!("table {}", names::table(instance)));
    }
    Ok(removed)
}
