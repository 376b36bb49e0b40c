//! Whole clusters on this machine, for tests: the real binary, real
//! containers, a stock kubectl. A test file is a [`suite`]: most of its tests
//! share one cluster and have a namespace each; those that disturb a cluster
//! have their own. What a cluster leaves behind fails the suite, and so does
//! what takes too long (`TIPHYS_E2E_MINUTES`). Campaigns that may take
//! their time set `TIPHYS_E2E_DOSE=large`.

mod binary;
mod bounds;
mod cluster;
mod dose;
pub mod exec;
mod http;
mod images;
mod kubectl;
mod leaks;
pub mod ledger;
pub mod machine;
mod own;
mod python;
mod report;
mod scope;
pub mod seed;
mod slot;
mod suite;
mod terminal;
mod traces;
mod vitals;
mod wait;
pub mod wire;

pub use binary::tiphys;
pub use cluster::{Cluster, Options, with_cluster};
pub use dose::dose;
pub use http::fetch;
pub use images::{BUSYBOX, NGINX, TOOLS, archive, archive_program, workspace};
pub use kubectl::{Kubectl, Outcome, kubectls, words};
pub use own::{Folder, own};
pub use python::python;
pub use scope::{Scope, pod};
pub use suite::suite;
pub use terminal::Terminal;
pub use traces::Traces;
pub use vitals::Vitals;
pub use wait::{eventually, patiently, until};
