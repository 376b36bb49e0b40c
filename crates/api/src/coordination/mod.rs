//! coordination.k8s.io.

pub mod lease;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&lease::Lease];
