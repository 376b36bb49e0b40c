//! What each kind is: one folder a kind, the trait [`Kind`] and the table of all.
//!
//! A kind's folder holds `mod.rs` (its identity card), and as needed
//! `defaults.rs`, `validate.rs`, `strategy.rs` (what create and update may
//! touch), `columns.rs` (what `get` prints) and `tests.rs`. Its group's
//! `mod.rs` gains a `mod` line and a table line, and everything else follows:
//! routes, discovery, list, watch, patch, apply, Table, OpenAPI and RBAC.

pub mod bytes;
pub mod core;
#[rustfmt::skip]
pub mod generated;
pub mod kind;
pub mod print;
pub mod schema;
#[cfg(test)]
mod testing;

pub use kind::{Card, Column, Door, Hub, Kind, NameRule, Subresource, Verbs};

/// The kinds of each group, in the order in which discovery lists the groups.
pub static GROUPS: &[&[&dyn Kind]] = &[core::KINDS];

/// Every kind that is served.
pub fn kinds() -> impl Iterator<Item = &'static dyn Kind> {
    GROUPS.iter().flat_map(|kinds| kinds.iter().copied())
}
