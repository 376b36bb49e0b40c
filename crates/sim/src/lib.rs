//! The cluster under a seed: faults, workload and checkers.
//!
//! [`run`] builds a whole cluster in one thread on simulated time: the store on a
//! disk that tears and loses writes, the API server, the controllers, the
//! scheduler, and nodes with small kubelets. A seed decides what users do and
//! what goes wrong: requests that are lost or come twice, answers that are lost or
//! late, watches that end, stall or are too old, disks that are slow, fail or are
//! full, torn writes, power cuts, killed processes, dying nodes, machines that are
//! cut off, jumping clocks, compaction. Whatever happens, a table of [`invariants`]
//! has to hold at every commit, each answer, list and watch has to agree with the
//! store's own history, recovery has to keep what was acknowledged, and when things
//! go right again everything has to come to rest as declared. The same seed gives
//! the same run.

#![warn(missing_docs)]

mod answers;
mod anybody;
mod asks;
mod campaign;
mod control;
mod head;
mod history;
mod host;
pub mod invariants;
mod knowledge;
mod ledger;
mod nemesis;
mod network;
mod node;
mod observer;
mod request;
mod scenario;
mod story;
mod taps;
mod trace;
mod workload;
mod world;

pub use anybody::{Anybody, Lifecycle};
pub use campaign::{Campaign, Outcome};
pub use scenario::{Odds, Scenario, Trouble};
pub use story::{Report, run, run_scenario};
pub use trace::Summary;
