//! Server-side apply: sets of fields, who owns them, and merging what an
//! applier wants into what is there. Follows sigs.k8s.io/structured-merge-diff
//! and apimachinery's pkg/util/managedfields.

mod check;
mod compare;
mod managers;
mod merge;
mod set;
mod walk;

pub use check::check;
pub use compare::{Comparison, compare, compare_ownable};
pub use managers::{Applied, Conflict, Entry, Manager, Operation, apply, top_level, update};
pub use set::{Element, Set};
pub use walk::{Shape, fields_of, remove};
