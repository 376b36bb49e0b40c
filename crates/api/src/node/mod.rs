//! node.k8s.io.

pub mod runtimeclass;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&runtimeclass::RuntimeClass];
