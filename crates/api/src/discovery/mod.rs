//! discovery.k8s.io.

pub mod endpointslice;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&endpointslice::EndpointSlice];
