//! What every command stands on: options, kubeconfig, connection, discovery; each made when asked.

use crate::api::Api;
use crate::config::{self, Kubeconfig};
use crate::discovery::{Discovery, Resource};
use crate::error::{Result, said};
use crate::globals::Globals;
use crate::words;
use meta::Value;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The ground of a command.
pub struct Shell {
    /// The options that every command takes.
    pub globals: Globals,
    api: OnceCell<Api>,
    discovery: OnceCell<Discovery>,
}

impl Shell {
    /// Nothing is read yet.
    pub fn new(globals: Globals) -> Self {
        Shell {
            globals,
            api: OnceCell::new(),
            discovery: OnceCell::new(),
        }
    }

    /// The kubeconfig.
    pub fn config(&self) -> Result<Kubeconfig> {
        Kubeconfig::load(self.globals.kubeconfig.as_deref())
    }

    /// The API server.
    pub async fn api(&self) -> Result<&Api> {
        self.api
            .get_or_try_init(|| async {
                let connection = config::resolve(&self.config()?, &self.globals)?;
                let timeout = words::timeout(&self.globals.request_timeout)?;
                let api = Api::new(connection, timeout, self.globals.v)?;
                if self.globals.match_server_version {
                    crate::commands::version::must_match(&api).await?;
                }
                Ok(api)
            })
            .await
    }

    /// What the cluster serves.
    pub async fn discovery(&self) -> Result<&Discovery> {
        let api = self.api().await?;
        self.discovery
            .get_or_try_init(|| Discovery::read(api))
            .await
    }

    /// The resource that a word means.
    pub async fn resource(&self, word: &str) -> Result<Arc<Resource>> {
        self.discovery().await?.find(word)
    }

    /// The resource of an object.
    pub async fn resource_of(&self, object: &Value) -> Result<Arc<Resource>> {
        let (version, kind) = (object.str_at(&["apiVersion"]), object.str_at(&["kind"]));
        match self.discovery().await?.of_kind(version, kind) {
            Some(resource) => Ok(resource),
            None => said(format!(
                "no matches for kind \"{kind}\" in version \"{version}\""
            )),
        }
    }

    /// The namespace of this call, and whether it was asked for by name.
    pub fn namespace(&self) -> Result<(String, bool)> {
        if let Some(name) = self.globals.namespace.as_ref().filter(|n| !n.is_empty()) {
            return Ok((name.clone(), true));
        }
        let config = self.config()?;
        let context = config::context(&config, &self.globals)?;
        let name = context.str_at(&["namespace"]);
        if !name.is_empty() {
            return Ok((name.to_string(), false));
        }
        let inside = config
            .names("clusters")
            .is_empty()
            .then(config::pod_namespace);
        Ok((inside.flatten().unwrap_or_else(|| "default".into()), false))
    }
}
