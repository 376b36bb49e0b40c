//! policy.

pub mod poddisruptionbudget;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&poddisruptionbudget::PodDisruptionBudget];
