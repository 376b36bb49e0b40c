//! scheduling.k8s.io.

pub mod priorityclass;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&priorityclass::PriorityClass];
