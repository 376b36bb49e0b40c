//! networking.k8s.io.

pub mod ipaddress;
pub mod servicecidr;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&ipaddress::IPAddress, &servicecidr::ServiceCIDR];
