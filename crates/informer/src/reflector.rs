//! Keeps an informer's cache like the server's state: initial objects, then changes, for ever.
//!
//! Follows client-go's tools/cache/reflector.go: the initial objects come through the watch itself
//! (sendInitialEvents) where the server knows how, and by pages of lists where it does not; a watch
//! that ends goes on at the last resource version; one that is too old begins anew.

use crate::informer::{Informer, Sink};
use crate::store::Cached;
use client::{Error, ListOptions, RawEvent, Resource};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Backoff, Clock, Rng};
use typed::DecodeError;

const WATCH_SECONDS_MIN: u64 = 300;
const PAGE_SIZE: u32 = 500;
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// Follows one resource.
pub struct Reflector {
    resource: Resource,
    selection: ListOptions,
    sink: Arc<dyn Sink>,
    clock: Clock,
    rng: Rng,
    backoff: Backoff,
    /// The server has said that it cannot send initial objects through a watch.
    lists: bool,
    /// Where the next watch begins; nothing is known without it.
    revision: Option<String>,
}

type Events = BoxStream<'static, Result<RawEvent, Error>>;

/// Why following stopped for now.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Call(#[from] Error),
    #[error("object of {resource}")]
    Object {
        resource: String,
        #[source]
        source: DecodeError,
    },
    #[error("watch of {0} ended at once and without events")]
    Short(String),
    #[error("watch of {0} ended before its initial events did")]
    Incomplete(String),
}

impl Reflector {
    /// A reflector that fills the informer with the selected objects of a resource.
    pub fn new<V: Cached>(
        resource: Resource,
        selection: ListOptions,
        informer: &Informer<V>,
        clock: Clock,
        rng: Rng,
    ) -> Self {
        let backoff = Backoff::new(Duration::from_millis(800), Duration::from_secs(30)).jitter(1.0);
        let sink = Arc::new(informer.clone());
        Self {
            resource,
            selection,
            sink,
            clock,
            rng,
            backoff,
            lists: false,
            revision: None,
        }
    }

    /// Follows until it is dropped.
    pub async fn run(mut self) {
        loop {
            let Err(stopped) = self.follow().await else {
                continue;
            };
            if matches!(&stopped, Stopped::Call(error) if error.is_expired()) {
                tracing::debug!(resource = %self.resource.gvr(), "watch is too old, beginning anew");
                // At once, however long the server was away: a new beginning is the cure.
                if self.revision.take().is_some() {
                    self.backoff.next(&self.rng);
                    continue;
                }
            }
            let delay = self.backoff.next(&self.rng);
            let asked = match &stopped {
                Stopped::Call(error) => error.retry_after(),
                _ => None,
            };
            tracing::debug!(resource = %self.resource.gvr(), error = %client::chain(&stopped), ?delay, "following stopped");
            self.clock.sleep(delay.max(asked.unwrap_or_default())).await;
        }
    }

    /// One watch from its beginning to its end.
    async fn follow(&mut self) -> Result<(), Stopped> {
        let events = match self.revision.clone() {
            Some(revision) => self.watch_from(revision).await?,
            None if self.lists => self.list_and_watch().await?,
            None => match self.watch_list().await {
                Err(Stopped::Call(error)) if error.is_invalid() || error.code() == Some(400) => {
                    self.lists = true;
                    self.list_and_watch().await?
                }
                outcome => outcome?,
            },
        };
        self.take_changes(events).await
    }

    /// Initial objects through the watch.
    async fn watch_list(&mut self) -> Result<Events, Stopped> {
        let options = ListOptions {
            send_initial_events: true,
            resource_version_match: Some("NotOlderThan"),
            ..self.watch_options(None)
        };
        let mut events = self.resource.watch(&options).await?;
        let mut initial = Vec::new();
        while let Some(event) = events.next().await {
            match event? {
                RawEvent::Added(object) | RawEvent::Modified(object) => initial.push(object),
                RawEvent::Deleted(_) => return Err(Stopped::Incomplete(self.name())),
                RawEvent::Bookmark {
                    initial_events_end: false,
                    ..
                } => {}
                RawEvent::Bookmark {
                    resource_version,
                    initial_events_end: true,
                } => {
                    self.sink
                        .replace(&initial)
                        .map_err(|source| self.undecodable(source))?;
                    self.revision = Some(resource_version);
                    self.backoff.reset();
                    return Ok(events);
                }
            }
        }
        Err(Stopped::Incomplete(self.name()))
    }

    /// Initial objects by pages of a list.
    async fn list_and_watch(&mut self) -> Result<Events, Stopped> {
        let mut initial = Vec::new();
        let mut options = ListOptions {
            limit: Some(PAGE_SIZE),
            ..self.selection.clone()
        };
        let revision = loop {
            let page = self.resource.list(&options).await?;
            initial.extend(page.items);
            match page.continue_token {
                Some(token) => options.continue_token = Some(token),
                None => break page.resource_version,
            }
        };
        self.sink
            .replace(&initial)
            .map_err(|source| self.undecodable(source))?;
        self.backoff.reset();
        self.watch_from(revision).await
    }

    async fn watch_from(&mut self, revision: String) -> Result<Events, Stopped> {
        self.revision = Some(revision.clone());
        Ok(self
            .resource
            .watch(&self.watch_options(Some(revision)))
            .await?)
    }

    fn watch_options(&self, revision: Option<String>) -> ListOptions {
        let seconds = WATCH_SECONDS_MIN + self.rng.below(WATCH_SECONDS_MIN);
        ListOptions {
            resource_version: revision,
            timeout_seconds: u32::try_from(seconds).ok(),
            allow_watch_bookmarks: true,
            ..self.selection.clone()
        }
    }

    async fn take_changes(&mut self, mut events: Events) -> Result<(), Stopped> {
        let start = self.clock.now();
        let mut any = false;
        while let Some(event) = events.next().await {
            let taken = match event? {
                RawEvent::Added(object) | RawEvent::Modified(object) => self.sink.upsert(&object),
                RawEvent::Deleted(object) => self.sink.delete(&object),
                RawEvent::Bookmark {
                    resource_version, ..
                } => Ok(resource_version),
            };
            let revision = taken.map_err(|source| self.undecodable(source))?;
            self.revision = Some(revision);
            self.backoff.reset();
            any = true;
        }
        if !any && self.clock.since(start) < SHORT_WATCH {
            return Err(Stopped::Short(self.name()));
        }
        Ok(())
    }

    /// What cannot be read now may be readable when it is read anew.
    fn undecodable(&mut self, source: DecodeError) -> Stopped {
        tracing::error!(resource = %self.resource.gvr(), error = %source.source, "object cannot be decoded");
        self.revision = None;
        Stopped::Object {
            resource: self.name(),
            source,
        }
    }

    fn name(&self) -> String {
        self.resource.gvr().to_string()
    }
}

#[cfg(test)]
mod tests;
