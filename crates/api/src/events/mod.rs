//! events.k8s.io.

pub mod event;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&event::Event];
