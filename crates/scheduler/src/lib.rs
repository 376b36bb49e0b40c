//! The scheduler: which node a pod goes to.
//!
//! [`Scheduler`] is a core without I/O: events in, decisions out. Inside, the
//! `cluster` is a database of columns that events keep up to date, the `queue`
//! holds the pods that wait, and a cycle takes one pod through the plugins of
//! the `framework`. The plugins are a file each under `plugins/`, with one
//! table. [`Runner`] gives the core its hands: watches feed it, and what it
//! decides goes to the API server.
//!
//! What is feasible, what is better, and the words for what is not, are those of
//! upstream's kube-scheduler. It differs on purpose in these points:
//!
//! - A pod that finds no node at all waits for one to come, where upstream tries
//!   it again and again.
//! - Nothing is preempted. The second sentence of the message of a pod that fits
//!   nowhere is there when it is true, see `preemption`.
//! - An event wakes a pod that other pods' anti-affinity kept away also when it
//!   is one of those pods that leaves; upstream overlooks that.
//! - A plugin that would reject no node, or score all alike, is not asked.
//! - Claims to volumes and devices, and groups of pods, are refused by name.

mod affinity;
mod class;
mod cluster;
mod config;
mod cycle;
mod diagnosis;
mod event;
mod explain;
mod framework;
mod labels;
mod node;
mod node_selector;
mod plugins;
mod pod;
mod preemption;
mod queue;
mod resources;
mod run;
mod scheduler;
mod selector;
mod spread;
mod taint;
#[cfg(test)]
mod testing;

pub use config::{Config, ConfigError, ScoringKind, ScoringStrategy};
pub use explain::{Explanation, NodeVerdict};
pub use pod::{PodError, PodInfo, PodReader};
pub use queue::Pending;
pub use resources::{DEFAULT_MEMORY, DEFAULT_MILLI_CPU, PodResources, QuantityError, Resources};
pub use run::{Handle, Runner};
pub use scheduler::{Attempts, Decision, Scheduler};
pub use selector::SelectorError;
