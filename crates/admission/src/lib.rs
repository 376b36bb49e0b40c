//! Admission plugins: a file each and one table.
//!
//! A plugin sees an object on its way into the store, after its kind has
//! defaulted and prepared it. Those that mutate go first, all that validate
//! after them. What a plugin needs to know of other objects it reads through
//! [`View`].

mod chain;
mod request;

pub use chain::{Chain, Plugin, View};
pub use request::{Operation, Request};
