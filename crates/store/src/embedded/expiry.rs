//! Records that end by themselves. They are deleted like any others: by a
//! transaction, on condition that nobody wrote them since.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::future;
use stdx::{Clock, Instant};
use tokio::sync::{Notify, mpsc};

use super::{Request, Shared, ask, batch, entry::Expiry, index::Index};
use crate::{Error, Revision, Txn};

/// How many records are deleted at once.
const BATCH: usize = 512;
/// How long to wait when the log cannot be written.
const RETRY: Duration = Duration::from_secs(1);

/// When which records end.
#[derive(Debug)]
pub(super) struct Expiries {
    due: Mutex<Due>,
    earlier: Notify,
}

type Due = BTreeMap<(Instant, Bytes), Revision>;

impl Expiries {
    /// Those of an index that was just recovered.
    pub(super) fn new(index: &Index, clock: &Clock) -> Self {
        let (now, wall_ms) = (clock.now(), clock.wall().as_millisecond());
        let mut due = Due::new();
        let mut after = None;
        loop {
            let records = index.live_after(after.as_ref(), 1024);
            for (record, expiry) in &records {
                if let Some(expiry) = expiry {
                    let deadline = now + remaining(*expiry, wall_ms);
                    due.insert((deadline, record.key.clone()), record.modified);
                }
            }
            match records.last() {
                Some((record, _)) => after = Some(record.key.clone()),
                None => break,
            }
        }
        let due = Mutex::new(due);
        let earlier = Notify::new();
        Self { due, earlier }
    }

    /// Adds a record that ends after `ttl`, unless it is written again.
    pub(super) fn add(&self, now: Instant, ttl: Duration, key: Bytes, modified: Revision) {
        let deadline = now + ttl;
        let mut due = self.due();
        let is_first = due
            .first_key_value()
            .is_none_or(|((first, _), _)| deadline < *first);
        due.insert((deadline, key), modified);
        drop(due);
        if is_first {
            self.earlier.notify_one();
        }
    }

    fn next(&self) -> Option<Instant> {
        self.due()
            .first_key_value()
            .map(|((deadline, _), _)| *deadline)
    }

    fn take_due(&self, now: Instant) -> Vec<(Bytes, Revision)> {
        let mut due = self.due();
        let mut taken = Vec::new();
        while taken.len() < BATCH
            && let Some(first) = due.first_entry()
            && first.key().0 <= now
        {
            let ((_, key), modified) = first.remove_entry();
            taken.push((key, modified));
        }
        taken
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes records when they end, until the store closes.
pub(super) async fn run(shared: Arc<Shared>, requests: mpsc::WeakSender<Request>) {
    let closed = shared.closed.clone();
    closed.run_until_cancelled(expire(shared, requests)).await;
}

async fn expire(shared: Arc<Shared>, requests: mpsc::WeakSender<Request>) {
    loop {
        match shared.expiries.next() {
            None => shared.expiries.earlier.notified().await,
            Some(deadline) => tokio::select! {
                biased;
                () = shared.expiries.earlier.notified() => {}
                () = shared.clock.sleep_until(deadline) => {}
            },
        }
        let now = shared.clock.now();
        let due = shared.expiries.take_due(now);
        let Some(requests) = requests.upgrade() else {
            return;
        };
        let deletions = due.iter().map(|(key, modified)| async {
            let result = delete(&requests, key.clone(), *modified).await;
            (key.clone(), *modified, result)
        });
        for (key, modified, result) in future::join_all(deletions).await {
            if let Err(error) = result {
                tracing::warn!(%error, "could not delete an expired record; trying again");
                shared.expiries.add(now, RETRY, key, modified);
            }
        }
    }
}

async fn delete(
    requests: &mpsc::Sender<Request>,
    key: Bytes,
    modified: Revision,
) -> Result<(), Error> {
    let txn = Txn::remove(key, modified);
    let bytes = batch::bound(&txn);
    // A conflict means that it was written again or is gone: as it should be.
    ask(requests, |reply| Request::Txn { txn, bytes, reply }).await?;
    Ok(())
}

/// How long a record has left. A wall clock that jumped back adds nothing.
fn remaining(expiry: Expiry, wall_ms: i64) -> Duration {
    let left = expiry.deadline_ms.saturating_sub(wall_ms).max(0);
    Duration::from_millis(left.unsigned_abs()).min(expiry.ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_bounded_by_the_time_given() {
        let ttl = Duration::from_secs(10);
        let deadline_ms = 50_000;
        let expiry = Expiry { deadline_ms, ttl };
        for (wall_ms, expected_ms) in [
            (44_000, 6_000),
            (50_001, 0),
            (0, 10_000),
            (i64::MIN, 10_000),
        ] {
            let expected = Duration::from_millis(expected_ms);
            assert_eq!(remaining(expiry, wall_ms), expected, "{wall_ms}");
        }
    }
}
