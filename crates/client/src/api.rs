//! The typed API of a kind.

use crate::error::Error;
use crate::options::{DeleteOptions, ListOptions, Patch, WriteOptions};
use crate::resource::{RawEvent, Resource};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::Method;
use std::marker::PhantomData;
use typed::{DecodeError, Typed};

/// The objects of one kind, in one namespace or in all.
pub struct Api<T> {
    resource: Resource,
    kind: PhantomData<fn() -> T>,
}

/// A page of objects.
#[derive(Clone, Debug, PartialEq)]
pub struct List<T> {
    /// The objects.
    pub items: Vec<T>,
    /// The resource version of the whole list.
    pub resource_version: String,
    /// Where the next page begins, if there is one.
    pub continue_token: Option<String>,
}

/// An event of a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<T> {
    /// The object appeared.
    Added(T),
    /// The object changed.
    Modified(T),
    /// The object went; this is its last state.
    Deleted(T),
    /// Everything up to this resource version was sent.
    Bookmark {
        /// The resource version.
        resource_version: String,
        /// Whether this ends the objects that were there at the watch's start.
        initial_events_end: bool,
    },
}

impl<T> Clone for Api<T> {
    fn clone(&self) -> Self {
        Self {
            resource: self.resource.clone(),
            kind: PhantomData,
        }
    }
}

impl<T: Typed> Api<T> {
    pub(crate) fn new(resource: Resource) -> Self {
        Self {
            resource,
            kind: PhantomData,
        }
    }

    /// The kind's objects in one namespace.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Self {
        Self::new(self.resource.namespace(namespace))
    }

    /// The same resource in bytes.
    pub fn raw(&self) -> &Resource {
        &self.resource
    }

    /// Reads an object.
    pub async fn get(&self, name: &str) -> Result<T, Error> {
        self.decode(Method::GET, name, self.resource.get(name, "").await?)
    }

    /// Reads a page of objects.
    pub async fn list(&self, options: &ListOptions) -> Result<List<T>, Error> {
        let list = self.resource.list(options).await?;
        let items = list
            .items
            .into_iter()
            .map(|item| self.decode(Method::GET, "", item))
            .collect::<Result<_, _>>()?;
        Ok(List {
            items,
            resource_version: list.resource_version,
            continue_token: list.continue_token,
        })
    }

    /// Creates an object in the namespace that it names, or else in this one.
    pub async fn create(&self, object: &T) -> Result<T, Error> {
        self.create_with(object, &WriteOptions::default()).await
    }

    /// Creates an object, with options.
    pub async fn create_with(&self, object: &T, options: &WriteOptions) -> Result<T, Error> {
        let created = self
            .place(object)
            .create(object.encode().into(), options)
            .await?;
        self.decode(Method::POST, object.name(), created)
    }

    /// Replaces an object; its resource version says which state it replaces.
    pub async fn replace(&self, object: &T) -> Result<T, Error> {
        self.replace_at(object, "").await
    }

    /// Replaces an object's status.
    pub async fn replace_status(&self, object: &T) -> Result<T, Error> {
        self.replace_at(object, "status").await
    }

    /// Changes an object.
    pub async fn patch(&self, name: &str, patch: &Patch) -> Result<T, Error> {
        self.patch_at(name, "", patch).await
    }

    /// Changes an object's status.
    pub async fn patch_status(&self, name: &str, patch: &Patch) -> Result<T, Error> {
        self.patch_at(name, "status", patch).await
    }

    /// Changes a subresource whose document is the object itself.
    pub async fn patch_at(&self, name: &str, subresource: &str, patch: &Patch) -> Result<T, Error> {
        let patched = self
            .resource
            .patch(name, subresource, patch, &WriteOptions::default())
            .await?;
        self.decode(Method::PATCH, name, patched)
    }

    /// Replaces a subresource whose document is the object itself.
    pub async fn replace_at(&self, object: &T, subresource: &str) -> Result<T, Error> {
        let place = self.place(object);
        let options = WriteOptions::default();
        let replaced = place
            .replace(object.name(), subresource, object.encode().into(), &options)
            .await?;
        self.decode(Method::PUT, object.name(), replaced)
    }

    /// Deletes an object.
    pub async fn delete(&self, name: &str, options: &DeleteOptions) -> Result<(), Error> {
        self.resource.delete(name, options).await.map(drop)
    }

    /// Deletes all objects that the selection names.
    pub async fn delete_collection(
        &self,
        options: &DeleteOptions,
        selection: &ListOptions,
    ) -> Result<(), Error> {
        self.resource.delete_collection(options, selection).await
    }

    /// Watches objects. The stream ends when the server ends the watch, or after an error.
    pub async fn watch(
        &self,
        options: &ListOptions,
    ) -> Result<BoxStream<'static, Result<Event<T>, Error>>, Error> {
        let api = self.clone();
        let events = self.resource.watch(options).await?;
        Ok(events.map(move |event| api.read_event(event?)).boxed())
    }

    fn read_event(&self, event: RawEvent) -> Result<Event<T>, Error> {
        let decode = |object| self.decode(Method::GET, "", object);
        Ok(match event {
            RawEvent::Added(object) => Event::Added(decode(object)?),
            RawEvent::Modified(object) => Event::Modified(decode(object)?),
            RawEvent::Deleted(object) => Event::Deleted(decode(object)?),
            RawEvent::Bookmark {
                resource_version,
                initial_events_end,
            } => Event::Bookmark {
                resource_version,
                initial_events_end,
            },
        })
    }

    /// Where an object goes: the namespace that it names wins.
    fn place(&self, object: &T) -> Resource {
        match object.namespace() {
            "" => self.resource.clone(),
            namespace => self.resource.namespace(namespace),
        }
    }

    pub(crate) fn decode(&self, method: Method, name: &str, bytes: Bytes) -> Result<T, Error> {
        T::decode(&bytes).map_err(|source: DecodeError| Error::Decode {
            method,
            path: format!("{} {name}", self.resource.gvr()),
            source,
        })
    }
}
