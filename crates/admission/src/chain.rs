//! The plugins in their order, and how they are asked.

use crate::Request;
use async_trait::async_trait;
use meta::{Status, Value};
use std::sync::Arc;

/// What a plugin may read: objects as they are now, straight from the server.
#[async_trait]
pub trait View: Send + Sync {
    /// One object, by group, resource, namespace and name.
    async fn get(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Value>>, Status>;
    /// All objects of a resource in a namespace (empty for all).
    async fn list(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
    ) -> Result<Vec<Arc<Value>>, Status>;
}

/// One plugin.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// Upstream's name: `NamespaceLifecycle`.
    fn name(&self) -> &'static str;

    /// May change the object. `object` is null for deletes and connects.
    async fn mutate(
        &self,
        _request: &Request<'_>,
        _object: &mut Value,
        _old: Option<&Value>,
        _view: &dyn View,
    ) -> Result<(), Status> {
        Ok(())
    }

    /// May refuse the object. Warnings for the client go into `warnings`.
    async fn validate(
        &self,
        _request: &Request<'_>,
        _object: &Value,
        _old: Option<&Value>,
        _view: &dyn View,
        _warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        Ok(())
    }
}

/// The plugins in their order.
#[derive(Clone, Default)]
pub struct Chain {
    plugins: Arc<[Box<dyn Plugin>]>,
}

impl Chain {
    /// These plugins, in this order.
    pub fn new(plugins: Vec<Box<dyn Plugin>>) -> Self {
        Chain {
            plugins: plugins.into(),
        }
    }

    /// Asks those that mutate.
    pub async fn mutate(
        &self,
        request: &Request<'_>,
        object: &mut Value,
        old: Option<&Value>,
        view: &dyn View,
    ) -> Result<(), Status> {
        for plugin in self.plugins.iter() {
            plugin.mutate(request, object, old, view).await?;
        }
        Ok(())
    }

    /// Asks those that validate.
    pub async fn validate(
        &self,
        request: &Request<'_>,
        object: &Value,
        old: Option<&Value>,
        view: &dyn View,
        warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        for plugin in self.plugins.iter() {
            plugin
                .validate(request, object, old, view, warnings)
                .await?;
        }
        Ok(())
    }
}
