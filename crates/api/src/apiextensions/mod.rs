//! apiextensions.k8s.io: kinds that users define, and what is made of them.

pub mod custom;
pub mod customresourcedefinition;
mod intern;
pub mod structural;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[&customresourcedefinition::CustomResourceDefinition];
