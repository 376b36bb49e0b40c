//! The core group.

pub mod configmap;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&configmap::ConfigMap];
