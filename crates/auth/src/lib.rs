//! Who are you, and may you: authenticators and authorisers, a file each.

mod attributes;
pub mod user;

pub use attributes::{Attributes, Decision, Target};
pub use user::User;
