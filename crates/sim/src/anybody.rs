//! The parts of a server that a simulation does without: everybody may do
//! everything, nobody gets a token, and no kubelet is called.

use admission::{Operation, Plugin, View};
use apiserver::{Answer, KubeletAddress, Kubelets, TokenClaims, TokenIssuer};
use async_trait::async_trait;
use auth::{Attributes, Authenticator, Authorizer, Credentials, Decision, Rejected, Rules, User};
use meta::{Reason, Status};

/// Whoever it is.
pub struct Anybody;

#[async_trait]
impl Authenticator for Anybody {
    async fn authenticate(&self, _: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        Ok(None)
    }
}

impl Authorizer for Anybody {
    fn authorize(&self, _: &Attributes<'_>) -> Decision {
        Decision::Allow(String::new())
    }

    fn rules(&self, _: &User, _: &str) -> Rules {
        Rules::default()
    }
}

impl TokenIssuer for Anybody {
    fn issue(&self, _: &TokenClaims) -> Result<(String, i64), Status> {
        Err(Status::internal("no tokens here"))
    }

    fn default_audiences(&self) -> Vec<String> {
        Vec::new()
    }

    fn jwks(&self) -> String {
        String::new()
    }

    fn discovery_document(&self) -> String {
        String::new()
    }
}

#[async_trait]
impl Kubelets for Anybody {
    async fn forward(
        &self,
        _: &KubeletAddress,
        _: &str,
        _: apiserver::Request,
    ) -> Result<Answer, Status> {
        Err(Status::internal("no kubelets here"))
    }
}

/// Refuses what is new in a namespace that is not there or shall go. Follows
/// apiserver's pkg/admission/plugin/namespace/lifecycle.
pub struct Lifecycle;

#[async_trait]
impl Plugin for Lifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    async fn validate(
        &self,
        request: &admission::Request<'_>,
        _: &meta::Value,
        _: Option<&meta::Value>,
        view: &dyn View,
        _: &mut Vec<String>,
    ) -> Result<(), Status> {
        if request.operation != Operation::Create || request.namespace.is_empty() {
            return Ok(());
        }
        let Some(namespace) = view.get("", "namespaces", "", request.namespace).await? else {
            let why = format!("namespaces {:?} not found", request.namespace);
            return Err(Status::new(Reason::NotFound, why));
        };
        if namespace.str_at(&["status", "phase"]) != "Terminating" {
            return Ok(());
        }
        let resource = meta::GroupResource::new(request.group, request.resource);
        let why = format!(
            "unable to create new content in namespace {} because it is being terminated",
            request.namespace
        );
        let why = Status::forbidden(&resource, request.name, why);
        Err(why.cause(
            "NamespaceTerminating",
            "it is being terminated",
            "metadata.namespace",
        ))
    }
}
