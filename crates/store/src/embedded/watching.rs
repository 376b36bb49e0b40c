//! The embedded store's watches.

use std::sync::Arc;

use futures::{Stream, stream};

use super::{Shared, history::Cursor, hub::Watcher};
use crate::{Batch, Error, Revision, Watch, WatchFrom};

struct Following {
    shared: Arc<Shared>,
    watcher: Arc<Watcher>,
    cursor: Cursor,
    ended: bool,
}

/// Begins a watch.
pub(super) fn watch(shared: &Arc<Shared>, from: WatchFrom) -> Result<Watch, Error> {
    let WatchFrom { span, after } = from;
    let bound = shared.options.watch_queue;
    let watcher = {
        // Commits are applied and dispatched under the same lock, so the
        // watcher misses nothing after the revision that it finds here.
        let mut state = shared.state_mut();
        let current = state.index.readable(Some(after))?;
        let lagging = (current < state.index.revision).then_some(current);
        state.hub.add(span, lagging, bound)
    };
    let asked = Arc::downgrade(&watcher);
    let following = Following {
        shared: shared.clone(),
        watcher,
        cursor: Cursor::after(after),
        ended: false,
    };
    Ok(Watch::new(following.stream(), move || {
        if let Some(watcher) = asked.upgrade() {
            watcher.ask();
        }
    }))
}

impl Following {
    fn stream(self) -> impl Stream<Item = Result<Batch, Error>> + Send {
        stream::unfold(self, |mut following| async move {
            let next = following.next().await?;
            following.ended = next.is_err();
            Some((next, following))
        })
    }

    async fn next(&mut self) -> Option<Result<Batch, Error>> {
        loop {
            if self.ended || self.shared.closed.is_cancelled() {
                return None;
            }
            if let Some(next) = self.step().await.transpose() {
                return Some(next);
            }
        }
    }

    /// One look at the queue or the log; none if there is nothing to tell yet.
    async fn step(&mut self) -> Result<Option<Batch>, Error> {
        // Read before the queue: what was dispatched until now is then either
        // in it or was taken.
        let current = self.shared.state().index.revision;
        let taken = self.watcher.take();
        if let Some(revision) = taken.lagging {
            if taken.asked {
                self.watcher.ask();
            }
            if !taken.events.is_empty() {
                return Ok(Some(self.deliver(taken.events, revision)));
            }
            return self.catch_up().await;
        }
        if taken.events.is_empty() && !taken.asked {
            let closed = self.shared.closed.clone();
            tokio::select! {
                biased;
                () = self.watcher.woken() => {}
                () = closed.cancelled() => {}
            }
            return Ok(None);
        }
        let last = taken.events.last().map_or(current, |event| event.revision);
        Ok(Some(self.deliver(taken.events, current.max(last))))
    }

    fn deliver(&mut self, events: Vec<crate::Event>, progress: Revision) -> Batch {
        let progress = progress.max(self.cursor.position);
        self.cursor = Cursor::after(progress);
        Batch { events, progress }
    }

    async fn catch_up(&mut self) -> Result<Option<Batch>, Error> {
        let until = {
            let state = self.shared.state();
            if state.index.revision == self.cursor.position {
                self.watcher.caught_up();
                return Ok(None);
            }
            state.index.revision
        };
        let span = &self.watcher.span;
        let (events, cursor) = self.shared.read_events(self.cursor, until, span).await?;
        self.cursor = cursor;
        let progress = cursor.position;
        Ok((!events.is_empty()).then_some(Batch { events, progress }))
    }
}
