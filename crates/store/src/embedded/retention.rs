//! How long the past is kept: time goes by here, size in the writer.

use std::{collections::VecDeque, sync::Arc};

use stdx::{Clock, Instant};
use tokio::sync::mpsc;

use super::{Request, Shared, ask};
use crate::Revision;

/// The history's age is looked at this often within its length.
const LOOKS: u32 = 5;

/// Compacts what has become too old, until the store closes.
pub(super) async fn run(shared: Arc<Shared>, requests: mpsc::WeakSender<Request>) {
    let closed = shared.closed.clone();
    closed.run_until_cancelled(retain(shared, requests)).await;
}

async fn retain(shared: Arc<Shared>, requests: mpsc::WeakSender<Request>) {
    let history = shared.options.history;
    let mut ages = Ages::default();
    loop {
        ages.note(&shared.clock, shared.state().index.revision);
        shared.clock.sleep(history / LOOKS).await;
        let old = ages.older_than(shared.clock.now() - history);
        let compacted = shared.state().index.compacted;
        let Some(at) = old.filter(|at| *at > compacted) else {
            continue;
        };
        let Some(requests) = requests.upgrade() else {
            return;
        };
        if let Err(error) = ask(&requests, |reply| Request::Compact { at, reply }).await {
            tracing::warn!(%error, %at, "could not compact; trying again later");
        }
    }
}

/// Which revision was current when.
#[derive(Debug, Default)]
struct Ages {
    notes: VecDeque<(Instant, Revision)>,
}

impl Ages {
    fn note(&mut self, clock: &Clock, revision: Revision) {
        if self.notes.back().is_none_or(|(_, last)| *last < revision) {
            self.notes.push_back((clock.now(), revision));
        }
    }

    /// The last revision that was current at or before `then`.
    fn older_than(&mut self, then: Instant) -> Option<Revision> {
        let mut found = None;
        while let Some((when, revision)) = self.notes.front().copied()
            && when <= then
        {
            found = Some(revision);
            self.notes.pop_front();
        }
        found
    }
}
