//! What all requests share.

use crate::answer::Answer;
use crate::discovery::Discovery;
use crate::kubelet::Kubelets;
use crate::metrics::Metrics;
use crate::openapi::Documents;
use crate::tokens::TokenIssuer;
use auth::{Authenticator, Authorizer};
use meta::Status;
use registry::Registry;
use std::sync::Arc;

/// The API server, apart from its sockets.
pub struct Server {
    /// Objects.
    pub registry: Arc<Registry>,
    /// Who are you.
    pub authenticator: Arc<dyn Authenticator>,
    /// May you.
    pub authorizer: Arc<dyn Authorizer>,
    /// Makes and knows service-account tokens.
    pub tokens: Arc<dyn TokenIssuer>,
    /// The way to the kubelets.
    pub kubelets: Arc<dyn Kubelets>,
    /// Counters.
    pub metrics: Metrics,
    /// What is served.
    pub discovery: Discovery,
    /// What it looks like.
    pub openapi: Documents,
}

impl Server {
    /// A server over a registry.
    pub fn new(
        registry: Arc<Registry>,
        authenticator: Arc<dyn Authenticator>,
        authorizer: Arc<dyn Authorizer>,
        tokens: Arc<dyn TokenIssuer>,
        kubelets: Arc<dyn Kubelets>,
    ) -> Self {
        let metrics = Metrics::default();
        Server {
            registry,
            authenticator,
            authorizer,
            tokens,
            kubelets,
            metrics,
            discovery: Discovery::default(),
            openapi: Documents::default(),
        }
    }

    /// What relying parties need to verify service-account tokens.
    pub(crate) fn issuer_documents(&self, path: &str) -> Result<Answer, Status> {
        let document = match path {
            "/openid/v1/jwks" => self.tokens.jwks(),
            _ => self.tokens.discovery_document(),
        };
        Ok(Answer::json(http::StatusCode::OK, document))
    }
}
