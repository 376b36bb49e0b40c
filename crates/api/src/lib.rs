//! What each kind is: one folder a kind, the trait [`Kind`] and the table of all.
//!
//! A kind's folder holds `mod.rs` (its identity card), and as needed
//! `defaults.rs`, `validate.rs`, `strategy.rs` (what create and update may
//! touch), `columns.rs` (what `get` prints) and `tests.rs`. Its group's
//! `mod.rs` gains a `mod` line and a table line, and everything else follows:
//! routes, discovery, list, watch, patch, apply, Table, OpenAPI and RBAC.

pub mod apiextensions;
pub mod apps;
pub mod authentication;
pub mod authorization;
pub mod bytes;
mod check;
pub mod coordination;
pub mod core;
pub mod discovery;
pub mod events;
mod fill;
#[rustfmt::skip]
pub mod generated;
pub mod kind;
pub mod metadata;
pub mod networking;
pub mod node;
pub mod policy;
pub mod print;
pub mod rbac;
pub mod scheduling;
pub mod schema;
mod strategy;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod testing;

pub use kind::{Card, Column, Door, Hub, Kind, NameRule, Subresource, Verbs};

/// The kinds of each group, in the order in which discovery lists the groups.
pub static GROUPS: &[&[&dyn Kind]] = &[
    core::KINDS,
    apps::KINDS,
    events::KINDS,
    authentication::KINDS,
    authorization::KINDS,
    networking::KINDS,
    policy::KINDS,
    rbac::KINDS,
    scheduling::KINDS,
    coordination::KINDS,
    node::KINDS,
    discovery::KINDS,
    apiextensions::KINDS,
];

/// Every kind that is served.
pub fn kinds() -> impl Iterator<Item = &'static dyn Kind> {
    GROUPS.iter().flat_map(|kinds| kinds.iter().copied())
}
