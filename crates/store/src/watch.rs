//! Following the changes of a span.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};

use crate::{Error, Record, Revision, Span};

/// What to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFrom {
    /// The keys.
    pub span: Span,
    /// The revision whose state the watcher knows; the first event is of a
    /// later one.
    pub after: Revision,
}

/// A change that a commit made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The commit.
    pub revision: Revision,
    /// What it did.
    pub change: Change,
}

/// What a commit did to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It wrote the key.
    Put {
        /// What is there now.
        record: Record,
        /// What was there before.
        prev: Option<Record>,
    },
    /// It deleted the key.
    Delete {
        /// The key.
        key: Bytes,
        /// What was there before; none if the history has forgotten it.
        prev: Option<Record>,
    },
}

/// News for a watcher. The events of one commit are never spread over two
/// batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The events in order of revision; none if this is only progress.
    pub events: Vec<Event>,
    /// The watcher has now seen everything up to and including this revision.
    pub progress: Revision,
}

/// A stream of batches. It ends after an error, or when the store closes;
/// dropping it ends the watch.
pub struct Watch {
    batches: BoxStream<'static, Result<Batch, Error>>,
    progress: ProgressRequest,
}

/// Asks a watch to tell how far it is. Clones ask the same watch.
#[derive(Clone)]
pub struct ProgressRequest {
    ask: Arc<dyn Fn() + Send + Sync>,
}

impl WatchFrom {
    /// Follows `span` from after `revision`.
    pub fn new(span: Span, after: Revision) -> Self {
        Self { span, after }
    }
}

impl Event {
    /// The key that changed.
    pub fn key(&self) -> &Bytes {
        match &self.change {
            Change::Put { record, .. } => &record.key,
            Change::Delete { key, .. } => key,
        }
    }

    /// What was at the key before.
    pub fn prev(&self) -> Option<&Record> {
        match &self.change {
            Change::Put { prev, .. } | Change::Delete { prev, .. } => prev.as_ref(),
        }
    }
}

impl Watch {
    /// A watch made of a store's stream and its way to ask for progress.
    pub fn new(
        batches: impl Stream<Item = Result<Batch, Error>> + Send + 'static,
        ask: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let progress = ProgressRequest { ask: Arc::new(ask) };
        Self {
            batches: batches.boxed(),
            progress,
        }
    }

    /// The next batch; none after the end.
    pub async fn next(&mut self) -> Option<Result<Batch, Error>> {
        self.batches.next().await
    }

    /// A handle with which anyone can ask this watch for progress.
    pub fn progress(&self) -> ProgressRequest {
        self.progress.clone()
    }
}

impl Stream for Watch {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl ProgressRequest {
    /// Makes the watch yield a batch soon, with or without events, whose
    /// progress is at least the revision that is current now. An etcd older
    /// than 3.4.31 or 3.5.13 cannot promise that and ignores the request.
    pub fn send(&self) {
        (self.ask)();
    }
}

impl fmt::Debug for ProgressRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressRequest").finish_non_exhaustive()
    }
}
