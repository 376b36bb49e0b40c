//! The verbs that only some kinds have.

use crate::api::Api;
use crate::error::Error;
use http::Method;
use typed::api::authentication::v1::TokenRequest;
use typed::api::autoscaling::v1::Scale;
use typed::api::core::v1::{Binding, Namespace, ObjectReference, Pod, ServiceAccount};
use typed::api::policy::v1::Eviction;
use typed::meta::ObjectMeta;
use typed::{DecodeError, Typed, Wire};

impl Api<Pod> {
    /// Assigns a pod to a node. The uid says which pod is meant, in case the name was reused.
    pub async fn bind(&self, name: &str, uid: &str, node: &str) -> Result<(), Error> {
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                uid: Some(uid.to_owned()),
                ..Default::default()
            },
            target: ObjectReference {
                kind: Some("Node".to_owned()),
                name: Some(node.to_owned()),
                ..Default::default()
            },
        };
        self.raw()
            .create_subresource(name, "binding", binding.encode().into())
            .await
            .map(drop)
    }

    /// Asks for a pod's eviction, which a disruption budget may refuse for now.
    pub async fn evict(&self, eviction: &Eviction) -> Result<(), Error> {
        self.raw()
            .create_subresource(eviction.name(), "eviction", eviction.encode().into())
            .await
            .map(drop)
    }
}

impl Api<ServiceAccount> {
    /// Has a token made for a service account.
    pub async fn create_token(
        &self,
        name: &str,
        request: &TokenRequest,
    ) -> Result<TokenRequest, Error> {
        let token = self
            .raw()
            .create_subresource(name, "token", request.encode().into())
            .await?;
        TokenRequest::decode(&token).map_err(|source| undecodable(Method::POST, name, source))
    }
}

impl Api<Namespace> {
    /// Replaces a namespace's finalizers.
    pub async fn finalize(&self, namespace: &Namespace) -> Result<Namespace, Error> {
        self.replace_at(namespace, "finalize").await
    }
}

impl<T: Typed> Api<T> {
    /// Reads the scale of an object that has one.
    pub async fn get_scale(&self, name: &str) -> Result<Scale, Error> {
        let scale = self.raw().get(name, "scale").await?;
        Scale::decode(&scale).map_err(|source| undecodable(Method::GET, name, source))
    }

    /// Changes the scale of an object that has one.
    pub async fn replace_scale(&self, name: &str, scale: &Scale) -> Result<Scale, Error> {
        let bytes = scale.encode().into();
        let scale = self
            .raw()
            .replace(name, "scale", bytes, &Default::default())
            .await?;
        Scale::decode(&scale).map_err(|source| undecodable(Method::PUT, name, source))
    }
}

fn undecodable(method: Method, name: &str, source: DecodeError) -> Error {
    Error::Decode {
        method,
        path: name.to_owned(),
        source,
    }
}
