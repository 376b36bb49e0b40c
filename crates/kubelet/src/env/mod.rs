//! The environment of a container, from literals, references and services.
//!
//! Follows pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables.

pub mod expand;
pub mod field;
pub mod services;

use std::collections::BTreeMap;
use std::sync::Arc;

use container::config::EnvVar;
use typed::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret, Service};

use crate::objects::{FetchError, Objects};
use expand::expand;
use field::{FieldError, NodeFacts};

/// The environment cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// A referenced object cannot be had.
    #[error(transparent)]
    Object(#[from] FetchError),
    /// The object lacks the key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key {
        /// The key.
        key: String,
        /// ConfigMap or Secret.
        kind: &'static str,
        /// Where.
        namespace: String,
        /// Which.
        name: String,
    },
    /// A field cannot be read.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The source of a variable is none that this node knows.
    #[error("environment variable {0}: fileKeyRef is not supported by this node")]
    FileKey(String),
}

/// What the environment is made from besides the pod.
pub struct Sources<'a> {
    /// ConfigMaps and Secrets.
    pub objects: &'a dyn Objects,
    /// All services that are known.
    pub services: &'a [Arc<Service>],
    /// Facts of the node.
    pub node: &'a NodeFacts,
}

/// Makes the environment. Later variables see earlier ones through `$(NAME)`.
pub async fn environment(
    pod: &Pod,
    container: &Container,
    sources: &Sources<'_>,
) -> Result<Vec<EnvVar>, EnvError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let links = crate::pod::spec(pod).enable_service_links != Some(false);
    let services = services::service_variables(namespace, links, sources.services);
    let mut values = from_objects(container, namespace, sources.objects).await?;
    let mut order: Vec<String> = values.keys().cloned().collect();
    for variable in container.env.iter().flatten() {
        let literal = variable.value.as_deref().unwrap_or_default();
        let value = match &variable.value_from {
            Some(source) if literal.is_empty() => {
                referenced(pod, container, &variable.name, source, namespace, sources).await?
            }
            _ => Some(expand(literal, |name| {
                values.get(name).or_else(|| services.get(name)).cloned()
            })),
        };
        let Some(value) = value else { continue };
        if values.insert(variable.name.clone(), value).is_none() {
            order.push(variable.name.clone());
        }
    }
    let own = order.into_iter().filter_map(|name| {
        let value = values.get(&name)?.clone();
        Some(EnvVar { name, value })
    });
    let mut all: Vec<EnvVar> = own.collect();
    for (name, value) in services {
        if !values.contains_key(&name) {
            all.push(EnvVar { name, value });
        }
    }
    Ok(all)
}

/// Replaces references in a command or its arguments.
pub fn expand_all(words: Option<&[String]>, environment: &[EnvVar]) -> Vec<String> {
    let lookup = |name: &str| {
        environment
            .iter()
            .rev()
            .find(|variable| variable.name == name)
            .map(|variable| variable.value.clone())
    };
    words
        .unwrap_or_default()
        .iter()
        .map(|word| expand(word, lookup))
        .collect()
}

async fn from_objects(
    container: &Container,
    namespace: &str,
    objects: &dyn Objects,
) -> Result<BTreeMap<String, String>, EnvError> {
    let mut values = BTreeMap::new();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &source.config_map_ref {
            let optional = reference.optional == Some(true);
            let found = objects.config_map(namespace, &reference.name).await;
            if let Some(map) = unless_optional(found, optional)? {
                let data = map.data.iter().flatten();
                values.extend(data.map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
            }
        } else if let Some(reference) = &source.secret_ref {
            let optional = reference.optional == Some(true);
            let found = objects.secret(namespace, &reference.name).await;
            if let Some(secret) = unless_optional(found, optional)? {
                let data = secret.data.iter().flatten();
                values.extend(data.map(|(key, value)| (format!("{prefix}{key}"), text(&value.0))));
            }
        }
    }
    Ok(values)
}

async fn referenced(
    pod: &Pod,
    container: &Container,
    variable: &str,
    source: &EnvVarSource,
    namespace: &str,
    sources: &Sources<'_>,
) -> Result<Option<String>, EnvError> {
    if let Some(selector) = &source.field_ref {
        return Ok(Some(field::field(pod, &selector.field_path, sources.node)?));
    }
    if let Some(selector) = &source.resource_field_ref {
        let value = field::resource(pod, selector, Some(container), sources.node)?;
        return Ok(Some(value));
    }
    if let Some(selector) = &source.config_map_key_ref {
        let optional = selector.optional == Some(true);
        let found = sources.objects.config_map(namespace, &selector.name).await;
        let Some(map) = unless_optional(found, optional)? else {
            return Ok(None);
        };
        let value = config_value(&map, &selector.key);
        return required(
            value,
            optional,
            "ConfigMap",
            &selector.key,
            namespace,
            &selector.name,
        );
    }
    if let Some(selector) = &source.secret_key_ref {
        let optional = selector.optional == Some(true);
        let found = sources.objects.secret(namespace, &selector.name).await;
        let Some(secret) = unless_optional(found, optional)? else {
            return Ok(None);
        };
        let value = secret_value(&secret, &selector.key);
        return required(
            value,
            optional,
            "Secret",
            &selector.key,
            namespace,
            &selector.name,
        );
    }
    if source.file_key_ref.is_some() {
        return Err(EnvError::FileKey(variable.to_owned()));
    }
    Ok(Some(String::new()))
}

fn config_value(map: &ConfigMap, key: &str) -> Option<String> {
    map.data.as_ref().and_then(|data| data.get(key)).cloned()
}

fn secret_value(secret: &Secret, key: &str) -> Option<String> {
    let data = secret.data.as_ref()?;
    data.get(key).map(|value| text(&value.0))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn required(
    value: Option<String>,
    optional: bool,
    kind: &'static str,
    key: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<String>, EnvError> {
    match value {
        Some(value) => Ok(Some(value)),
        None if optional => Ok(None),
        None => Err(EnvError::Key {
            key: key.to_owned(),
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }),
    }
}

/// An optional object may be absent, but not unreadable.
fn unless_optional<T>(
    found: Result<T, FetchError>,
    optional: bool,
) -> Result<Option<T>, FetchError> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(FetchError::NotFound { .. }) if optional => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
