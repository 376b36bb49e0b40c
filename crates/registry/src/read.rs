//! Get and list, and what resourceVersion means to them.

use crate::registry::{Registry, Resource};
use crate::stored::{Selection, Stored};
use crate::written;
use crate::{failure, keys, token};
use async_trait::async_trait;
use meta::{Reason, Status, Value};
use std::sync::Arc;
use store::{Range, Revision};

/// How fresh a list must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As fresh as can be.
    MostRecent,
    /// Whatever is at hand.
    Any,
    /// At least this.
    NotOlderThan(Revision),
    /// Just this.
    Exact(Revision),
}

/// What a list asks.
#[derive(Debug)]
pub struct ListQuery {
    /// Which objects.
    pub selection: Selection,
    /// How fresh.
    pub freshness: Freshness,
    /// The most items; 0 for all.
    pub limit: usize,
    /// Where the last page ended.
    pub continue_token: String,
}

/// A list, or a page of one.
#[derive(Debug)]
pub struct Listed {
    /// The objects in the order of their keys.
    pub items: Vec<Arc<Stored>>,
    /// What the whole list shows.
    pub revision: Revision,
    /// Where the next page begins; empty at the end.
    pub continue_token: String,
    /// How many are left, when that is known.
    pub remaining: Option<usize>,
}

