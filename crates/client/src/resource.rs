//! A resource spoken to in bytes: what the typed and the dynamic API are made of.

use crate::error::Error;
use crate::options::{DeleteOptions, ListOptions, Patch, WriteOptions};
use crate::path::{Gvr, path, query};
use crate::request::Client;
use crate::watch;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use typed::{DecodeError, Wire};

const JSON: &str = "application/json";

/// One resource, in one namespace or in all.
#[derive(Clone)]
pub struct Resource {
    client: Client,
    gvr: Gvr,
    namespaced: bool,
    namespace: Option<String>,
}

/// A list whose items are still bytes, shared with the answer's body.
#[derive(Clone, Debug, Default)]
pub struct RawList {
    /// The objects; they may omit kind and apiVersion.
    pub items: Vec<Bytes>,
    /// The resource version of the whole list.
    pub resource_version: String,
    /// Where the next page begins, if there is one.
    pub continue_token: Option<String>,
    /// How many objects are left, as far as the server knows.
    pub remaining_item_count: Option<i64>,
}

/// An event of a watch whose object is still bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawEvent {
    /// The object appeared.
    Added(Bytes),
    /// The object changed.
    Modified(Bytes),
    /// The object went; this is its last state.
    Deleted(Bytes),
    /// Everything up to this resource version was sent.
    Bookmark {
        /// The resource version.
        resource_version: String,
        /// Whether this ends the objects that were there at the watch's start.
        initial_events_end: bool,
    },
}

impl Resource {
    pub(crate) fn new(client: Client, gvr: Gvr, namespaced: bool) -> Self {
        Self {
            client,
            gvr,
            namespaced,
            namespace: None,
        }
    }

    /// The resource in one namespace; cluster-scoped resources are in none.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Self {
        let namespace = (self.namespaced && !namespace.is_empty()).then(|| namespace.to_owned());
        Self {
            namespace,
            ..self.clone()
        }
    }

    /// The namespace, unless the resource is meant in all.
    pub fn namespace_name(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Which resource this is.
    pub fn gvr(&self) -> &Gvr {
        &self.gvr
    }

    /// Whether its objects live in namespaces.
    pub fn namespaced(&self) -> bool {
        self.namespaced
    }

    /// The client below.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads an object, or a subresource of it if one is named.
    pub async fn get(&self, name: &str, subresource: &str) -> Result<Bytes, Error> {
        self.call(
            Method::GET,
            self.object_path(name, subresource)?,
            &[],
            "",
            Bytes::new(),
        )
        .await
    }

    /// Reads a page of objects.
    pub async fn list(&self, options: &ListOptions) -> Result<RawList, Error> {
        let path = self.collection_path() + &query(&options.query());
        let body = self
            .client
            .call(Method::GET, path.clone(), "", Bytes::new())
            .await?;
        read_list(&body).map_err(|source| Error::Decode {
            method: Method::GET,
            path,
            source: DecodeError {
                kind: "List",
                source,
            },
        })
    }

    /// Creates an object.
    pub async fn create(&self, object: Bytes, options: &WriteOptions) -> Result<Bytes, Error> {
        if self.namespaced && self.namespace.is_none() {
            return Err(self.misaddressed("no namespace to create in"));
        }
        self.call(
            Method::POST,
            self.collection_path(),
            &options.query(),
            JSON,
            object,
        )
        .await
    }

    /// Posts to a subresource of an object.
    pub async fn create_subresource(
        &self,
        name: &str,
        subresource: &str,
        object: Bytes,
    ) -> Result<Bytes, Error> {
        self.call(
            Method::POST,
            self.object_path(name, subresource)?,
            &[],
            JSON,
            object,
        )
        .await
    }

    /// Replaces an object, or a subresource of it if one is named.
    pub async fn replace(
        &self,
        name: &str,
        subresource: &str,
        object: Bytes,
        options: &WriteOptions,
    ) -> Result<Bytes, Error> {
        self.call(
            Method::PUT,
            self.object_path(name, subresource)?,
            &options.query(),
            JSON,
            object,
        )
        .await
    }

    /// Changes an object, or a subresource of it if one is named.
    pub async fn patch(
        &self,
        name: &str,
        subresource: &str,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<Bytes, Error> {
        let body = Bytes::from(patch.document().to_string());
        let mut pairs = options.query();
        pairs.retain(|(name, _)| *name != "fieldManager" || !matches!(patch, Patch::Apply { .. }));
        pairs.extend(patch.query());
        self.call(
            Method::PATCH,
            self.object_path(name, subresource)?,
            &pairs,
            patch.content_type(),
            body,
        )
        .await
    }

    /// Deletes an object. The answer is the object as it is now, or a `Status`.
    pub async fn delete(&self, name: &str, options: &DeleteOptions) -> Result<Bytes, Error> {
        let body = Bytes::from(options.to_wire().encode());
        self.call(Method::DELETE, self.object_path(name, "")?, &[], JSON, body)
            .await
    }

    /// Deletes all objects that the selection names.
    pub async fn delete_collection(
        &self,
        options: &DeleteOptions,
        selection: &ListOptions,
    ) -> Result<(), Error> {
        if self.namespaced && self.namespace.is_none() {
            return Err(self.misaddressed("no namespace to delete in"));
        }
        let body = Bytes::from(options.to_wire().encode());
        self.call(
            Method::DELETE,
            self.collection_path(),
            &selection.query(),
            JSON,
            body,
        )
        .await
        .map(drop)
    }

    /// Watches objects. The stream ends when the server ends the watch, or after an error.
    pub async fn watch(
        &self,
        options: &ListOptions,
    ) -> Result<BoxStream<'static, Result<RawEvent, Error>>, Error> {
        let mut pairs = options.query();
        pairs.push(("watch", "true".to_owned()));
        let path = self.collection_path() + &query(&pairs);
        let response = self
            .client
            .send(Method::GET, path.clone(), "", Bytes::new())
            .await?;
        Ok(watch::events(path, response.body))
    }

    async fn call(
        &self,
        method: Method,
        path: String,
        pairs: &[(&'static str, String)],
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        self.client
            .call(method, path + &query(pairs), content_type, body)
            .await
    }

    fn collection_path(&self) -> String {
        path(&self.gvr, self.namespace.as_deref(), "", "")
    }

    fn object_path(&self, name: &str, subresource: &str) -> Result<String, Error> {
        if name.is_empty() {
            return Err(self.misaddressed("no name"));
        }
        if self.namespaced && self.namespace.is_none() {
            return Err(self.misaddressed("no namespace"));
        }
        Ok(path(
            &self.gvr,
            self.namespace.as_deref(),
            name,
            subresource,
        ))
    }

    fn misaddressed(&self, problem: &'static str) -> Error {
        Error::Address {
            resource: self.gvr.to_string(),
            problem,
        }
    }
}

#[derive(Deserialize)]
struct ListForm<'a> {
    #[serde(default)]
    metadata: typed::meta::ListMeta,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

/// Cuts a list into its items, without copying them.
fn read_list(body: &Bytes) -> Result<RawList, serde_json::Error> {
    let form: ListForm<'_> = serde_json::from_slice(body)?;
    let items = form.items.into_iter().flatten();
    Ok(RawList {
        items: items
            .map(|item| body.slice_ref(item.get().as_bytes()))
            .collect(),
        resource_version: form.metadata.resource_version.unwrap_or_default(),
        continue_token: form.metadata.continue_.filter(|token| !token.is_empty()),
        remaining_item_count: form.metadata.remaining_item_count,
    })
}
