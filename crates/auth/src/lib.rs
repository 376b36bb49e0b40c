//! Who are you, and may you: authenticators and authorisers, a file each.

mod attributes;
mod authenticators;
mod authorizers;
pub mod bootstrap_token;
pub mod certificate;
mod credentials;
pub mod node;
pub mod pki;
pub mod rbac;
mod secrets;
pub mod service_account;
mod static_token;
pub mod user;

pub use attributes::{Attributes, Authorizer, Decision, Rules, Target};
pub use authenticators::Authenticators;
pub use authorizers::Authorizers;
pub use bootstrap_token::BootstrapTokens;
pub use certificate::CertificateAuthenticator;
pub use credentials::{Authenticator, Credentials, Rejected};
pub use node::{NodeAuthorizer, Pods};
pub use rbac::Rbac;
pub use secrets::Secrets;
pub use service_account::{LegacyTokens, ServiceAccountAuthenticator, ServiceAccountTokens};
pub use static_token::StaticTokens;
pub use user::User;
