//! Watches on etcd: a gRPC stream each.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use stdx::CancellationToken;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::{
    connection::{Connection, backend},
    kept,
    messages::{
        KeyValue, WatchCreateRequest, WatchEvent, WatchProgressRequest, WatchRequest, WatchResponse,
    },
    range_end, record, revision, to_i64,
};
use crate::blob::Pool;
use crate::{Batch, Change, Error, Event, Revision, Watch, WatchFrom};

const OPERATION: &str = "watching";
const DELETE: i32 = 1;

struct Following {
    responses: Streaming<WatchResponse>,
    /// Kept so that the stream stays open.
    _requests: mpsc::Sender<WatchRequest>,
    pool: Arc<Pool>,
    closed: CancellationToken,
    after: Revision,
    ended: bool,
}

/// Begins a watch.
pub(super) async fn watch(
    connection: &Connection,
    from: WatchFrom,
    tells_progress: bool,
    pool: Arc<Pool>,
    closed: CancellationToken,
) -> Result<Watch, Error> {
    let WatchFrom { span, after } = from;
    let create = WatchRequest {
        create: Some(WatchCreateRequest {
            key: super::start(&span),
            range_end: range_end(&span),
            start_revision: to_i64(after.next()),
            progress_notify: true,
            prev_kv: true,
        }),
        progress: None,
    };
    let opened = connection.watch(create).await;
    let (requests, mut responses) = opened.map_err(|status| backend(OPERATION, status))?;
    let first = responses.message().await;
    let first = first.map_err(|status| backend(OPERATION, status))?;
    let created = first.ok_or_else(ended_early)?;
    let current = revision(created.header.as_ref());
    if created.created && !created.canceled && after > current {
        return Err(Error::Future {
            requested: after,
            current,
        });
    }
    check(&created, after)?;
    let ask = requests.clone().downgrade();
    let following = Following {
        responses,
        _requests: requests,
        pool,
        closed,
        after,
        ended: false,
    };
    Ok(Watch::new(following.stream(), move || {
        if let Some(requests) = ask.upgrade().filter(|_| tells_progress) {
            let request = WatchRequest {
                create: None,
                progress: Some(WatchProgressRequest {}),
            };
            // When the channel is full, enough requests are under way.
            let _ = requests.try_send(request);
        }
    }))
}

impl Following {
    fn stream(self) -> impl Stream<Item = Result<Batch, Error>> + Send {
        stream::unfold(self, |mut following| async move {
            if following.ended {
                return None;
            }
            let next = following.next().await?;
            following.ended = next.is_err();
            Some((next, following))
        })
    }

    async fn next(&mut self) -> Option<Result<Batch, Error>> {
        let closed = self.closed.clone();
        let response = tokio::select! {
            response = self.responses.message() => response,
            () = closed.cancelled() => return None,
        };
        Some(match response {
            Ok(Some(response)) => self.batch(response),
            Ok(None) => Err(ended_early()),
            Err(status) => Err(backend(OPERATION, status)),
        })
    }

    fn batch(&mut self, response: WatchResponse) -> Result<Batch, Error> {
        check(&response, self.after)?;
        let header = revision(response.header.as_ref());
        let events = response
            .events
            .into_iter()
            .map(|told| event(told, &self.pool))
            .collect::<Result<Vec<_>, _>>()?;
        // With events the header may be ahead of what was told.
        let last = events.last().map_or(header, |event| event.revision);
        self.after = self.after.max(last);
        let progress = self.after;
        Ok(Batch { events, progress })
    }
}

fn check(response: &WatchResponse, after: Revision) -> Result<(), Error> {
    if response.compact_revision != 0 {
        return Err(Error::Compacted {
            requested: after,
            compacted: Revision(response.compact_revision.unsigned_abs()),
        });
    }
    if response.canceled {
        let status = Status::aborted(response.cancel_reason.clone());
        return Err(backend(OPERATION, status));
    }
    Ok(())
}

fn event(event: WatchEvent, pool: &Pool) -> Result<Event, Error> {
    let WatchEvent { kind, kv, prev_kv } = event;
    let kv: KeyValue =
        kv.ok_or_else(|| backend(OPERATION, Status::internal("an event has no key")))?;
    let revision = Revision(kv.mod_revision.unsigned_abs());
    let prev = prev_kv.map(record);
    let change = if kind == DELETE {
        let key: Bytes = kv.key;
        Change::Delete { key, prev }
    } else {
        let record = kept(kv, pool);
        Change::Put { record, prev }
    };
    Ok(Event { revision, change })
}

fn ended_early() -> Error {
    let status = Status::unavailable("the stream ended");
    backend(OPERATION, status)
}
