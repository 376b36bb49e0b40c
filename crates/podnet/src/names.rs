//! Names that carry the instance within the kernel's 15 bytes, and hardware
//! addresses that follow from addresses, so that nobody needs to be asked.

use std::net::Ipv4Addr;

use linux::link::Mac;

/// The gateway of every pod. It exists only as a neighbour entry.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// Begins the names of an instance's links: `tp` and four hexadecimal digits.
pub(crate) fn prefix(instance: &str) -> String {
    format!("tp{:04x}", mark(instance))
}

/// The node's end of a pod's links.
pub(crate) fn pod_link(instance: &str, address: Ipv4Addr) -> String {
    format!("{}{:08x}", prefix(instance), u32::from(address))
}

/// The link to other nodes.
pub(crate) fn overlay_link(instance: &str) -> String {
    format!("{}vx", prefix(instance))
}

/// The label of addresses that we put on the loopback link.
pub(crate) fn loopback_label(instance: &str) -> String {
    format!("lo:{}", prefix(instance))
}

/// The metric of routes that we put on the loopback link: it says whose they
/// are, and is so high that any other route wins.
pub(crate) fn loopback_metric(instance: &str) -> u32 {
    0x7470_0000 | u32::from(mark(instance))
}

/// The table of an instance's pods.
pub(crate) fn table(instance: &str) -> String {
    format!("tiphys-{instance}-pods")
}

/// The hardware address of the node's end of every pod's links.
pub(crate) fn gateway_mac() -> Mac {
    mac_of(0x58, GATEWAY)
}

/// The hardware address of a pod.
pub(crate) fn pod_mac(address: Ipv4Addr) -> Mac {
    mac_of(0x58, address)
}

/// The hardware address of a node on the link between nodes.
pub(crate) fn node_mac(address: Ipv4Addr) -> Mac {
    mac_of(0x59, address)
}

fn mac_of(kind: u8, address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    Mac([0x0a, kind, a, b, c, d])
}

/// Sixteen bits of an instance's name.
fn mark(instance: &str) -> u16 {
    let hash = hash(instance.as_bytes());
    (hash ^ (hash >> 16)) as u16
}

/// FNV-1a: small, and the same in every build.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let address = Ipv4Addr::new(255, 42, 0, 5);
        let name = pod_link("default", address);
        assert!(name.len() <= 15 && name.ends_with("ff2a0005"), "{name}");
        assert!(loopback_label("default").len() <= 15);
        assert_ne!(prefix("a"), prefix("b"));
        assert_eq!(pod_mac(address).to_string(), "0a:58:ff:2a:00:05");
    }
}