impl Registry {
    /// One object, as fresh as can be.
    pub async fn get(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Stored>, Status> {
        let key = keys::key(&resource.prefix, namespace, name);
        match self.store().get(&key, None).await.map_err(failure::store)? {
            Some(record) => {
                let (layout, at) = (&resource.layout, record.modified);
                let found = Stored::bare(layout, record.key, record.value, at);
                Ok(Arc::new(found.map_err(Status::internal)?))
            }
            None => Err(Status::not_found(&resource.card().group_resource(), name)),
        }
    }

    /// A revision that a client asks for must have been.
    pub async fn check_not_future(&self, revision: Revision) -> Result<(), Status> {
        let current = self.store().revision().await.map_err(failure::store)?;
        match revision > current {
            true => Err(too_large(revision, current)),
            false => Ok(()),
        }
    }

    /// One object as a tree, as served.
    pub async fn get_value(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, Status> {
        let stored = self.get(resource, namespace, name).await?;
        let value = stored.to_value(resource.hub()).map_err(Status::internal)?;
        Ok(written::serve(resource, value))
    }

    /// An object in the form that a resource serves.
    pub fn serve(&self, resource: &Resource, stored: &Stored) -> Result<Value, Status> {
        Ok(written::serve(
            resource,
            stored.to_value(resource.hub()).map_err(Status::internal)?,
        ))
    }

    /// A page of objects.
    pub async fn list(&self, resource: &Resource, query: &ListQuery) -> Result<Listed, Status> {
        if !query.continue_token.is_empty() {
            let token = token::read(&query.continue_token)?;
            let listed = self
                .list_from_store(resource, query, token.revision, Some(&token.after))
                .await;
            return listed.map_err(|status| match status.reason {
                Reason::Expired => Status {
                    continue_token: token::write(&token::Token {
                        revision: None,
                        ..token
                    }),
                    ..status
                },
                _ => status,
            });
        }
        match query.freshness {
            Freshness::Exact(revision) => {
                self.list_from_store(resource, query, Some(revision), None)
                    .await
            }
            Freshness::MostRecent => {
                let now = self.store().revision().await.map_err(failure::store)?;
                self.wait_seen(now).await?;
                self.list_from_cache(resource, query)
            }
            Freshness::NotOlderThan(revision) => {
                self.wait_seen(revision).await?;
                self.list_from_cache(resource, query)
            }
            Freshness::Any => self.list_from_cache(resource, query),
        }
    }

    /// Everything that is selected, as fresh as can be.
    pub async fn list_now(
        &self,
        resource: &Resource,
        selection: &Selection,
    ) -> Result<Vec<Arc<Stored>>, Status> {
        let query = ListQuery {
            selection: selection.clone(),
            freshness: Freshness::MostRecent,
            limit: 0,
            continue_token: String::new(),
        };
        Ok(self.list(resource, &query).await?.items)
    }

    /// Everything that is selected, as whoever watches has been shown it at
    /// least: nobody is waited for.
    pub fn list_shown(&self, resource: &Resource, selection: &Selection) -> Vec<Arc<Stored>> {
        let span = keys::span(&resource.prefix, &selection.namespace);
        let snapshot = resource
            .cache
            .snapshot(&span, |object| object.is_selected(selection));
        snapshot.objects
    }

    fn list_from_cache(&self, resource: &Resource, query: &ListQuery) -> Result<Listed, Status> {
        // What was seen before the snapshot is in it.
        let seen = self.seen_now();
        let span = keys::span(&resource.prefix, &query.selection.namespace);
        let everything = query.selection.is_everything();
        let snapshot = resource.cache.snapshot(&span, |object| {
            everything || object.is_selected(&query.selection)
        });
        let (mut items, total) = (snapshot.objects, snapshot.total);
        let revision = seen.max(snapshot.last);
        let mut listed = Listed {
            items: Vec::new(),
            revision,
            continue_token: String::new(),
            remaining: None,
        };
        if query.limit > 0 && items.len() > query.limit {
            items.truncate(query.limit);
            listed.continue_token = end_of(&items, &resource.prefix, revision);
            listed.remaining = everything.then_some(total - query.limit);
        }
        listed.items = items;
        Ok(listed)
    }

    /// Reads history: what the store showed at a revision, after a key.
    async fn list_from_store(
        &self,
        resource: &Resource,
        query: &ListQuery,
        at: Option<Revision>,
        after: Option<&str>,
    ) -> Result<Listed, Status> {
        let mut span = keys::span(&resource.prefix, &query.selection.namespace);
        if let Some(after) = after {
            span = span.after(format!("{}{after}", resource.prefix).as_bytes());
        }
        let mut listed = Listed {
            items: Vec::new(),
            revision: Revision::ZERO,
            continue_token: String::new(),
            remaining: None,
        };
        loop {
            let mut range = Range::new(span.clone());
            range.at = at;
            range.limit = (query.limit > 0).then_some(query.limit);
            let page = self
                .store()
                .range(range)
                .await
                .map_err(|e| expired(e, query))?;
            listed.revision = at.unwrap_or(page.revision);
            let mut left = page.count;
            for record in &page.records {
                left -= 1;
                span = span.after(&record.key);
                let stored = Stored::read(resource.hub(), &resource.layout, record)
                    .map_err(Status::internal)?;
                if stored.is_selected(&query.selection) {
                    listed.items.push(Arc::new(stored));
                }
                if query.limit > 0 && listed.items.len() == query.limit {
                    break;
                }
            }
            let full = query.limit > 0 && listed.items.len() == query.limit;
            if full && left > 0 {
                listed.continue_token = end_of(&listed.items, &resource.prefix, listed.revision);
                listed.remaining = query.selection.is_everything().then_some(left);
            }
            if full || !page.more {
                return Ok(listed);
            }
        }
    }
}

fn end_of(items: &[Arc<Stored>], prefix: &str, revision: Revision) -> String {
    let last = items
        .last()
        .map(|o| String::from_utf8_lossy(&o.key[prefix.len()..]).into_owned());
    token::write(&token::Token {
        revision: Some(revision),
        after: last.unwrap_or_default(),
    })
}

const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

fn expired(error: store::Error, query: &ListQuery) -> Status {
    match error {
        store::Error::Compacted { .. } if !query.continue_token.is_empty() => {
            Status::new(Reason::Expired, CONTINUE_EXPIRED)
        }
        store::Error::Compacted {
            requested,
            compacted,
        } => Status::new(
            Reason::Expired,
            format!("too old resource version: {requested} ({compacted})"),
        ),
        store::Error::Future { requested, current } => too_large(requested, current),
        other => failure::store(other),
    }
}

/// 504, as upstream says that it waited in vain for a revision.
pub(crate) fn too_large(revision: Revision, current: Revision) -> Status {
    let message = format!("Timeout: Too large resource version: {revision}, current: {current}");
    let status = Status::new(Reason::Timeout, message).retry_after(1);
    status.cause("ResourceVersionTooLarge", "Too large resource version", "")
}

#[async_trait]
impl admission::View for Registry {
    async fn get(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Value>>, Status> {
        let Some(resource) = self.any_version(group, resource) else {
            return Ok(None);
        };
        match Registry::get(self, &resource, namespace, name).await {
            Ok(stored) => self.decoded.get(&resource, &stored).map(Some),
            Err(status) if status.reason == Reason::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    async fn list(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
    ) -> Result<Vec<Arc<Value>>, Status> {
        let Some(resource) = self.any_version(group, resource) else {
            return Ok(Vec::new());
        };
        let selection = Selection::of_namespace(namespace);
        let listed = self.list_now(&resource, &selection).await?;
        listed
            .iter()
            .map(|stored| self.decoded.get(&resource, stored))
            .collect()
    }
}
