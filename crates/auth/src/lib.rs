//! Who are you, and may you: authenticators and authorisers, a file each.

mod attributes;
mod credentials;
pub mod pki;
pub mod user;

pub use attributes::{Attributes, Authorizer, Decision, Rules, Target};
pub use credentials::{Authenticator, Credentials, Rejected};
pub use user::User;
