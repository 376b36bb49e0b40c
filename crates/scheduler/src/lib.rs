//! The scheduler: which node a pod goes to.
//!
//! [`Scheduler`] is a core without I/O: events in, decisions out. Inside,
//! [`cluster`] is a database of columns that events keep up to date, [`queue`]
//! holds the pods that wait, and a cycle takes one pod through the plugins of
//! the [`framework`]. The plugins are a file each under `plugins/`, with one
//! table. What is feasible, what is better, and the words for what is not, are
//! those of upstream's kube-scheduler.

mod affinity;
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
pub use pod::{PodError, PodInfo};
pub use queue::Pending;
pub use resources::{DEFAULT_MEMORY, DEFAULT_MILLI_CPU, PodResources, QuantityError, Resources};
pub use run::{Handle, Runner};
pub use scheduler::{Attempts, Decision, Scheduler};
pub use selector::SelectorError;
