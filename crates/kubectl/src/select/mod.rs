//! Which objects a command means: files, folders, kustomizations, types, names and selectors.
//!
//! Follows staging/src/k8s.io/cli-runtime/pkg/resource (builder.go, visitor.go).

mod arguments;
mod files;

pub use arguments::{Wanted, wanted};
pub use files::{FileArgs, Loaded, load};

use crate::api::query;
use crate::discovery::Resource;
use crate::error::{Error, Result, said};
use crate::shell::Shell;
use meta::Value;
use std::sync::Arc;

/// One object that a command works on.
#[derive(Clone, Debug)]
pub struct Info {
    /// What it is.
    pub resource: Arc<Resource>,
    /// Where it lives; empty for what lives in no namespace.
    pub namespace: String,
    /// Its name; may be empty when it comes from a file with `generateName`.
    pub name: String,
    /// The file that it comes from.
    pub source: String,
    /// The object itself: of the file, or of the server.
    pub object: Value,
}

impl Info {
    /// Its path.
    pub fn path(&self) -> String {
        self.resource.object(&self.namespace, &self.name)
    }

    /// `deployment.apps/web`
    pub fn title(&self) -> String {
        format!("{}/{}", self.resource.prefix(), self.name)
    }

    /// Reads it from the server.
    pub async fn fetch(&self, shell: &Shell) -> Result<Value> {
        shell.api().await?.get(&self.path()).await
    }
}

/// How arguments choose.
#[derive(Clone, Debug, Default)]
pub struct Choice<'a> {
    /// Types and names.
    pub arguments: &'a [String],
    /// Files, if the command takes them.
    pub files: Option<&'a FileArgs>,
    /// A label selector.
    pub labels: &'a str,
    /// A field selector.
    pub fields: &'a str,
    /// All objects of the types.
    pub all: bool,
    /// In all namespaces.
    pub all_namespaces: bool,
    /// A type for names without one.
    pub default_type: &'a str,
}

/// The objects of files, with their resources and namespaces.
pub async fn from_files(shell: &Shell, files: &FileArgs) -> Result<Vec<Info>> {
    let (namespace, asked) = shell.namespace()?;
    let mut out = Vec::new();
    let loaded = load(files).await?;
    if loaded.is_empty() {
        return said("no objects passed to command");
    }
    for loaded in loaded {
        let resource = match shell.resource_of(&loaded.object).await {
            Ok(resource) => resource,
            Err(Error::Said(text)) => {
                let name = loaded.object.str_at(&["metadata", "name"]);
                let place = loaded.object.str_at(&["metadata", "namespace"]);
                return said(format!(
                    "resource mapping not found for name: {} namespace: {} from {}: {text}\nensure CRDs are installed first",
                    crate::words::quote(name),
                    crate::words::quote(place),
                    crate::words::quote(&loaded.source)
                ));
            }
            Err(other) => return Err(other),
        };
        out.push(place(loaded, resource, &namespace, asked)?);
    }
    Ok(out)
}

fn place(loaded: Loaded, resource: Arc<Resource>, namespace: &str, asked: bool) -> Result<Info> {
    let Loaded { source, mut object } = loaded;
    let own = object.str_at(&["metadata", "namespace"]).to_string();
    let namespace = match resource.namespaced {
        false => String::new(),
        true if own.is_empty() => {
            object.set_at(&["metadata", "namespace"], namespace);
            namespace.to_string()
        }
        true if asked && own != namespace => {
            return said(format!(
                "the namespace from the provided object \"{own}\" does not match the namespace \"{namespace}\". You must pass '--namespace={own}' to perform this operation."
            ));
        }
        true => own,
    };
    Ok(Info {
        name: object.str_at(&["metadata", "name"]).to_string(),
        namespace,
        resource,
        source,
        object,
    })
}

/// The objects that are chosen, read from the server, and what could not be read.
pub async fn fetch(shell: &Shell, choice: &Choice<'_>) -> Result<(Vec<Info>, Vec<Error>)> {
    if let Some(files) = choice.files.filter(|files| !files.is_empty()) {
        if !choice.arguments.is_empty() || !choice.labels.is_empty() {
            return said(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
            );
        }
        let (mut infos, mut errors) = (Vec::new(), Vec::new());
        for mut info in from_files(shell, files).await? {
            match info.fetch(shell).await {
                Ok(object) => {
                    info.object = object;
                    infos.push(info);
                }
                Err(error) => errors.push(error),
            }
        }
        return Ok((infos, errors));
    }
    let (namespace, _) = shell.namespace()?;
    let namespace = if choice.all_namespaces {
        ""
    } else {
        &namespace
    };
    let (mut infos, mut errors) = (Vec::new(), Vec::new());
    for wanted in wanted(shell, choice).await? {
        let got = match &wanted {
            Wanted::Names(resource, names) => {
                by_names(shell, resource, namespace, names, &mut errors).await?
            }
            Wanted::All(resource) => match list(shell, resource, namespace, choice).await {
                Ok(infos) => infos,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            },
        };
        infos.extend(got);
    }
    Ok((infos, errors))
}

/// The same, for commands that end at the first thing that cannot be read.
pub async fn fetch_all(shell: &Shell, choice: &Choice<'_>) -> Result<Vec<Info>> {
    let (infos, errors) = fetch(shell, choice).await?;
    Error::collect(errors)?;
    Ok(infos)
}

async fn by_names(
    shell: &Shell,
    resource: &Arc<Resource>,
    namespace: &str,
    names: &[String],
    errors: &mut Vec<Error>,
) -> Result<Vec<Info>> {
    if namespace.is_empty() && resource.namespaced {
        return said("a resource cannot be retrieved by name across all namespaces");
    }
    let api = shell.api().await?;
    let mut infos = Vec::new();
    for name in names {
        match api.get(&resource.object(namespace, name)).await {
            Ok(object) => infos.push(of_server(resource.clone(), object)),
            Err(error) => errors.push(error),
        }
    }
    Ok(infos)
}

/// An object of the server.
pub fn of_server(resource: Arc<Resource>, object: Value) -> Info {
    Info {
        namespace: object.str_at(&["metadata", "namespace"]).to_string(),
        name: object.str_at(&["metadata", "name"]).to_string(),
        resource,
        source: String::new(),
        object,
    }
}

/// All objects of a resource that the selectors choose.
pub async fn list(
    shell: &Shell,
    resource: &Arc<Resource>,
    namespace: &str,
    choice: &Choice<'_>,
) -> Result<Vec<Info>> {
    let api = shell.api().await?;
    let mut infos = Vec::new();
    let mut token = String::new();
    loop {
        let path = query(
            &resource.collection(namespace),
            &[
                ("labelSelector", choice.labels),
                ("fieldSelector", choice.fields),
                ("limit", "500"),
                ("continue", &token),
            ],
        );
        let page = api.get(&path).await?;
        let head = (page.str_at(&["apiVersion"]), page.str_at(&["kind"]));
        for item in page.items_at(&["items"]) {
            infos.push(of_server(resource.clone(), whole(item, head)));
        }
        token = page.str_at(&["metadata", "continue"]).to_string();
        if token.is_empty() {
            return Ok(infos);
        }
    }
}

/// An item of a list with the kind that the list leaves out.
pub fn whole(item: &Value, (api_version, list_kind): (&str, &str)) -> Value {
    let mut item = item.clone();
    if item.str_at(&["kind"]).is_empty() {
        item.set_at(
            &["kind"],
            list_kind.strip_suffix("List").unwrap_or(list_kind),
        );
        item.set_at(&["apiVersion"], api_version);
    }
    item
}
