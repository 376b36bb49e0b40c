//! Who are you, and may you: authenticators and authorisers, a file each.

mod attributes;
mod authenticators;
pub mod certificate;
mod credentials;
pub mod pki;
pub mod service_account;
mod static_token;
pub mod user;

pub use attributes::{Attributes, Authorizer, Decision, Rules, Target};
pub use authenticators::Authenticators;
pub use certificate::CertificateAuthenticator;
pub use credentials::{Authenticator, Credentials, Rejected};
pub use service_account::{ServiceAccountAuthenticator, ServiceAccountTokens};
pub use static_token::StaticTokens;
pub use user::User;
