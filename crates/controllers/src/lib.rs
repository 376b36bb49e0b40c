//! A file per controller and one table.
//!
//! A controller says in its [`Controller`] constant what it is called, under which identity it
//! acts, what that identity may do, and how it starts. Its work is a pure plan (what is, what
//! should be, the steps between) and a dull application of the plan. Queue, workers, retries,
//! caches and counters come from [`informer`].
//!
//! To add one: write its file, add a `mod` line here and a line to [`CONTROLLERS`].

mod cluster_role_aggregation;
mod context;
mod control;
mod deployment;
mod disruption;
mod endpoint_slice;
mod endpoint_slice_mirroring;
mod endpoints;
#[cfg(test)]
mod fault_tests;
mod garbage_collector;
mod manager;
mod namespace;
mod node_ipam;
mod node_lifecycle;
mod nodes;
mod pod_gc;
mod pods;
mod replica_set;
mod replicas;
mod replication_controller;
mod resource_quota;
mod root_ca;
mod rule;
mod service_account;
mod service_account_token;
mod services;
mod taint_eviction;
#[cfg(test)]
mod testing;
mod token_cleaner;

pub use context::{Context, Options, Signer};
pub use manager::Manager;
pub use rule::{ClusterRole, Rule, bootstrap_roles};
pub use service_account_token::TokenSigner;

/// What a controller is.
pub struct Controller {
    /// The name, as upstream's `--controllers` flag and `cmd/kube-controller-manager/names` spell it.
    pub name: &'static str,
    /// The service account in kube-system under which it acts, or a user whose name begins with
    /// `system:` and who has a role already. Several controllers may share one.
    pub identity: &'static str,
    /// What the identity may do for this controller: part of ClusterRole
    /// `system:controller:<identity>`.
    pub rules: &'static [Rule],
    /// Starts the controller's tasks under the context's supervisor.
    pub start: fn(&Context),
}

/// All controllers, alphabetically.
pub const CONTROLLERS: &[Controller] = &[
    cluster_role_aggregation::CONTROLLER,
    deployment::CONTROLLER,
    disruption::CONTROLLER,
    endpoints::CONTROLLER,
    endpoint_slice::CONTROLLER,
    endpoint_slice_mirroring::CONTROLLER,
    garbage_collector::CONTROLLER,
    namespace::CONTROLLER,
    node_ipam::CONTROLLER,
    node_lifecycle::CONTROLLER,
    pod_gc::CONTROLLER,
    replica_set::CONTROLLER,
    replication_controller::CONTROLLER,
    resource_quota::CONTROLLER,
    root_ca::CONTROLLER,
    service_account::CONTROLLER,
    service_account_token::CONTROLLER,
    taint_eviction::CONTROLLER,
    token_cleaner::CONTROLLER,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_alphabetical() {
        assert!(CONTROLLERS.is_sorted_by_key(|controller| controller.name));
    }
}
