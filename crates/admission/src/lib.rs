//! Admission plugins: a file each and one table.
//!
//! A plugin sees an object on its way into the store, after its kind has
//! defaulted and prepared it. Those that mutate go first, all that validate
//! after them. What a plugin needs to know of other objects it reads through
//! [`View`].

mod chain;
mod default_toleration_seconds;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
mod pod;
mod pod_security;
mod pod_topology_labels;
mod priority;
mod rbac_escalation;
mod request;
pub mod resource_quota;
mod runtime_class;
mod service_account;
mod table;
mod taint_nodes_by_condition;
#[cfg(test)]
mod testing;
mod tolerations;

pub use chain::{Chain, Plugin, View};
pub use request::{Operation, Request};
pub use table::{Needs, chain};
